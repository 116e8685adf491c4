"""The worker as an ASGI application: loads the model beside answering, and says so until it is there."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from llm.convert.chat import error_object
from llm.engine import Engine, EngineConfig, EngineSpec
from llm.errors import UnknownModel
from llm.worker.answers import JsonAnswer, Loading, error_answer
from llm.worker.bridge import Bridge
from llm.workers.local_only import LocalOnly
from models.errors import ParleyError

__all__ = ["ModelServer", "create_app", "server_of"]


CLOSE_WITHIN_S = 2.0
"""For the step that runs when the process is told to end."""


class _NotServed(ParleyError):
    code = "not_found"


class ModelServer:
    """One model and everything that endpoints need of it. `fail(reason)` ends the process."""

    def __init__(self, spec: EngineSpec, config: EngineConfig, fail: Callable[[str], None]) -> None:
        self.name = config.name
        self.config = config
        self.clock = config.clock
        self.created = int(config.clock.wall().timestamp())
        self.progress = 0.0
        self._spec = spec
        self._fail = fail
        self._bridge: Bridge | None = None
        self._engine: Engine | None = None

    @property
    def ready(self) -> bool:
        return self._bridge is not None

    @property
    def bridge(self) -> Bridge:
        if self._bridge is None:
            raise Loading(f"{self.name} is being loaded ({self.progress:.0%})")
        return self._bridge

    def close(self, timeout_s: float) -> None:
        """Let the engine end its step and put away what it keeps, where it is told to."""
        if self._engine is not None and (self.config.settings.state_dir or self.config.states is not None):
            self._engine.close(timeout_s)

    def check_model(self, name: str) -> None:
        """Raises UnknownModel for a name that is not this one's; none at all is fine."""
        if name not in ("", "default", self.name):
            raise UnknownModel(
                f"this worker serves {self.name!r}, not {name[:200]!r}",
                hint="leave model empty, or ask the gateway",
                param="model",
            )

    async def run(self) -> None:
        """Load, then watch until the engine dies or this is cancelled."""
        try:
            # A load cannot be stopped half way; when the process is to end, it ends without waiting for it.
            engine = await anyio.to_thread.run_sync(self._spec.load, self.config, abandon_on_cancel=True)
        except ParleyError as error:
            self._fail(f"{self.name} could not be loaded: {error}")
            return
        except Exception as error:  # a library's own: the supervisor shows this line
            self._fail(f"{self.name} could not be loaded: {type(error).__name__}: {error}")
            return
        gc.collect()
        gc.freeze()  # what is there now stays: to look through it again would hold up a reply for a tenth of a second
        self._engine = engine
        self._bridge = bridge = Bridge(engine, self.clock)
        await bridge.died.wait()
        self._bridge = None
        self._fail(f"the engine cannot go on: {bridge.reason}")


def create_app(server: ModelServer, routes: Sequence[BaseRoute]) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(server.run)
            yield
            group.cancel_scope.cancel()
        await anyio.to_thread.run_sync(server.close, CLOSE_WITHIN_S)

    app = Starlette(
        routes=list(routes),
        middleware=[Middleware(LocalOnly)],
        exception_handlers={ParleyError: _on_error, HTTPException: _on_http, Exception: _on_bug},
        lifespan=lifespan,
    )
    app.state.server = server
    return app


def server_of(request: Request) -> ModelServer:
    server = request.app.state.server
    assert isinstance(server, ModelServer)
    return server


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ParleyError)
    return error_answer(error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    wrong = _NotServed(f"{error.detail}: {request.method} {request.url.path[:200]}")
    return JsonAnswer(error_object(wrong), error.status_code, headers=dict(error.headers or {}))


async def _on_bug(request: Request, error: Exception) -> Response:
    return error_answer(ParleyError("this is a bug of the worker; its log has the trace"))
