"""`python -m benches.products`: matrix products against the arithmetic and the memory of the machine.

In every round the limits are measured again (multiply-adds from registers, reading), then each
product, call by call; medians over the rounds are compared, so that a busy moment falls on both sides,
and `best` compares the fastest round with the same limit. Weights are `cold` where the calls use one
after the other and all together exceed the last cache, as those of a model do; or `warm`, always the
same. What a call itself costs, measured with a product of nothing, is not the product's.

    python -m benches.products                      all shapes, warm and cold
    python -m benches.products bert --rounds 20     those whose name starts so
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass

import torch

from benches import limits, table

HEAD = ("product", "rows × depth × columns", "weight", "ms", "GFLOP/s", "of peak", "best", "GB/s", "of reading")
#: What cold weights hold together, in bytes, and the operations of a round.
COLD_BYTES, LEAST_OPERATIONS = 128 << 20, 2e9


@dataclass(frozen=True)
class Product:
    name: str
    rows: int
    depth: int
    columns: int
    #: `linear`: a weight as `nn.Linear` keeps it; `plain`: rows by columns; `turned`: a plain one
    #: whose first operand is transposed.
    layout: str = "linear"
    dtype: torch.dtype = torch.float32

    @property
    def operations(self) -> float:
        return 2.0 * self.rows * self.depth * self.columns

    @property
    def weight_bytes(self) -> int:
        return self.depth * self.columns * self.dtype.itemsize

    @property
    def shape(self) -> str:
        return f"{self.rows} × {self.depth} × {self.columns}"

    def input(self) -> torch.Tensor:
        shape = (self.depth, self.rows) if self.layout == "turned" else (self.rows, self.depth)
        x = torch.randn(shape).to(self.dtype)
        return x.t() if self.layout == "turned" else x

    def weight(self) -> torch.Tensor:
        shape = (self.columns, self.depth) if self.layout == "linear" else (self.depth, self.columns)
        weight = torch.randn(shape).to(self.dtype)
        return weight.t() if self.layout == "linear" else weight


def _model(name: str, layout: str, shapes: dict[str, tuple[int, int]], tokens: tuple[int, ...]) -> list[Product]:
    return [
        Product(f"{name}.{part}", rows, depth, columns, layout)
        for rows in tokens
        for part, (depth, columns) in shapes.items()
    ]


_BERT = {"projection": (768, 768), "up": (768, 3072), "down": (3072, 768)}
_GPT2 = {"qkv": (768, 2304), "out": (768, 768), "up": (768, 3072), "down": (3072, 768)}
_LLAMA = {"q": (1024, 1024), "kv": (1024, 512), "up": (1024, 2816), "down": (2816, 1024)}

PRODUCTS: tuple[Product, ...] = (
    *_model("bert", "linear", _BERT, (128, 512)),
    *_model("gpt2", "plain", _GPT2, (128, 512)),
    Product("gpt2.head", 128, 768, 50257),
    *_model("vit", "linear", _BERT, (197, 788)),
    *_model("llama", "linear", _LLAMA, (128, 512)),
    Product("square", 1024, 1024, 1024, "plain"),
    Product("square", 2048, 2048, 2048, "plain"),
    Product("turned", 1024, 1024, 1024, "turned"),
    Product("turned", 2048, 2048, 2048, "turned"),
    Product("turned", 768, 512, 3072, "turned"),
    *_model("few", "linear", _BERT, (32,)),
    *_model("few", "plain", _BERT, (32,)),
    *(Product("decode", rows, 4096, 4096, layout) for layout in ("linear", "plain") for rows in (1, 2, 4, 8, 16)),
)


class Ready:
    """A compiled product with its operands."""

    def __init__(self, product: Product, is_cold: bool) -> None:
        self.product, self.is_cold = product, is_cold
        count = -(-COLD_BYTES // product.weight_bytes) if is_cold else 1
        self.input = product.input()
        self.weights = [product.weight() for _ in range(count)]
        self.calls = min(max(count, int(LEAST_OPERATIONS / product.operations)), 1000)
        # Sizes are constants: Dynamo would otherwise take those that differ for symbolic.
        self.compiled = torch.compile(_product, backend="ferroductor", dynamic=False)
        self.times: list[float] = []
        self.run()
        self.times.clear()

    def run(self) -> None:
        start = time.perf_counter()
        for n in range(self.calls):
            self.compiled(self.input, self.weights[n % len(self.weights)])
        self.times.append((time.perf_counter() - start) / self.calls)

    def row(self, limit: dict[str, float]) -> list[str]:
        seconds, product = statistics.median(self.times), self.product
        arithmetic, memory = product.operations / seconds / 1e9, product.weight_bytes / seconds / 1e9
        best = product.operations / min(self.times) / 1e9
        figures = [f"{seconds * 1e3:.3f}", f"{arithmetic:.0f}", f"{arithmetic / limit['fma_gflops']:.0%}"]
        figures += [f"{best / limit['fma_gflops']:.0%}"]
        figures += [f"{memory:.1f}", f"{memory / limit['read_gbs']:.0%}" if self.is_cold else "–"]
        name = product.name if product.layout == "linear" else f"{product.name} ({product.layout})"
        return [name, product.shape, "cold" if self.is_cold else "warm", *figures]


def _product(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x @ weight


def measure(chosen: list[Product], rounds: int, kinds: tuple[bool, ...]) -> tuple[dict[str, float], list[list[str]]]:
    """The medians of the machine's limits, and the rows of the table."""
    bounds: dict[str, list[float]] = {}
    torch._dynamo.config.recompile_limit = 2 * len(chosen) + 2
    with torch.no_grad():
        empty = Ready(Product("nothing", 1, 1, 1), is_cold=False)
        ready = [Ready(product, is_cold) for product in chosen for is_cold in kinds]
        for _ in range(rounds):
            for name, rate in limits.measure().items():
                bounds.setdefault(name, []).append(rate)
            for each in [empty, *ready]:
                each.run()
    call = min(empty.times)
    for each in ready:
        each.times = [seconds - call for seconds in each.times]
    limit = {name: statistics.median(rates) for name, rates in bounds.items()}
    return limit, [each.row(limit) for each in ready]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.products", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help=", ".join(sorted({p.name for p in PRODUCTS})))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--kinds", default="warm,cold", help="warm, cold or both")
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args()
    chosen = [p for p in PRODUCTS if not given.names or any(p.name.startswith(n) for n in given.names)]
    kinds = tuple(kind == "cold" for kind in given.kinds.split(","))
    limit, rows = measure(chosen, given.rounds, kinds)
    print(limits.describe(limit) + "\n")
    print(table.render(HEAD, rows, markdown=given.markdown))


if __name__ == "__main__":
    main()
