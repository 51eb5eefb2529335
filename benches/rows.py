"""`python -m benches.rows`: kernels that memory should bound, against what memory gives.

Each kernel works on tensors larger than the last cache. In every round the machine's bandwidth is
measured again (reading, copying, copying by streaming stores) and then each kernel, all as the best
of as many calls; medians over the rounds are compared, so that a busy moment falls on both sides. A
kernel is held against reading if it writes next to nothing, else against the faster of the copies.

    python -m benches.rows                       all kernels
    python -m benches.rows softmax rope --rounds 20
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from benches import limits, table

ROWS, COLUMNS = 8192, 2048
#: Calls of a round, as many as the limits take.
CALLS = 7
HEAD = ("kernel", "ms", "GB/s", "of reading", "of copying", "of streaming", "its share")


@dataclass(frozen=True)
class Kernel:
    name: str
    function: Callable[..., Any]
    #: Shapes of the arguments, in float32 unless `dtype` says otherwise.
    shapes: tuple[tuple[int, ...], ...]
    dtype: torch.dtype = torch.float32


def _gelu(x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return F.gelu(x + bias)


def _gelu_tanh(x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return F.gelu(x + bias, approximate="tanh")


def _swiglu(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.silu(x) * y


def _waves(x: torch.Tensor) -> torch.Tensor:
    return torch.sin(x) + torch.cos(x)


def _chain(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.sigmoid(x) * torch.tanh(y) + torch.sin(x) * torch.exp(-y * y)


def _dropout(x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return torch.where(noise > 0.1, x * (1 / 0.9), 0.0)


def _layer_norm(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x + y, (COLUMNS,), w, b)


def _rms_norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * weight


def _rope(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    low, high = x.chunk(2, -1)
    return x * cos + torch.cat((-high, low), -1) * sin


_FULL, _ROW = (ROWS, COLUMNS), (COLUMNS,)
_HEADS, _ANGLES = (4, 32, 2048, 64), (2048, 64)
_BF16 = torch.bfloat16

KERNELS: tuple[Kernel, ...] = (
    Kernel("residual", lambda x, y: x + y, (_FULL, _FULL)),
    Kernel("bias_gelu", _gelu, (_FULL, _ROW)),
    Kernel("bias_gelu_tanh", _gelu_tanh, (_FULL, _ROW)),
    Kernel("swiglu", _swiglu, (_FULL, _FULL)),
    Kernel("sin_cos", _waves, (_FULL,)),
    Kernel("chain", _chain, (_FULL, _FULL)),
    Kernel("dropout", _dropout, (_FULL, _FULL)),
    Kernel("softmax", lambda x: F.softmax(x, -1), (_FULL,)),
    Kernel("log_softmax", lambda x: F.log_softmax(x, -1), (_FULL,)),
    Kernel("layer_norm", _layer_norm, (_FULL, _FULL, _ROW, _ROW)),
    Kernel("rms_norm", _rms_norm, (_FULL, _ROW)),
    Kernel("rope", _rope, (_HEADS, _ANGLES, _ANGLES)),
    Kernel("row_sums", lambda x: x.sum(-1), (_FULL,)),
    Kernel("column_sums", lambda x: x.sum(0), (_FULL,)),
    Kernel("softmax_bf16", lambda x: F.softmax(x, -1), (_FULL,), _BF16),
    Kernel("layer_norm_bf16", _layer_norm, (_FULL, _FULL, _ROW, _ROW), _BF16),
)


def _bytes(tensors: Any) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


@dataclass
class Ready:
    """A compiled kernel with its arguments and what it moves."""

    kernel: Kernel
    call: Callable[[], Any]
    read: int
    written: int

    @staticmethod
    def of(kernel: Kernel) -> Ready:
        generator = torch.Generator().manual_seed(3)
        arguments = [torch.randn(s, generator=generator).to(kernel.dtype) for s in kernel.shapes]
        torch._dynamo.reset()
        compiled = torch.compile(kernel.function, backend="ferroductor")

        def call() -> torch.Tensor:
            with torch.no_grad():
                return compiled(*arguments)

        return Ready(kernel, call, _bytes(arguments), _bytes([call()]))

    def seconds(self) -> float:
        start = time.perf_counter()
        self.call()
        return time.perf_counter() - start

    def share(self, rate: float, bounds: dict[str, float]) -> float:
        """Of the bandwidth that matches its traffic."""
        if self.written * 16 < self.read:
            return rate / bounds["read_gbs"]
        return rate / max(bounds["copy_gbs"], bounds["stream_gbs"])


def measure(names: list[str], rounds: int) -> tuple[dict[str, float], list[list[str]]]:
    """The medians of the machine's limits, and the rows of the table."""
    unknown = set(names) - {kernel.name for kernel in KERNELS}
    if unknown:
        raise SystemExit(f"no kernel {', '.join(sorted(unknown))}")
    ready = [Ready.of(kernel) for kernel in KERNELS if not names or kernel.name in names]
    times: dict[str, list[float]] = {each.kernel.name: [] for each in ready}
    bounds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, rate in limits.measure().items():
            bounds.setdefault(name, []).append(rate)
        for each in ready:
            times[each.kernel.name].append(min(each.seconds() for _ in range(CALLS)))
    limit = {name: statistics.median(rates) for name, rates in bounds.items()}
    rows = []
    for each in ready:
        seconds = statistics.median(times[each.kernel.name])
        rate = (each.read + each.written) / seconds / 1e9
        shares = [rate / limit[name] for name in ("read_gbs", "copy_gbs", "stream_gbs")]
        shares.append(each.share(rate, limit))
        figures = [f"{seconds * 1e3:.2f}", f"{rate:.1f}", *(f"{share:.0%}" for share in shares)]
        rows.append([each.kernel.name, *figures])
    return limit, rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.rows", description=__doc__.split("\n")[0])
    parser.add_argument("kernels", nargs="*", help=", ".join(kernel.name for kernel in KERNELS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args()
    limit, rows = measure(given.kernels, given.rounds)
    print(limits.describe(limit) + "\n")
    print(table.render(HEAD, rows, markdown=given.markdown))


if __name__ == "__main__":
    main()
