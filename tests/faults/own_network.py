"""A network of one's own for a process, with nothing in it but the loopback; for tests."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
import sys

import pytest

__all__ = ["loopback", "make", "mount_over", "told_by"]

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000  # sched.h
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000  # sys/mount.h
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1  # linux/sockios.h, net/if.h


def make() -> bool:
    """This process gets it, and mounts that nobody else sees. Whether that can be had here."""
    wanted = _CLONE_NEWNS | _CLONE_NEWNET | (0 if os.geteuid() == 0 else _CLONE_NEWUSER)
    libc = ctypes.CDLL(None)
    if libc.unshare(wanted) or libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None):
        return False
    try:
        loopback(up=True)
    except OSError:
        return False
    return True


def loopback(*, up: bool) -> None:
    import fcntl

    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP if up else 0))


def mount_over(file: str, by: str) -> bool:
    """Whether `file` now reads as `by` does."""
    return ctypes.CDLL(None).mount(by.encode(), file.encode(), None, _MS_BIND, None) == 0


def told_by(module: str) -> list[str]:
    """The lines that it prints; skips the test where it prints `none` only: no such network."""
    if sys.platform != "linux":
        pytest.skip("a network of one's own")
    ended = subprocess.run([sys.executable, "-m", module], stdout=subprocess.PIPE, text=True, timeout=120, check=True)
    told = ended.stdout.splitlines()
    if told == ["none"]:
        pytest.skip("no network of one's own can be made here")
    return told
