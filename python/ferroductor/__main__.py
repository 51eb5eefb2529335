"""The command line: `ferroductor` or `python -m ferroductor`."""

from __future__ import annotations

import sys


def main() -> int:
    from ferroductor import _ferroductor

    return _ferroductor.command_line(["ferroductor", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
