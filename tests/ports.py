"""Ports nobody uses at the moment."""

from __future__ import annotations

import random
import socket

__all__ = ["free_port", "free_port_block"]


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def free_port_block(length: int = 32) -> int:
    """The first of `length` consecutive free ports, below the range that the system hands out by itself."""
    for _ in range(200):
        first = random.randrange(12000, 31000 - length)
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
