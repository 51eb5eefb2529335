"""What the machine can do at best, and how near the kernels that memory bounds come to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benches import models

HEAD = ("bound by memory", "peer", "GB/s", "of copying", "of copying by streaming stores")


def measure(threads: int = 0) -> dict[str, float]:
    """Arithmetic in GFLOP/s, memory in GB/s, with as many threads as torch uses."""
    import torch
    from ferroductor import _ferroductor

    return dict(_ferroductor.bench_limits(threads or torch.get_num_threads()))


def describe(limits: dict[str, float]) -> str:
    return (
        f"limits: {limits['fma_gflops']:.0f} GFLOP/s in float32; "
        f"read {limits['read_gbs']:.1f}, copy {limits['copy_gbs']:.1f}, "
        f"copy by streaming stores {limits['stream_gbs']:.1f} GB/s"
    )


def rows(results: Sequence[dict[str, Any]], limits: dict[str, float]) -> list[list[str]]:
    """The models whose traffic is known. Copies count bytes read and bytes written."""
    table = []
    for result in results:
        traffic = models.find(result["model"]).traffic
        if traffic and "ms" in result:
            rate = traffic / result["ms"] / 1e6
            shares = [f"{rate / limits[name]:.0%}" for name in ("copy_gbs", "stream_gbs")]
            table.append([result["model"], result["peer"], f"{rate:.1f}", *shares])
    return table
