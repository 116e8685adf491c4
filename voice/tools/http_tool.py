"""A tool that the operator declared in parley.toml: one HTTP request to an address of theirs.

The model chooses the arguments only: they go into the query (GET) or a JSON body, never into the address. Redirects
are not followed, and an answer is read up to a bound.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from models.clock import Clock
from models.outbound import check_url
from voice.settings import HttpToolSettings
from voice.tools.spec import ToolFailed, ToolSpec

__all__ = ["http_tool"]

MAX_ANSWER_BYTES = 64 * 1024


def http_tool(settings: HttpToolSettings, trusted_hosts: tuple[str, ...], http: aiohttp.ClientSession) -> ToolSpec:
    """Raises DownloadRefused for an address that tools may not ask. `http` resolves with a GuardedResolver."""
    check_url(settings.url, trusted_hosts)

    async def run(arguments: Mapping[str, Any], clock: Clock) -> str:
        query = {key: value if isinstance(value, str) else json.dumps(value) for key, value in arguments.items()}
        given: dict[str, Any] = {"params": query} if settings.method == "GET" else {"json": dict(arguments)}
        try:
            async with http.request(
                settings.method, settings.url, headers=dict(settings.headers), allow_redirects=False, **given
            ) as response:
                body = await response.content.read(MAX_ANSWER_BYTES)
                if response.status >= 300:
                    raise ToolFailed(f"the service answered with status {response.status}")
                return body.decode(response.charset or "utf-8", "replace")
        except (aiohttp.ClientError, OSError, LookupError) as error:
            raise ToolFailed(f"the service cannot be reached ({type(error).__name__})") from None

    return ToolSpec(settings.name, settings.description, settings.parameters, run)
