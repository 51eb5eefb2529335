"""The memory of this process and of all it has started, watched while something runs."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from pathlib import Path
from typing import Any

_INTERVAL = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Watch:
    """`with Watch() as watch: …`, then `watch.peak_mb`: the largest sum over the process tree."""

    def __enter__(self) -> Watch:
        release_unused()
        self._peak = resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()
        self._peak = max(self._peak, resident())

    def _sample(self) -> None:
        while not self._over.wait(_INTERVAL):
            self._peak = max(self._peak, resident())

    @property
    def peak_mb(self) -> float:
        return self._peak / (1 << 20)


def release_unused() -> None:
    """Gives memory that nobody uses back to the system, so that it does not count."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def resident() -> int:
    """Bytes in memory, of this process and its descendants. Shared pages count for each."""
    waiting, total = [os.getpid()], 0
    while waiting:
        process = Path(f"/proc/{waiting.pop()}")
        try:
            total += int((process / "statm").read_text().split()[1]) * _PAGE
            for thread in (process / "task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())
        except (OSError, ValueError, IndexError):
            continue  # it ended meanwhile
    return total
