"""What it means to listen on more than loopback."""

from __future__ import annotations

from web.guards.origin import is_loopback

__all__ = ["exposure"]


def exposure(host: str) -> tuple[str, str] | None:
    """(what others can do, what to do about it) of a server on this address; None where it is loopback."""
    if is_loopback(host):
        return None
    return (
        f"listens on {host}, so other machines can reach it, without encryption: keys and speech can be overheard",
        "put a reverse proxy with a certificate in front (docs/operating.md; browsers give pages the microphone over "
        "HTTPS or on localhost only), or leave it on 127.0.0.1",
    )
