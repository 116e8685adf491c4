"""Ports nobody uses at the moment."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Sequence

__all__ = ["free_port", "free_port_block"]

_RANGE = range(11_000, 32_000)
"""Below what systems hand out by themselves (Linux: from 32768 on): there a connection of any program on the machine
may take the port before its server does, and one to a port where nobody listens may even reach itself. Above 10080,
which browsers refuse."""
_SHARES = 8
"""Test processes that run side by side (up to so many) look in different parts of the range: a port is not taken yet
when it is handed out, so that another process would find it free, too."""
_SINGLE = 600
"""Ports of a share that are handed out one by one; the others in blocks."""
_BLOCK = 32


def free_port() -> int:
    """A port that was free a moment ago, and that this process has not handed out for a while."""
    return _take(_singles, 1)


def free_port_block(length: int = _BLOCK) -> int:
    """The first of `length` (up to 32) consecutive free ports, by the same rules."""
    assert length <= _BLOCK
    return _take(_blocks, length)


def _share() -> range:
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = len(_RANGE) // _SHARES
    start = _RANGE.start + number % _SHARES * size
    return range(start, start + size)


def _in_any_order(ports: Sequence[int]) -> list[int]:
    """Another one in every run: two of them may go on at the same time."""
    return random.SystemRandom().sample(ports, len(ports))


_singles = _in_any_order(_share()[:_SINGLE])
_blocks = _in_any_order(_share()[_SINGLE : -(_BLOCK - 1) : _BLOCK])


def _take(first_ports: list[int], length: int) -> int:
    for _ in range(len(first_ports)):
        first = first_ports.pop(0)
        first_ports.append(first)
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
