"""What every kind of server says to questions about itself, by its documentation; `serving` serves one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

__all__ = ["SERVERS", "Served", "serving"]

_LIST = {"object": "list"}
OLLAMA_TAGS = {"models": [{"name": "qwen3:4b", "model": "qwen3:4b", "size": 1, "digest": "d", "details": {}}]}
SERVERS: dict[str, dict[str, Any]] = {
    "ollama": {
        "/api/version": {"version": "0.15.1"},
        "/api/tags": OLLAMA_TAGS,
        "/api/ps": {"models": [{"name": "qwen3:4b", "model": "qwen3:4b", "context_length": 8192}]},
        "/v1/models": {**_LIST, "data": [{"id": "qwen3:4b", "object": "model", "owned_by": "library"}]},
    },
    "vllm": {
        "/version": {"version": "0.14.0"},
        "/ping": {},
        "/health": None,
        "/v1/models": {**_LIST, "data": [{"id": "qwen3:4b", "owned_by": "vllm", "max_model_len": 8192}]},
    },
    "tabbyapi": {
        "/health": {"status": "healthy", "issues": []},
        "/props": {"default_generation_settings": {"n_ctx": 1}, "total_slots": 1},
        "/v1/model": {"id": "qwen3:4b", "object": "model", "parameters": {"max_seq_len": 8192}},
        "/v1/model/list": {**_LIST, "data": []},
        "/v1/models": {**_LIST, "data": [{"id": "qwen3:4b", "owned_by": "tabbyAPI"}]},
    },
    "llamacpp": {
        "/health": {"status": "ok"},
        "/props": {"default_generation_settings": {"n_ctx": 8192}, "total_slots": 4},
        "/v1/models": {**_LIST, "data": [{"id": "qwen3:4b", "owned_by": "llamacpp", "meta": {"n_ctx_train": 32768}}]},
    },
    "lmstudio": {
        "/api/v1/models": {
            "models": [
                {
                    "type": "llm",
                    "key": "qwen3:4b",
                    "max_context_length": 32768,
                    "loaded_instances": [{"id": "qwen3:4b", "config": {"context_length": 8192}}],
                }
            ]
        },
        "/v1/models": {**_LIST, "data": [{"id": "qwen3:4b", "owned_by": "organization_owner"}]},
    },
    "tgi": {
        "/health": None,
        "/info": {"model_id": "qwen3:4b", "max_input_tokens": 8191, "max_total_tokens": 8192, "version": "3.3"},
        "/v1/models": {**_LIST, "data": [{"id": "qwen3:4b", "owned_by": "qwen3:4b"}]},
    },
    "airllm": {
        "/health": {"status": "ok"},
        "/v1/models": {**_LIST, "data": [{"id": "qwen3:4b", "owned_by": "airllm", "max_model_len": 8192}]},
    },
    "openai": {"/v1/models": {**_LIST, "data": [{"id": "qwen3:4b", "owned_by": "system", "context_length": 8192}]}},
}


class Served:
    """`url` is the root; `posted` are (path, body) of the POSTs; `answers` may be changed: path -> (status, data)."""

    def __init__(self, kind: str) -> None:
        self.url = ""
        self.gets = SERVERS[kind]
        self.posted: list[tuple[str, Any]] = []
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.failing: dict[str, int] = {}
        """GETs that are answered with an error: path -> status."""
        self.silent: set[str] = set()
        """GETs that it breaks off without an answer."""
        self.in_turn: dict[str, list[Any]] = {}
        """GETs whose answer changes: path -> the next answers."""
        self.refuses: tuple[str, ...] = ()
        """Fields that are none of its own, as Mistral's API says it."""
        self.starting = False
        """It says 503 to everything, as llama.cpp does until its model is there."""

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.starting:
            return web.json_response({"error": {"message": "Loading model", "code": 503}}, status=503)
        if request.method == "GET" and request.path in self.silent and request.transport is not None:
            request.transport.close()
        if request.method == "GET" and request.path in self.failing:
            return web.json_response({"error": {"message": "no"}}, status=self.failing[request.path])
        if request.method == "GET" and self.in_turn.get(request.path):
            return web.json_response(self.in_turn[request.path].pop(0))
        if request.method == "GET":
            if request.path not in self.gets:
                return web.json_response({"detail": "Not Found"}, status=404)
            body = self.gets[request.path]
            return web.Response() if body is None else web.json_response(body)
        body = await request.json()
        self.posted.append((request.path, body))
        if odd := [field for field in self.refuses if field in body]:
            wrong = {"type": "extra_forbidden", "loc": ["body", odd[0]], "msg": "Extra inputs are not permitted"}
            return web.json_response({"object": "error", "message": {"detail": [wrong]}, "code": None}, status=422)
        status, data = self.answers.get(request.path, (404, b'{"error":{"message":"File Not Found","code":404}}'))
        kind = "text/event-stream" if data.startswith(b"data:") else "application/json"
        return web.Response(status=status, body=data, content_type=kind)


@asynccontextmanager
async def serving(kind: str) -> AsyncIterator[Served]:
    served = Served(kind)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", served._handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield served
    finally:
        await runner.cleanup()
