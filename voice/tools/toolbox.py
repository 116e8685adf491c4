"""The tools that the server runs for its sessions: those of voice/tools/ that are offered, declared HTTP tools."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio
import structlog

from models.clock import Clock
from models.errors import ParleyError, SettingsError
from models.outbound import GuardedResolver
from models.registry import discover
from voice.settings import ToolSettings
from voice.tools.http_tool import http_tool
from voice.tools.spec import ToolFailed, ToolSpec

__all__ = ["ToolBox", "open_toolbox"]

MAX_RESULT = 100_000
"""Characters of one result: more fits no model."""

log = structlog.get_logger(__name__)


class ToolBox:
    """Read-only; shared by all sessions. `schemas` by name, as a chat completion wants them."""

    def __init__(self, tools: Iterable[ToolSpec], clock: Clock) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._clock = clock
        self.schemas: Mapping[str, Mapping[str, Any]] = {name: tool.schema() for name, tool in self._tools.items()}

    async def run(self, name: str, arguments: str, timeout_s: float) -> str:
        """The result as text; what goes wrong is a JSON object with an `error`, for the model to read."""
        try:
            given = json.loads(arguments or "{}")
            if not isinstance(given, dict):
                return _error("the arguments are no JSON object")
        except (ValueError, RecursionError):
            return _error("the arguments are not JSON")
        try:
            with anyio.fail_after(timeout_s):
                return (await self._tools[name].run(given, self._clock))[:MAX_RESULT]
        except TimeoutError:
            return _error("the tool did not answer in time")
        except ToolFailed as error:
            return _error(error.message)
        except Exception as error:  # a tool is somebody's own code: whatever it raises ends the call, not the session
            log.error("tool failed", tool=name, error=type(error).__name__)
            return _error("the tool failed")


@asynccontextmanager
async def open_toolbox(settings: ToolSettings, clock: Clock) -> AsyncIterator[ToolBox]:
    """Raises SettingsError for a tool that is offered and not there, or that may not be asked."""
    known: dict[str, ToolSpec] = discover("voice.tools")
    offered = []
    for name in settings.offer:
        if name not in known:
            raise SettingsError(f"voice.tools.offer: there is no tool {name!r}", hint=f"known: {', '.join(known)}")
        offered.append(known[name])
    connector = aiohttp.TCPConnector(resolver=GuardedResolver(settings.trusted_hosts))
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
        for declared in settings.http:
            if any(tool.name == declared.name for tool in offered):
                raise SettingsError(f"voice.tools: two tools are called {declared.name!r}")
            try:
                offered.append(http_tool(declared, settings.trusted_hosts, http))
            except ParleyError as error:
                hint = "add its host to voice.tools.trusted_hosts if you trust it"
                raise SettingsError(f"voice.tools.http: {declared.name}: {error.message}", hint=hint) from None
        yield ToolBox(offered, clock)


def _error(message: str) -> str:
    return json.dumps({"error": message})
