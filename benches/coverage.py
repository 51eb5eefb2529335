"""Whose code the time of a compiled model goes to: ours, or ATen's and its libraries'."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

CALLS = 5

HEAD = ("time of a call", "peer", "our kernels and run time", "ATen", "operators of ATen above 1 %")


def outside(call: Callable[[], Any]) -> dict[str, float]:
    """By ATen operator, its share of the time of `call`. What is not listed is our own.

    PyTorch's profiler sees every operator that goes through its dispatcher, and none of our kernels.
    """
    from torch.profiler import ProfilerActivity, profile

    call()
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as recorded:
        begin = time.perf_counter()
        for _ in range(CALLS):
            call()
        total = (time.perf_counter() - begin) * 1e6
    shares: dict[str, float] = {}
    for event in recorded.key_averages():
        if event.key.startswith("aten::"):
            shares[event.key] = shares.get(event.key, 0.0) + event.self_cpu_time_total / total
    return dict(sorted(shares.items(), key=lambda row: -row[1]))


def rows(results: Sequence[dict[str, Any]]) -> list[list[str]]:
    """One row for each result that knows its shares."""
    table = []
    for result in results:
        if "aten" in result:
            total = min(1.0, sum(result["aten"].values()))
            named = [f"{name} {share:.0%}" for name, share in result["aten"].items() if share > 0.01]
            cells = [f"{1 - total:.0%}", f"{total:.0%}", ", ".join(named) or "none"]
            table.append([result["model"], result["peer"], *cells])
    return table
