"""Nothing under test may leave this machine: connections and name look-ups outside loopback are refused.

Python imports a module of this name at start-up when its folder is on PYTHONPATH; that is how the guard also gets
into the processes that a test starts. tests/conftest.py installs it in the test process itself, and fails the test
that tried even when the code under test swallowed the error.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Any

attempts: list[str] = []
"""What was refused since the list was last emptied."""

_installed = False


class NetworkBlocked(OSError):
    """A test, or what it runs, wanted to talk to another machine."""


def install() -> None:
    """Refuse from now on. An audit hook cannot be taken out again, so this happens once a process."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_audit)


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = args[1]
        if isinstance(address, tuple) and address and isinstance(address[0], str) and not _is_loopback(address[0]):
            _refuse(f"{event} to {address[0]}:{address[1]}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0].decode(errors="replace") if isinstance(args[0], bytes) else args[0]
        if isinstance(host, str) and host.endswith(".invalid"):
            # RFC 6761: never exists. Tests of "no such host" get their answer without asking a name server.
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if isinstance(host, str) and not _is_loopback(host):
            _refuse(f"{event} of {host}")


def _refuse(what: str) -> None:
    attempts.append(what)
    raise NetworkBlocked(f"{what}: tests stay on this machine")


def _is_loopback(host: str) -> bool:
    if host in ("", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


if __name__ == "sitecustomize":
    install()
