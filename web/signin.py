"""Signing a browser in: one-time codes, and the cookie that follows.

A code works once and for ten minutes. It is used up by the POST of the page behind the link, not by the GET: chat
programs, mail scanners and browsers fetch links ahead, and would burn it. The POST comes from our own page, so the
`SameSite=Strict` cookie it sets also goes along to the page it leads to, wherever the link was clicked.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from models.clock import Clock

__all__ = ["CODE_LIFE_S", "COOKIE", "COOKIE_LIFE_S", "SignInCodes", "make_cookie", "read_cookie"]

CODE_LIFE_S = 600.0
COOKIE = "parley_session"
COOKIE_LIFE_S = 30 * 24 * 3600
_MAX_CODES = 64
_CLOCK_BACK_S = 24 * 3600
"""A clock that was set back, or of a machine that has just been started, signs nobody out."""


class SignInCodes:
    """The codes that are out. At most 64: a further one drops the oldest. Codes are kept as hashes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends_s: dict[str, float] = {}

    def issue(self) -> str:
        code = secrets.token_urlsafe(24)
        self._drop_old()
        while len(self._ends_s) >= _MAX_CODES:
            del self._ends_s[next(iter(self._ends_s))]
        self._ends_s[_hash(code)] = self._clock.now() + CODE_LIFE_S
        return code

    def redeem(self, code: str) -> bool:
        """Use a code up. True exactly once for each code, within its life."""
        self._drop_old()
        return self._ends_s.pop(_hash(code), None) is not None

    def _drop_old(self) -> None:
        now = self._clock.now()
        for code in [code for code, ends_s in self._ends_s.items() if ends_s <= now]:
            del self._ends_s[code]


def make_cookie(secret: bytes, now_unix_s: int) -> str:
    """A signed random session id with its date: "id.date.signature". Nothing has to be kept for it."""
    session = f"{secrets.token_urlsafe(16)}.{now_unix_s}"
    return f"{session}.{_sign(secret, session)}"


def read_cookie(secret: bytes, value: str, now_unix_s: int) -> str | None:
    """The session id of a cookie that is ours and not too old, else None."""
    session, _, signature = value.rpartition(".")
    name, _, made = session.rpartition(".")
    if not name or not hmac.compare_digest(_sign(secret, session).encode(), signature.encode("utf-8", "replace")):
        return None
    if not -_CLOCK_BACK_S <= now_unix_s - int(made) < COOKIE_LIFE_S:
        return None
    return name


def _sign(secret: bytes, text: str) -> str:
    digest = hmac.digest(secret, text.encode("utf-8", "replace"), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()
