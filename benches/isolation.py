"""Puts the C++ toolchain out of this process's reach: no program in PATH, no Python header.

The headers are hidden for real where the system lets a process have mounts of its own (root, or user
namespaces): an empty folder is mounted over every folder that holds a Python.h. Elsewhere Python is
made to name an empty folder as the place of its headers.
"""

from __future__ import annotations

import ctypes
import os
import sys
import sysconfig
import tempfile
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_BIND = 4096
_MS_REC = 16384
_MS_PRIVATE = 1 << 18


def header_folders() -> list[Path]:
    """Every folder that holds a Python.h of the interpreters that are likely to be found."""
    roots = {Path(sysconfig.get_path(name)) for name in ("include", "platinclude")}
    prefixes = {Path(sys.base_prefix), Path(sys.prefix), Path("/usr"), Path("/usr/local")}
    for prefix in prefixes:
        roots.update((prefix / "include").glob("python3*"))
    return sorted(root for root in roots if (root / "Python.h").exists())


def hide_toolchain() -> str:
    """Hides it from this process and its children, for good; says how."""
    how = _mount_over_headers() or _redirect_headers()
    os.environ["PATH"] = ""
    for name in ("CC", "CXX", "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH"):
        os.environ.pop(name, None)
    return how


def _mount_over_headers() -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    folders = header_folders()
    if libc.unshare(_CLONE_NEWNS) != 0 and libc.unshare(_CLONE_NEWNS | _CLONE_NEWUSER) != 0:
        return ""
    if libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        return ""
    empty = tempfile.mkdtemp(prefix="no-headers-").encode()
    for folder in folders:
        if libc.mount(empty, os.fsencode(folder), None, _MS_BIND, None) != 0:
            return ""
    os.rmdir(empty) if not folders else None
    return "an empty folder is mounted over every Python.h" if not header_folders() else ""


def _redirect_headers() -> str:
    empty = tempfile.mkdtemp(prefix="no-headers-")
    ordinary = sysconfig.get_paths

    def without_headers(*args: object, **kwargs: object) -> dict[str, str]:
        return {**ordinary(*args, **kwargs), "include": empty, "platinclude": empty}

    sysconfig.get_paths = without_headers
    sysconfig.get_path = lambda name, *args, **kwargs: without_headers(*args, **kwargs)[name]
    return "Python names an empty folder as the place of its headers"
