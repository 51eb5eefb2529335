"""Ferroductor: a compiler backend for torch.compile that needs no C++ toolchain.

    torch.compile(model, backend="ferroductor")

Importing this package is not needed for that. It offers what one asks afterwards: `report()` tells
what ran where, `options()` lists the options.
"""

from __future__ import annotations

from typing import Any

from ferroductor import _ferroductor
from ferroductor._ferroductor import CompileError

__version__: str = _ferroductor.__version__

__all__ = ["CompileError", "Report", "__version__", "options", "report", "reset"]


class Report:
    """What became of every graph compiled since the last `reset()`."""

    def __init__(self, graphs: list[Any]) -> None:
        self._graphs = graphs

    @property
    def graphs(self) -> list[dict[str, Any]]:
        """One dict for each graph, in the order of compilation."""
        return [graph.as_dict() for graph in self._graphs]

    def __len__(self) -> int:
        return len(self._graphs)

    def __str__(self) -> str:
        if not self._graphs:
            return "Ferroductor has compiled no graph yet."
        texts = [str(graph).rstrip() for graph in self._graphs]
        return "\n".join([*texts, _ferroductor.report_totals(self._graphs)])

    __repr__ = __str__


def report() -> Report:
    """Tells for each compiled graph what ran native, in a library or in ATen, and why."""
    from ferroductor import backend

    return Report(list(backend.reports))


def reset() -> None:
    """Forgets the reports."""
    from ferroductor import backend

    backend.reports.clear()


def options() -> list[dict[str, Any]]:
    """Every option: its name, values, default, environment variable and meaning."""
    return _ferroductor.known_options()


def __getattr__(name: str) -> Any:
    if name in ("diagnose", "doctor"):
        import importlib

        doctor = importlib.import_module("ferroductor.doctor")
        return doctor if name == "doctor" else doctor.diagnose
    raise AttributeError(f"module 'ferroductor' has no attribute {name!r}")
