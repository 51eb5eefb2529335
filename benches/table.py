"""Tables for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benches.accuracy import LIMIT
from benches.models import find


def render(head: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool = False) -> str:
    """Columns as wide as they must be; the first is set left, the others right."""
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:])]
        return f"| {' | '.join([first, *rest])} |" if markdown else "   ".join([first, *rest]).rstrip()

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    bar = line(rule) if markdown else "-" * len(line(["x" * width for width in widths]))
    return "\n".join([line(head), bar, *map(line, rows)])


HEAD = ("model", "peer", "first call", "eager", "peer's", "speed-up", "error rms / max", "peak memory")


def rows(results: Sequence[dict[str, Any]]) -> list[list[str]]:
    """One row for each result; failures and refusals say why."""
    table = []
    for result in results:
        row = [result["model"], result["peer"]]
        if "ms" in result:
            speed = result["eager_ms"] / result["ms"]
            row += [f"{result['first_call_s']:.1f} s", milliseconds(result["eager_ms"])]
            row += [milliseconds(result["ms"]), f"{speed:.2f}×", errors(result)]
            row += [f"{result['peak_mb']:.0f} MB"]
        else:
            row += ["–"] * 5 + ["not applicable" if "unsuitable" in result else "failed"]
        table.append(row)
    return table


def milliseconds(value: float) -> str:
    return f"{value * 1e3:.1f} µs" if value < 0.1 else f"{value:.3g} ms"


def errors(result: dict[str, Any]) -> str:
    """Both ratios, marked where the fp64 rule does not hold."""
    limit = LIMIT[find(result["model"]).is_half]
    worst = max(result["rms_ratio"], result["max_ratio"])
    mark = " !" if worst > limit else ""
    return f"{result['rms_ratio']:.2f} / {result['max_ratio']:.2f}{mark}"


def remarks(results: Sequence[dict[str, Any]]) -> list[str]:
    """Why there is no figure where there is none."""
    found = []
    for result in results:
        reason = result.get("error") or result.get("unsuitable")
        if reason:
            found.append(f"{result['model']}, {result['peer']}: {reason}")
    return found
