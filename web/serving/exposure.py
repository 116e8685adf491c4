"""Who can reach a server, by the address that it listens on."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address, ip_address

from web.guards.origin import is_loopback

__all__ = ["exposure", "only_here"]


def only_here(host: str) -> bool:
    """Whether no other machine reaches a server on this address, however it is written: 127.1, 0:0:0:0:0:0:0:1."""
    name = host.casefold().removesuffix(".")
    if is_loopback(name):
        return True
    try:
        address = ip_address(name)
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return (mapped or address).is_loopback
    except ValueError:
        pass
    try:
        return name.strip() == name and socket.inet_aton(name)[0] == 127
    except OSError:
        return False  # a name


def exposure(host: str) -> tuple[str, str] | None:
    """(what others can do, what to do about it) of a server on this address; None where it is loopback."""
    if only_here(host):
        return None
    return (
        f"listens on {host}, so other machines can reach it, without encryption: keys and speech can be overheard",
        "put a reverse proxy with a certificate in front (docs/operating.md; browsers give pages the microphone over "
        "HTTPS or on localhost only), or leave it on 127.0.0.1",
    )
