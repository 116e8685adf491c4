"""Keys and passwords that this process holds, and how they are kept out of everything that is said about it.

Whoever gets a secret says so here, once (`keep_secret`); every error's text and every line of the log passes through
`hidden`. So a server that sends our key back in its refusal, or a library that puts an address with a password into
its message, tells nobody. One set for the whole process, because the log is one, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

__all__ = ["hidden", "keep_headers", "keep_secret", "keep_url"]

_SHORTEST = 8
"""Shorter words would be cut out of texts that have nothing to do with them."""
_NO_SECRETS = frozenset(("lm-studio", "no-key-required", "sk-no-key-required", "not-needed", "anything", "password"))
"""What people write where a key is asked for and none is needed."""
_MOST = 4096

_known: dict[str, None] = {}

_LETS_IN = re.compile("auth|key|token|secret|cookie|password", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^\s/?#@]+@")
_QUERY = re.compile(
    r"([?&](?:[a-z_-]*(?:key|token|secret|password|signature)|sig|auth|access_token)=)[^&\s'\"<>]+", re.IGNORECASE
)


def keep_secret(value: str) -> None:
    """From now on `hidden` cuts it out. The longest unused are forgotten when there are thousands."""
    if value.strip().lower() in _NO_SECRETS:
        return
    for form in {value.strip(), quote(value.strip(), safe="")}:
        if len(form) >= _SHORTEST:
            _known.pop(form, None)
            _known[form] = None
    while len(_known) > _MOST:
        del _known[next(iter(_known))]


def keep_url(url: str) -> None:
    """The password in an address is a secret wherever it stands."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if password:
        keep_secret(unquote(password))
        keep_secret(password)


def keep_headers(headers: Mapping[str, str]) -> None:
    """Values of headers that let somebody in: Authorization, and those named after keys, tokens, secrets, cookies."""
    for name, value in headers.items():
        if isinstance(value, str) and _LETS_IN.search(name):
            keep_secret(value)
            keep_secret(value.rpartition(" ")[2])


def hidden(text: str) -> str:
    """The text without secrets: the known ones, what stands before the @ of an address, keys in its query."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, "...")
    if "://" in text:
        text = _USER.sub("...@", text)
    return _QUERY.sub(r"\1...", text) if "=" in text else text
