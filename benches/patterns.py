"""`python -m benches.patterns`: operators of general models, against eager and Inductor.

What surrounds the products of a model and is easily written slowly: transposes, sums down columns and
over channels, running sums, indexed reads and writes, joins, pooling, resizing, normalisations, losses
over a large vocabulary, forward and backward. All run in one process by turns, and medians over the
rounds are compared; below one in the last columns means slower than that peer.

    python -m benches.patterns                            all patterns
    python -m benches.patterns transpose cumsum --rounds 20 --peers eager
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from benches import table

HEAD = ("pattern", "ours", "eager", "Inductor", "against eager", "against Inductor")
#: A sample is at least this long.
SAMPLE_SECONDS = 2e-3

Make = Callable[[torch.Generator], torch.Tensor]


def normal(*shape: int) -> Make:
    return lambda generator: torch.randn(shape, generator=generator)


def below(bound: int, *shape: int) -> Make:
    return lambda generator: torch.randint(bound, shape, generator=generator)


@dataclass(frozen=True)
class Pattern:
    name: str
    function: Callable[..., torch.Tensor]
    arguments: tuple[Make, ...]
    #: Gradients of all floating arguments too.
    trains: bool = False

    def make(self, dtype: torch.dtype) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(5)
        tensors = [make(generator) for make in self.arguments]
        tensors = [t.to(dtype) if t.is_floating_point() else t for t in tensors]
        return [t.requires_grad_(self.trains and t.is_floating_point()) for t in tensors]


def _batch_norm(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return F.relu(F.batch_norm(x, None, None, w, b, training=True))


def _group_norm(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return F.silu(F.group_norm(x, 32, w, b))


def _layer_norm(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], w, b)


def _scatter_add(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return torch.zeros(4096, values.shape[1]).to(values).scatter_add(0, index[:, None].expand_as(values), values)


def _index_put(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return torch.zeros(4096, values.shape[1]).to(values).index_put((index,), values, accumulate=True)


def _embedding(weight: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    return F.embedding(tokens, weight)


def _max_pool(x: torch.Tensor) -> torch.Tensor:
    return F.max_pool2d(x, 3, 2, 1)


def _avg_pool(x: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(x, 2)


def _global_pool(x: torch.Tensor) -> torch.Tensor:
    return F.adaptive_avg_pool2d(x, 1)


def _nearest(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def _bilinear(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return (x * 2).contiguous(memory_format=torch.channels_last)


def _heads(x: torch.Tensor) -> torch.Tensor:
    return x.view(*x.shape[:2], 12, 64).transpose(1, 2).contiguous() * 0.125


def _shift(x: torch.Tensor) -> torch.Tensor:
    return x - x.roll(1, -1) + x.flip(-1)


_IMAGE = normal(16, 64, 56, 56)
_CHANNEL = normal(64)
_SMALL_IMAGE, _WIDE_CHANNEL = normal(32, 512, 7, 7), normal(512)
_MATRIX, _VOCABULARY = normal(2048, 2048), normal(512, 50257)

PATTERNS: tuple[Pattern, ...] = (
    Pattern("transpose", lambda x: x.t().contiguous(), (_MATRIX,)),
    Pattern("transpose_add", lambda x, y: x.t() + y, (_MATRIX, _MATRIX)),
    Pattern("transpose_batch", lambda x: x.transpose(1, 2).contiguous(), (normal(64, 196, 384),)),
    Pattern("transpose_heads", _heads, (normal(16, 512, 768),)),
    Pattern("channels_last", _channels_last, (_IMAGE,)),
    Pattern("column_sum", lambda x: x.sum(0), (normal(8192, 768),)),
    Pattern("column_max", lambda x: x.amax(0), (normal(8192, 768),)),
    Pattern("row_sum_short", lambda x: x.sum(-1), (normal(65536, 32),)),
    Pattern("channel_mean", lambda x: x.mean((0, 2, 3)), (_IMAGE,)),
    Pattern("total", lambda x: x.square().sum(), (_MATRIX,)),
    Pattern("argmax", lambda x: x.argmax(-1), (_MATRIX,)),
    Pattern("argmax_columns", lambda x: x.argmax(0), (_MATRIX,)),
    Pattern("norm", lambda x: x / x.norm(dim=-1, keepdim=True), (_MATRIX,), trains=True),
    Pattern("batch_norm", _batch_norm, (_IMAGE, _CHANNEL, _CHANNEL)),
    Pattern("batch_norm_train", _batch_norm, (_IMAGE, _CHANNEL, _CHANNEL), trains=True),
    Pattern("batch_norm_deep", _batch_norm, (_SMALL_IMAGE, _WIDE_CHANNEL, _WIDE_CHANNEL), trains=True),
    Pattern("group_norm", _group_norm, (_IMAGE, _CHANNEL, _CHANNEL)),
    Pattern("group_norm_train", _group_norm, (_IMAGE, _CHANNEL, _CHANNEL), trains=True),
    Pattern("layer_norm_train", _layer_norm, (normal(4096, 768), normal(768), normal(768)), trains=True),
    Pattern("softmax_train", lambda x: x.softmax(-1), (_MATRIX,), trains=True),
    Pattern("softmax_middle", lambda x: x.softmax(1), (normal(64, 196, 384),)),
    Pattern("cumsum", lambda x: x.cumsum(-1), (_MATRIX,)),
    Pattern("cumsum_columns", lambda x: x.cumsum(0), (_MATRIX,)),
    Pattern("cumsum_train", lambda x: x.cumsum(-1), (_MATRIX,), trains=True),
    Pattern("embedding", _embedding, (normal(32000, 768), below(32000, 8, 512))),
    Pattern("embedding_train", _embedding, (normal(32000, 768), below(32000, 8, 512)), trains=True),
    Pattern("gather", lambda x, i: x.gather(1, i), (_MATRIX, below(2048, 2048, 2048))),
    Pattern("scatter_add", _scatter_add, (normal(16384, 128), below(4096, 16384))),
    Pattern("index_put", _index_put, (normal(16384, 128), below(4096, 16384))),
    Pattern("index_select", lambda x, i: x.index_select(0, i), (normal(16384, 256), below(16384, 16384))),
    Pattern("cat", lambda x, y: torch.cat((x, y), -1) * 2, (normal(4096, 384), normal(4096, 640))),
    Pattern("cat_channels", lambda x, y: F.relu(torch.cat((x, y), 1)), (_IMAGE, normal(16, 32, 56, 56))),
    Pattern("stack", lambda x, y: torch.stack((x, y), -1), (_MATRIX, _MATRIX)),
    Pattern("shift", _shift, (_MATRIX,)),
    Pattern("pad", lambda x: F.pad(x, (1, 1, 1, 1)), (_IMAGE,)),
    Pattern("pad_reflect", lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), (_IMAGE,)),
    Pattern("max_pool", _max_pool, (_IMAGE,)),
    Pattern("max_pool_train", _max_pool, (_IMAGE,), trains=True),
    Pattern("avg_pool", _avg_pool, (_IMAGE,)),
    Pattern("avg_pool_train", _avg_pool, (_IMAGE,), trains=True),
    Pattern("global_pool", _global_pool, (_IMAGE,), trains=True),
    Pattern("nearest", _nearest, (_IMAGE,)),
    Pattern("nearest_train", _nearest, (_IMAGE,), trains=True),
    Pattern("bilinear", _bilinear, (_IMAGE,)),
    Pattern("bilinear_train", _bilinear, (_IMAGE,), trains=True),
    Pattern("cross_entropy", F.cross_entropy, (_VOCABULARY, below(50257, 512))),
    Pattern("cross_entropy_train", F.cross_entropy, (_VOCABULARY, below(50257, 512)), trains=True),
    Pattern("pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), (_IMAGE,)),
    Pattern("unfold", lambda x: x.unfold(-1, 16, 8).contiguous(), (normal(64, 16384),)),
    Pattern("topk", lambda x: x.topk(5, -1).values, (normal(512, 2048),)),
    Pattern("tril", lambda x: x.tril(), (_MATRIX,)),
    Pattern("outer", lambda x, y: x[:, None] * y, (normal(4096), normal(4096))),
    Pattern("clip_norm", lambda x: x * (1 / x.norm().clamp(min=1)), (_MATRIX,)),
)

PEERS: dict[str, Any] = {"ours": "ferroductor", "eager": None, "Inductor": "inductor"}


class Ready:
    """A pattern as one peer runs it."""

    def __init__(self, pattern: Pattern, backend: str | None, dtype: torch.dtype) -> None:
        arguments = pattern.make(dtype)
        wanted = [each for each in arguments if each.requires_grad]
        torch._dynamo.reset()
        function = pattern.function
        if backend is not None:
            function = torch.compile(function, backend=backend, dynamic=False)
        with torch.no_grad():
            seed = torch.randn_like(pattern.function(*arguments), dtype=dtype) if wanted else None

        def call() -> Any:
            if not wanted:
                with torch.no_grad():
                    return function(*arguments)
            return torch.autograd.grad(function(*arguments), wanted, seed)

        self.call, self.times = call, list[float]()
        call()
        start = time.perf_counter()
        call()
        self.calls = max(1, round(SAMPLE_SECONDS / (time.perf_counter() - start)))

    def run(self) -> None:
        start = time.perf_counter()
        for _ in range(self.calls):
            self.call()
        self.times.append((time.perf_counter() - start) / self.calls)

    def milliseconds(self, best: bool) -> float:
        return (min if best else statistics.median)(self.times) * 1e3


def measure(pattern: Pattern, peers: list[str], rounds: int, dtype: torch.dtype, best: bool) -> list[str]:
    """A row of the table."""
    ready = {name: Ready(pattern, PEERS[name], dtype) for name in PEERS if name == "ours" or name in peers}
    for _ in range(rounds):
        for each in ready.values():
            # The idle threads of one pool spin for a moment.
            time.sleep(1e-3)
            each.run()
    times = {name: each.milliseconds(best) for name, each in ready.items()}
    cells = [table.milliseconds(times[name]) if name in ready else "–" for name in PEERS]
    ratios = [f"{times[name] / times['ours']:.2f}×" if name in ready else "–" for name in list(PEERS)[1:]]
    return [pattern.name, *cells, *ratios]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.patterns", description=__doc__.split("\n")[0])
    parser.add_argument("patterns", nargs="*", help=", ".join(pattern.name for pattern in PATTERNS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers", default="eager,Inductor", help="with whom to compare")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16", "float64"))
    parser.add_argument("--best", action="store_true", help="compare the fastest rounds: for a busy machine")
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args()
    unknown = set(given.patterns) - {pattern.name for pattern in PATTERNS}
    if unknown:
        raise SystemExit(f"no pattern {', '.join(sorted(unknown))}")
    chosen = [pattern for pattern in PATTERNS if not given.patterns or pattern.name in given.patterns]
    peers, dtype = given.peers.split(","), getattr(torch, given.dtype)
    rows = []
    for pattern in chosen:
        rows.append(measure(pattern, peers, given.rounds, dtype, given.best))
        print(*rows[-1], file=sys.stderr)
    print(table.render(HEAD, rows, markdown=given.markdown))


if __name__ == "__main__":
    main()
