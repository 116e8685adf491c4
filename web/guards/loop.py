"""A request that another Parley sends on, and that may have come through this one before."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from llm.remote.via import HEADER, came_through
from web.guards.raw_headers import header_of

__all__ = ["LoopGuard"]


class LoopGuard:
    """Refuses what would go in a circle; what else it asks for remembers where it came through."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._header = HEADER.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = header_of(scope, self._header) if scope["type"] == "http" and scope["method"] == "POST" else None
        if told is None:
            await self.app(scope, receive, send)
            return
        with came_through(told):
            await self.app(scope, receive, send)
