"""Where a download may connect to. A name on the public internet must not lead into the house.

A model's address, or a redirect on the way to it, could point at a router's page or a cloud's metadata service
(server-side request forgery). So addresses are checked where the connection is made, after the name was resolved:
a name that resolves differently the second time gains nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from models.errors import DownloadRefused

__all__ = ["GuardedResolver", "check_url"]


def check_url(url: str, trusted_hosts: Collection[str]) -> None:
    """Raises DownloadRefused unless the URL is https to a public host, or http(s) to a trusted one."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host.encode("idna")
        _ = parts.port
    except ValueError:
        raise DownloadRefused(f"{url[:200]!r} is no address", hint="give an https:// URL") from None
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
        raise DownloadRefused(f"{parts.scheme or 'no'}:// addresses are not downloaded", hint="give an https:// URL")
    if host in trusted_hosts:
        return
    if parts.scheme != "https":
        raise DownloadRefused(f"{host} is not asked without encryption", hint="give an https:// URL")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return  # a name: its addresses are looked at when they are known
    if not address.is_global:
        raise DownloadRefused(f"{host} is an address of a private network")


class GuardedResolver(AbstractResolver):
    """Resolves as usual and leaves out addresses that are not public, except for trusted hosts."""

    def __init__(self, trusted_hosts: Collection[str]) -> None:
        self._trusted = frozenset(trusted_hosts)
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)  # type: ignore[arg-type]
        if host in self._trusted:
            return found
        public = [result for result in found if ipaddress.ip_address(result["host"].split("%")[0]).is_global]
        if not public:
            raise DownloadRefused(f"{host} leads into a private network")
        return public

    async def close(self) -> None:
        await self._resolver.close()
