"""Ports nobody uses at the moment."""

from __future__ import annotations

import os
import random
import socket

__all__ = ["free_port", "free_port_block"]


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


_BLOCKS = range(12000, 31000)
_SHARES = 8


def free_port_block(length: int = 32) -> int:
    """The first of `length` consecutive free ports, below the range that the system hands out by itself.

    Test processes that run side by side (up to 8) look in different parts of it: a block is not taken yet when it
    is handed out, so that another process would find it free, too.
    """
    share = len(_BLOCKS) // _SHARES
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    start = _BLOCKS.start + number % _SHARES * share
    for _ in range(200):
        first = random.randrange(start, start + share - length)
        if all(_is_free(port) for port in range(first, first + length)):
            return first
    raise RuntimeError(f"no {length} consecutive free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
