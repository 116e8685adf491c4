"""Keys of a short life (`ek_...`) that open Realtime sessions: for browsers, which should not hold a real key.

They are kept in memory only, as hashes; a restart forgets them, and so does a new admin key. One is good for any
number of sessions until it expires, and for nothing else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models.clock import Clock
from models.errors import ParleyError
from web.keys import fingerprint

__all__ = ["PREFIX", "ClientSecret", "ClientSecrets", "TooManySecrets"]

PREFIX = "ek_"
MOST_SECRETS = 10_000


class TooManySecrets(ParleyError):
    code = "overloaded"
    retryable = True
    default_hint = "wait until some of them expire, or ask for shorter ones"


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """`user` made it and owns its sessions; `session` is the session object that they begin with."""

    user: str
    session: Mapping[str, Any]
    expires_at: int
    """Unix seconds: what is told."""
    ends_s: float = 0.0
    """Monotonic seconds: what counts, for the time of day may be set."""
    key_id: str = ""
    """Of the admin key under which it was made."""


class ClientSecrets:
    """Used from one event loop."""

    def __init__(self, clock: Clock, key_id: Callable[[], str] = lambda: "") -> None:
        """`key_id()` is another one once the admin key is replaced."""
        self._clock, self._key_id = clock, key_id
        self._kept: dict[str, ClientSecret] = {}

    def make(self, user: str, session: Mapping[str, Any], ttl_s: int) -> tuple[str, ClientSecret]:
        """A new one: (value, what is kept of it). Raises TooManySecrets."""
        if len(self._kept) >= MOST_SECRETS:
            self._expire()
        if len(self._kept) >= MOST_SECRETS:
            raise TooManySecrets(f"{len(self._kept)} client secrets are alive")
        value = PREFIX + secrets.token_urlsafe(32)
        told = int(self._clock.wall().timestamp()) + ttl_s
        made = ClientSecret(user, session, told, self._clock.now() + ttl_s, self._key_id())
        self._kept[fingerprint(value)] = made
        return value, made

    def find(self, value: str) -> ClientSecret | None:
        """None for one that is unknown or over. The look-up is by hash: its time says nothing of the value."""
        found = self._kept.get(fingerprint(value)) if value.startswith(PREFIX) else None
        return found if found is not None and self._holds(found) else None

    def _holds(self, secret: ClientSecret) -> bool:
        return secret.ends_s > self._clock.now() and secret.key_id == self._key_id()

    def _expire(self) -> None:
        for name in [name for name, secret in self._kept.items() if not self._holds(secret)]:
            del self._kept[name]
