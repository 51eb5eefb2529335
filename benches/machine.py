"""What the figures were measured on."""

from __future__ import annotations

import os
import platform


def describe() -> str:
    """CPU, cores and versions in one line."""
    import torch

    parts = [processor(), f"{len(os.sched_getaffinity(0))} cores"]
    parts.append(f"torch {torch.__version__.split('+')[0]}, Python {platform.python_version()}")
    return ", ".join(parts)


def processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
