"""Two folders change places in one step: whoever looks sees one or the other, and a kill leaves no half."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

__all__ = ["exchange"]

_HERE = -100
"""AT_FDCWD: names without a folder are looked up in the current one."""
_EXCHANGE = 2
"""Linux's RENAME_EXCHANGE, and macOS's RENAME_SWAP."""


def exchange(one: Path, other: Path) -> bool:
    """False: the system or the file system has no such step (network file systems, FUSE), and nothing has changed."""
    libc = ctypes.CDLL(None)
    first, second = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            return bool(libc.renamex_np(first, second, _EXCHANGE) == 0)
        return bool(libc.renameat2(_HERE, first, _HERE, second, _EXCHANGE) == 0)
    except AttributeError:
        return False
