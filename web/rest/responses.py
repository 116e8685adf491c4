"""POST /v1/responses and what belongs to it: OpenAI's Responses API, answered by the models that chats are."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llm.convert.chat import parse_body
from llm.convert.response_writer import ResponseWriter
from llm.convert.responses import Item, items_of, request_of
from llm.messages import GenerateRequest
from llm.wire.responses import ResponsesRequest
from models.errors import BadInput, ParleyError
from web.errors import NotFound, NotSupported
from web.guards.authenticate import principal_of
from web.http.body import read_client_object
from web.http.generation import Generation
from web.http.sse import LastPiece
from web.response_store import KeptResponse
from web.services import services_of

__all__ = ["ROUTES"]

_log = structlog.get_logger("web")
_HINT = "the last answers are kept in memory, and not with store: false; send the conversation as input"


class _ResponseNotKept(BadInput):
    """OpenAI's code for it."""

    code = "previous_response_not_found"


async def _respond(request: Request) -> Response:
    """Whole or streamed. A client that hangs up stops the decoder, and nothing is kept."""
    asked = parse_body(ResponsesRequest, await read_client_object(request))
    generation = Generation(request, stream=bool(asked.stream))
    user, kept = generation.principal.user, services_of(request).responses
    before: tuple[Item, ...] = ()
    if asked.previous_response_id:
        found = kept.find(asked.previous_response_id, user)
        if found is None:
            name = asked.previous_response_id[:80]
            raise _ResponseNotKept(f"no response {name!r} is kept here", param="previous_response_id", hint=_HINT)
        before = found.conversation
    items = items_of(asked, lambda name: kept.item(name, user), _new_id)
    chat = request_of(
        asked,
        before,
        items,
        user=generation.principal.share(asked.user),
        on_route=generation.on_route,
        on_wait=generation.on_wait,
    )
    chat = await generation.with_media(chat)
    writer = ResponseWriter(asked, _new_id("resp_"), chat.model or "default", generation.created, _new_id)

    def keep() -> None:
        if asked.store is not False:
            kept.keep(writer.response, user, before, items)

    if asked.stream:
        return generation.streamed(_lines(generation, chat, writer, keep))

    async def work() -> None:
        async for _ in _written(generation, chat, writer):
            pass

    await generation.while_connected(work)
    keep()
    return generation.whole(writer.response)


async def _lines(
    generation: Generation, chat: GenerateRequest, writer: ResponseWriter, keep: Callable[[], None]
) -> AsyncGenerator[bytes, None]:
    """Begun when the model has: what goes wrong before is an ordinary error answer."""
    begun = False
    try:
        async with aclosing(_written(generation, chat, writer)) as written:
            async for events in written:
                begun = True
                if writer.over:
                    keep()  # before its client knows, who may build upon it at once
                    yield LastPiece(b"".join(map(_line, events)))
                elif events:
                    yield b"".join(map(_line, events))
    except ParleyError as error:
        if not begun:
            raise
        _log.warning("response.failed", code=error.code)
        events = writer.fail(error)
        keep()
        yield LastPiece(b"".join(map(_line, events)))


async def _written(
    generation: Generation, chat: GenerateRequest, writer: ResponseWriter
) -> AsyncGenerator[list[dict[str, Any]], None]:
    """The events of each of the model's events, to the last. They are gathered in any case: the response is kept."""
    async with aclosing(generation.events(chat, gathered=True, hint="set max_output_tokens")) as events:
        async for event in events:
            yield writer.events(event)


def _line(event: dict[str, Any]) -> bytes:
    data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event['type']}\ndata: {data}\n\n".encode()


def _new_id(prefix: str) -> str:
    return prefix + secrets.token_hex(24)


def _kept(request: Request) -> KeptResponse:
    name = request.path_params["response"]
    found = services_of(request).responses.find(name, principal_of(request).user)
    if found is None:
        raise NotFound(f"no response {name[:80]!r} is kept here", hint=_HINT)
    return found


async def _retrieve(request: Request) -> Response:
    if request.query_params.get("stream", "").lower() == "true":
        raise NotSupported("a response is not streamed again", param="stream", hint="leave out stream")
    return JSONResponse(_kept(request).response)


async def _delete(request: Request) -> Response:
    found = _kept(request)
    services_of(request).responses.remove(found.response["id"], found.owner)
    return JSONResponse({"id": found.response["id"], "object": "response", "deleted": True})


async def _input_items(request: Request) -> Response:
    """All that the model was given but for `instructions`, the latest first; pages as everywhere in OpenAI's API."""
    found, query = _kept(request), request.query_params
    items: list[Item] = [*found.before, *found.items]
    order, limit, after = query.get("order", "desc"), query.get("limit", "20"), query.get("after", "")
    if order not in ("asc", "desc"):
        raise BadInput("order: asc or desc", param="order")
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:4]) <= 100:
        raise BadInput("limit: 1 to 100", param="limit")
    if order == "desc":
        items.reverse()
    if after:
        place = next((place for place, item in enumerate(items) if item["id"] == after), None)
        if place is None:
            raise BadInput(f"after: no item {after[:80]!r}", param="after")
        items = items[place + 1 :]
    page = items[: int(limit)]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return JSONResponse({"object": "list", "data": page, **ends, "has_more": len(page) < len(items)})


ROUTES = [
    Route("/v1/responses", _respond, methods=["POST"]),
    Route("/v1/responses/{response}", _retrieve, methods=["GET"]),
    Route("/v1/responses/{response}", _delete, methods=["DELETE"]),
    Route("/v1/responses/{response}/input_items", _input_items, methods=["GET"]),
]
