"""One line on a terminal that says what is being done; nothing where nobody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Progress:
    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0
        self._start = time.monotonic()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Shows `text` while the block runs."""
        if sys.stderr.isatty():
            elapsed = time.monotonic() - self._start
            share = self._done / max(self._steps, 1)
            left = f", about {elapsed / share - elapsed:.0f} s left" if share > 0 else ""
            line = f"[{self._done + 1}/{self._steps}] {text} ({elapsed:.0f} s{left})"
            sys.stderr.write(f"\r\033[K{line[:110]}")
            sys.stderr.flush()
        try:
            yield
        finally:
            self._done += 1
            if sys.stderr.isatty():
                sys.stderr.write("\r\033[K")
                sys.stderr.flush()
