"""Servers whose certificate is not trusted: expired, for another name, or signed by nobody that is known."""

from __future__ import annotations

import aiohttp

__all__ = ["UNTRUSTED_HINT", "untrusted"]

UNTRUSTED_HINT = (
    "the environment's SSL_CERT_FILE names the authorities that are trusted; is this machine's clock right?"
)


def untrusted(error: aiohttp.ClientConnectorCertificateError) -> str:
    said = getattr(error.certificate_error, "verify_message", "")
    return f"its certificate is not trusted: {said}" if said else "its certificate is not trusted"
