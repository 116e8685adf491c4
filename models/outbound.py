"""Where a download may connect to. A name on the public internet must not lead into the house.

A model's address, or a redirect on the way to it, could point at a router's page or a cloud's metadata service
(server-side request forgery). So addresses are checked where the connection is made, after the name was resolved:
a name that resolves differently the second time gains nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

import anyio
from aiohttp.abc import AbstractResolver, ResolveResult
from anyio.lowlevel import RunVar
from yarl import URL

from models.errors import DownloadRefused
from models.names import AT_ONCE, NameResolver

__all__ = ["GuardedResolver", "check_url"]

_CARRY_IPV4 = (
    ipaddress.IPv6Network("::/96"),  # RFC 4291 2.5.5.1, IPv4-compatible
    ipaddress.IPv6Network("::ffff:0:0/96"),  # RFC 4291 2.5.5.2, IPv4-mapped
    ipaddress.IPv6Network("64:ff9b::/96"),  # RFC 6052, NAT64
)
"""Addresses whose last 32 bits are the IPv4 address that is reached."""


def check_url(url: str, trusted_hosts: Collection[str]) -> None:
    """Raises DownloadRefused unless the URL is https to a public host, or http(s) to a trusted one.

    It is read as aiohttp reads it, which makes 127.0.0.1 of "127。0。0。1" and asks no resolver for that.
    """
    try:
        parts = URL(url)
        host = (parts.raw_host or "").lower()
        host.encode("idna")
    except ValueError:
        raise DownloadRefused(f"{url[:200]!r} is not an address", hint="give an https:// URL") from None
    if parts.user or parts.password:
        raise DownloadRefused("an address with a user or a password in it is not asked", hint="give an https:// URL")
    if parts.scheme not in ("http", "https") or not host:
        raise DownloadRefused(f"{parts.scheme or 'no'}:// addresses are not downloaded", hint="give an https:// URL")
    if host in trusted_hosts or parts.host in trusted_hosts:
        return
    if parts.scheme != "https":
        raise DownloadRefused(f"{host} is not asked without encryption", hint="give an https:// URL")
    try:
        public = _is_public(host)
    except ValueError:
        if host.replace(".", "").isdecimal():  # 127.1, which some resolvers take
            raise DownloadRefused(f"{host} is not an address", hint="give an https:// URL") from None
        return  # a name: its addresses are looked at when they are known
    if not public:
        raise DownloadRefused(f"{host} is an address of a private network")


def _is_public(text: str) -> bool:
    """Whether an address lies outside every private network. Raises ValueError for what is no address."""
    address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.sixtofour is not None:
            address = address.sixtofour
        elif any(address in network for network in _CARRY_IPV4):
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        elif address.is_site_local:
            return False
    return address.is_global and not address.is_multicast


_guarded: RunVar[anyio.CapacityLimiter] = RunVar("guarded")


def _limiter() -> anyio.CapacityLimiter:
    """All strangers' names together: they are not to take more threads than this, nor those of other servers."""
    try:
        return _guarded.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(AT_ONCE)
        _guarded.set(limiter)
        return limiter


class GuardedResolver(AbstractResolver):
    """Resolves as usual and leaves out addresses that are not public, except for trusted hosts."""

    def __init__(self, trusted_hosts: Collection[str]) -> None:
        self._trusted = frozenset(trusted_hosts)
        self._resolver = NameResolver(_limiter())

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)  # type: ignore[arg-type]
        if host in self._trusted:
            return found
        public = [result for result in found if _is_public(result["host"])]
        if not public:
            raise DownloadRefused(f"{host} leads into a private network")
        return public

    async def close(self) -> None:
        await self._resolver.close()
