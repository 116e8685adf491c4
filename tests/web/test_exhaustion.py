"""What the machine has no more of is told as that: no trace, no 500."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable

import aiohttp
import pytest
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from tests.web.served_here import client_of
from web.exhaustion import exhausted
from web.guards.errors_to_answers import ErrorsToAnswers


def _no_thread() -> None:
    before = threading.stack_size(1 << 46)  # nothing has so much
    try:
        threading.Thread(target=print).start()
    finally:
        threading.stack_size(before)


def _no_memory() -> None:
    bytearray(1 << 60)


def _no_file() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


_WAYS = {"threads": _no_thread, "memory": _no_memory, "files": _no_file}


@pytest.mark.parametrize("what", _WAYS)
async def test_it_is_an_answer_to_come_again_and_no_trace(what: str) -> None:
    async def endpoint(request: Request) -> Response:
        _WAYS[what]()
        raise AssertionError

    app = ErrorsToAnswers(Router([Route("/", endpoint)]))
    async with client_of(app) as client:
        with structlog.testing.capture_logs() as logs:
            async with client.get("/", timeout=aiohttp.ClientTimeout(60)) as response:
                error = (await response.json())["error"]
    assert response.status == 503 and "retry-after" in response.headers
    assert error["code"] == "overloaded" and f"no more {what}" in error["message"] and "limit" in error["hint"]
    assert [entry["event"] for entry in logs] == ["request.refused"]


@pytest.mark.parametrize("way", _WAYS.values())
def test_it_is_found_in_a_group(way: Callable[[], None]) -> None:
    with pytest.raises(Exception) as caught:
        way()
    assert exhausted(ExceptionGroup("of tasks", [ExceptionGroup("inner", [caught.value])])) is not None


@pytest.mark.parametrize(
    "error", [RuntimeError("a fault"), ImportError("no module"), OSError(2, "none"), KeyError(1)]
)
def test_faults_of_ours_are_faults(error: Exception) -> None:
    assert exhausted(error) is None and exhausted(ExceptionGroup("", [error])) is None
