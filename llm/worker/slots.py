"""The KV sequences, as llama.cpp's server shows its slots: GET /slots, POST /slots/{id}?action=save|restore|erase."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import get_args

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm.engine import SlotAction
from llm.worker.answers import JsonAnswer, read_body
from llm.worker.server import ModelServer, server_of
from models.errors import BadInput

__all__ = ["ROUTES", "conversation_mark"]

_NAME = re.compile(r"[\w][\w.\-]{0,127}")


async def _slots(request: Request) -> Response:
    """Every KV sequence: whether a request holds it, how many tokens it keeps, for which conversation."""
    bridge = server_of(request).bridge
    state = await bridge.state()
    return JsonAnswer(
        [
            {
                "id": row.id,
                "is_processing": row.busy,
                "n_ctx": bridge.engine.card.context,
                "n_tokens": row.tokens,
                "conversation": None if row.conversation is None else conversation_mark(row.conversation),
            }
            for row in state.sequences
        ]
    )


async def _act(request: Request) -> Response:
    server = server_of(request)
    number, action = request.path_params["number"], request.query_params.get("action", "")
    if action not in get_args(SlotAction):
        raise BadInput("action: save, restore or erase", param="action")
    if action == "erase":
        return JsonAnswer({"id_slot": number, "n_erased": await server.bridge.keep("erase", number, None)})
    body = await read_body(request)
    file = _file(server, body.get("filename"))
    if action == "save":
        await anyio.to_thread.run_sync(lambda: file.parent.mkdir(parents=True, exist_ok=True, mode=0o700))
        count = await server.bridge.keep("save", number, file)
        return JsonAnswer({"id_slot": number, "filename": body["filename"], "n_saved": count})
    if not await anyio.Path(file).is_file():
        raise BadInput(f"there is no {body['filename']!r}", param="filename", hint="save it first")
    count = await server.bridge.keep("restore", number, file)
    return JsonAnswer({"id_slot": number, "filename": body["filename"], "n_restored": count})


def _file(server: ModelServer, name: object) -> Path:
    """Inside the state folder, by a plain name."""
    folder = server.config.settings.state_dir
    if not folder:
        raise BadInput("this slot cannot save states", param="filename", hint="set state_dir in [llm.engine]")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput("filename: letters, digits, dots and dashes", param="filename")
    return Path(folder).expanduser() / f"saved-{name}"


def conversation_mark(conversation: str) -> str:
    """A conversation's name may be what opens its live session, so only its mark is shown."""
    return hashlib.sha256(conversation.encode("utf-8", "replace")).hexdigest()[:12]


ROUTES = [
    Route("/slots", _slots, methods=["GET"]),
    Route("/slots/{number:int}", _act, methods=["POST"]),
]
