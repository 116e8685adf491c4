"""The worker as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from llm.workers.local_only import LocalOnly
from models.errors import ParleyError
from voice.worker.body_limit import BodyLimit
from voice.worker.engine import Recogniser, Speaker
from voice.worker.errors import on_bug, on_http_exception, on_parley_error
from voice.worker.speech_routes import speech_routes
from voice.worker.transcription_routes import transcription_routes

__all__ = ["create_app"]

MAX_BODY_BYTES = 26 * 2**20
"""OpenAI takes files up to 25 MB; the rest is the multipart form around them."""


def create_app(part: Recogniser | Speaker, on_load_failed: Callable[[Exception], None]) -> Starlette:
    """`GET /health` says loading (503) until the engine is there, then ok (200)."""

    async def health(request: Request) -> JSONResponse:
        status = "ok" if part.ready else "loading"
        body = {"status": status, "engine": part.name, "model": part.model, "waiting": part.thread.waiting}
        return JSONResponse(body, 200 if part.ready else 503)

    async def load() -> None:
        try:
            await part.load()
        except Exception as error:
            on_load_failed(error)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(load)
            yield
            tasks.cancel_scope.cancel()
            part.thread.stop()

    routes = speech_routes(part) if isinstance(part, Speaker) else transcription_routes(part)
    return Starlette(
        routes=[Route("/health", health), *routes],
        middleware=[Middleware(LocalOnly), Middleware(BodyLimit, max_bytes=MAX_BODY_BYTES)],
        exception_handlers={ParleyError: on_parley_error, HTTPException: on_http_exception, Exception: on_bug},
        lifespan=lifespan,
    )
