"""What every endpoint does that asks a model to write: POST /v1/chat/completions, /v1/completions, /v1/responses.

Each of them turns its body into requests, and the events of their answers into its own wire format.
What lies between is here: who asks, what a client is told while it waits, images that are only named, an answer that
stops in the middle or never, and how it is sent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from llm.convert.media_fetch import with_media
from llm.errors import BackendFailed
from llm.messages import GenerateRequest
from llm.stream import Finish, ReasoningDelta, Relayed, StartedOver, StreamEvent, TextDelta, ToolCallDelta
from web.guards.authenticate import principal_of
from web.http.route_header import RouteHeader
from web.http.sse import EventStream, WaitComment, while_connected
from web.services import services_of

__all__ = ["Generation"]

_Result = TypeVar("_Result")
_MOST_BYTES, _EVENT_BYTES = 64 << 20, 160
"""Of an answer that is kept in memory, and of each of its events beside the text; no model writes so much."""


class Generation:
    """One request for something written. A client that hangs up stops the decoder."""

    def __init__(self, request: Request, *, stream: bool) -> None:
        services = services_of(request)
        self.principal = principal_of(request)
        self.created = int(services.clock.wall().timestamp())
        """Unix seconds."""
        self.on_route = RouteHeader(request)
        self._waits = WaitComment()
        self.on_wait = self._waits.tell if stream else None
        self._request, self._router = request, services.router

    async def with_media(self, asked: GenerateRequest) -> GenerateRequest:
        """The request with the images in it that it only named."""
        if not any(message.media for message in asked.messages):
            return asked
        return await self.while_connected(lambda: with_media(asked))

    async def events(
        self, asked: GenerateRequest, *, gathered: bool = False, hint: str = "set max_tokens, or ask for a stream"
    ) -> AsyncGenerator[StreamEvent, None]:
        """Of the model, to the last. Raises BackendFailed where they stop before, and, if they are `gathered`, with
        the hint where they do not stop.
        """
        finished, size = False, 0
        async with aclosing(self._router.generate(asked)) as events:
            async for event in events:
                finished = isinstance(event, Finish)
                if gathered:
                    size = 0 if isinstance(event, StartedOver) else size + _EVENT_BYTES + _length(event)
                    if size > _MOST_BYTES:
                        raise BackendFailed("the model's answer has no end", hint=hint)
                yield event
        if not finished:
            raise BackendFailed("the model's answer ended in the middle")

    async def while_connected(self, work: Callable[[], Awaitable[_Result]]) -> _Result:
        return await while_connected(self._request.receive, work, scope=self._request.scope)

    def streamed(self, events: AsyncGenerator[bytes, None]) -> Response:
        """The answer as server-sent events."""
        stream = EventStream(events, self._waits)
        self.on_route.headers = stream.headers
        return stream

    def whole(self, answer: dict[str, Any] | bytes) -> Response:
        """The answer in one piece; bytes are the JSON of another server."""
        if isinstance(answer, bytes):
            return Response(answer, media_type="application/json", headers=self.on_route.headers)
        return JSONResponse(answer, headers=self.on_route.headers)


def _length(event: StreamEvent) -> int:
    match event:
        case TextDelta() | ReasoningDelta():
            return len(event.text)
        case ToolCallDelta():
            return len(event.arguments)
        case Relayed():
            return len(event.data)
    return 0
