"""What every request passes, on a real server around three plain endpoints."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator

import aiohttp
import anyio
import pytest
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from models.clock import SystemClock
from tests.web.served_here import client_of
from web.app import guards
from web.guards.access_log import masked
from web.guards.authenticate import principal_of
from web.guards.errors_to_answers import on_http_exception
from web.guards.origin import host_name, is_loopback
from web.http.body import read_object
from web.http.sse import while_connected
from web.keys import AdminKey, KeyRing
from web.serving.exposure import exposure
from web.settings import ServerSettings
from web.signin import COOKIE, make_cookie

KEY = "sk-the-admin-key"
AUTH = {"Authorization": f"Bearer {KEY}"}


async def _echo(request: Request) -> Response:
    return JSONResponse({"got": await read_object(request), "via": principal_of(request).via})


async def _page(request: Request) -> Response:
    return HTMLResponse("<p>hello")


async def _wait(request: Request) -> Response:
    structlog.get_logger("tests").info("waits")
    await while_connected(request.receive, anyio.sleep_forever, scope=request.scope)
    raise AssertionError


async def _fault(request: Request) -> Response:
    raise ZeroDivisionError("with a secret in it")


async def _talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close()


def _app(keys: KeyRing, server: ServerSettings) -> Starlette:
    routes = [
        Route("/v1/echo", _echo, methods=["GET", "POST"]),
        Route("/page", _page),
        Route("/v1/fault", _fault),
        Route("/v1/waits", _wait),
        WebSocketRoute("/ws/{token}", _talk),
    ]
    return Starlette(
        routes=routes,
        middleware=guards(server, SystemClock(), keys, ["/page", "/ws/"]),
        exception_handlers={HTTPException: on_http_exception},
    )


@pytest.fixture
def keys() -> KeyRing:
    return KeyRing(AdminKey.of(KEY), local_key="sk-local")


@pytest.fixture
async def client(keys: KeyRing) -> AsyncIterator[aiohttp.ClientSession]:
    server = ServerSettings(
        log_level="debug", max_body_mb=1, allowed_hosts=("parley.lan",), allowed_origins=("https://app.example",)
    )
    async with client_of(_app(keys, server)) as client:
        yield client


def _cookie(keys: KeyRing) -> dict[str, str]:
    value = make_cookie(keys.cookie_secret, int(SystemClock().wall().timestamp()))
    return {"Cookie": f"{COOKIE}={value}"}


async def _error(response: aiohttp.ClientResponse) -> dict[str, object]:
    body = await response.json()
    assert {"message", "type", "param", "code"} <= set(body["error"])
    return dict(body["error"])


# ---- who asks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer sk-wrong"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": "Bearer"},
        {"Cookie": f"{COOKIE}=made.1.up"},
        {"Cookie": f"{COOKIE}={KEY}"},
    ],
)
async def test_without_a_key_nothing_is_answered(client: aiohttp.ClientSession, headers: dict[str, str]) -> None:
    for path in ("/v1/echo", "/v1/nothing", "/admin/api/users"):
        async with client.get(path, headers=headers) as response:
            assert response.status == 401
            assert (await _error(response))["code"] == "invalid_api_key"
            assert response.headers["www-authenticate"] == "Bearer"


async def test_key_and_cookie_are_answered(client: aiohttp.ClientSession, keys: KeyRing) -> None:
    for headers, via in ((AUTH, "key"), ({"Authorization": "bearer  sk-local "}, "key"), (_cookie(keys), "cookie")):
        async with client.get("/v1/echo", headers=headers) as response:
            assert response.status == 200
            assert (await response.json())["via"] == via


async def test_a_browser_is_sent_to_sign_in_and_public_pages_are_shown(client: aiohttp.ClientSession) -> None:
    browser = {"Accept": "text/html,*/*"}
    async with client.get("/admin/x", headers=browser, allow_redirects=False) as response:
        assert response.status == 303
        assert response.headers["location"] == "/signin?next=/admin/x"
    async with client.get("/page", headers=browser) as response:
        assert response.status == 200


# ---- what is refused, and how ------------------------------------------------------------------------------------


async def test_no_such_path_and_wrong_method(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/nothing", headers=AUTH) as response:
        assert response.status == 404
        assert (await _error(response))["code"] == "not_found"
    async with client.delete("/v1/echo", headers=AUTH) as response:
        assert response.status == 405
        assert (await _error(response))["code"] == "method_not_allowed"
        assert "POST" in response.headers["allow"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1]",
        b'"text"',
        b"null",
        b"7",
        b"\xff\xfe",
        b'{"a": "\\ud800"}',
        b'{"a": ' + b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b"a=b",
    ],
)
async def test_a_body_that_is_no_json_object(client: aiohttp.ClientSession, body: bytes) -> None:
    async with client.post("/v1/echo", data=body, headers=AUTH) as response:
        assert response.status == 400
        error = await _error(response)
        assert error["type"] == "invalid_request_error" and error["code"] == "invalid_request"


async def test_no_body_is_an_empty_object(client: aiohttp.ClientSession) -> None:
    async with client.post("/v1/echo", headers=AUTH) as response:
        assert (await response.json())["got"] == {}


async def test_a_giant_body_is_refused_and_the_answer_arrives(client: aiohttp.ClientSession) -> None:
    async with client.post("/v1/echo", data=io.BytesIO(b"x" * 3_000_000), headers=AUTH) as response:
        assert response.status == 413
        assert (await _error(response))["code"] == "request_too_large"

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 100_000

    async with client.post("/v1/echo", data=pieces(), headers=AUTH) as response:
        assert response.status == 413
    async with client.post("/v1/echo", json={"a": "b" * 900_000}, headers=AUTH) as response:
        assert response.status == 200


async def test_a_fault_of_ours_says_nothing_of_itself(client: aiohttp.ClientSession) -> None:
    with structlog.testing.capture_logs() as logs:
        async with client.get("/v1/fault", headers={**AUTH, "x-request-id": "mine-1"}) as response:
            assert response.status == 500
            error = await _error(response)
            assert "secret" not in json.dumps(error) and "mine-1" in str(error["hint"])
            assert response.headers["x-request-id"] == "mine-1"
    assert any(entry["event"] == "request.failed" for entry in logs)


async def test_a_client_that_leaves_is_no_fault(client: aiohttp.ClientSession) -> None:
    with structlog.testing.capture_logs() as logs:
        asking = asyncio.create_task(client.get("/v1/waits", headers=AUTH))
        with anyio.fail_after(60):
            while not any(entry["event"] == "waits" for entry in logs):
                await anyio.sleep(0.01)
            asking.cancel()
            while not any(entry["event"] == "request" for entry in logs):
                await anyio.sleep(0.01)
    assert "request.client_gone" in {entry["event"] for entry in logs}
    assert [entry["status"] for entry in logs if entry["event"] == "request"] == [499]
    assert not [entry for entry in logs if entry["log_level"] == "error"]


async def test_request_ids_and_headers(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/echo", headers={**AUTH, "x-request-id": "bad id!"}) as response:
        assert response.headers["x-request-id"].startswith("req_")
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert "server" not in response.headers
    async with client.get("/page") as response:
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy


# ---- other sites --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("127.0.0.1", True),
        ("localhost:4000", True),
        ("[::1]:4000", True),
        ("a.localhost", True),
        ("parley.lan", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("[::1", False),
        ("", False),
    ],
)
async def test_on_loopback_only_its_names_are_answered(client: aiohttp.ClientSession, host: str, taken: bool) -> None:
    async with client.get("/page", headers={"Host": host}) as response:
        assert response.status == (200 if taken else 403)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "https://[", "file://"])
async def test_pages_of_other_origins_change_nothing(
    client: aiohttp.ClientSession, keys: KeyRing, origin: str
) -> None:
    for headers in (AUTH, _cookie(keys)):
        async with client.post("/v1/echo", json={}, headers={**headers, "Origin": origin}) as response:
            assert response.status == 403
            assert (await _error(response))["code"] == "forbidden"


async def test_our_own_pages_and_allowed_origins_may(client: aiohttp.ClientSession, keys: KeyRing) -> None:
    ours = str(client._base_url).rstrip("/")
    for origin in (ours, "https://app.example"):
        async with client.post("/v1/echo", json={}, headers={**_cookie(keys), "Origin": origin}) as response:
            assert response.status == 200
    assert "x-request-id" in response.headers["access-control-expose-headers"]  # a page reads no others
    async with client.options(
        "/v1/echo",
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        },
    ) as response:
        assert response.status == 200
        assert response.headers["access-control-allow-origin"] == "https://app.example"
        assert "access-control-allow-credentials" not in response.headers


async def test_sockets_are_refused_to_pages_of_other_origins(client: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect("/ws/x", headers={"Origin": "https://evil.example"})
    assert refused.value.status == 403
    for headers in ({}, {"Origin": str(client._base_url).rstrip("/")}):
        async with client.ws_connect("/ws/x", headers=headers) as socket:
            await socket.send_str("hello")
            assert await socket.receive_str() == "hello"


async def test_a_socket_outside_the_public_paths_needs_a_key(client: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect("/elsewhere")
    assert refused.value.status == 401


# ---- logs ----------------------------------------------------------------------------------------------------------


async def test_no_credential_in_the_access_log(client: aiohttp.ClientSession) -> None:
    with structlog.testing.capture_logs() as logs:
        async with client.ws_connect("/ws/live-abcdefghijkl?key=sk-in-the-query") as socket:
            await socket.send_str("hello")
            await socket.receive()
        async with client.get("/signin/the-one-time-code", headers=AUTH) as response:
            assert response.status == 404
        await anyio.sleep(0.05)
    requests = [entry for entry in logs if entry["event"] == "request"]
    assert {entry["path"] for entry in requests} == {"/ws/live-...", "/signin/..."}
    for secret in ("abcdefghijkl", "in-the-query", "one-time-code", KEY):
        assert secret not in str(logs)


def test_masked_paths_stay_short_and_printable() -> None:
    assert masked("/v1/audio/live/live-abc/x") == "/v1/audio/live/live-.../x"
    assert masked("/a\nb\x1b[31m") == "/a?b?[31m"
    assert len(masked("/" + "a" * 5000)) <= 200


# ---- the raw socket ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /page HTTP/1.1\r\n\r\n",
        b"GET /page HTTP/1.0\r\nHost: evil.example\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /page HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n",
    ],
)
async def test_strange_requests_get_no_page_and_do_no_harm(
    client: aiohttp.ClientSession, request_bytes: bytes
) -> None:
    url = client._base_url
    assert url is not None and url.host is not None and url.port is not None

    def ask() -> bytes:
        with socket.create_connection((url.host, url.port), timeout=5) as raw:
            raw.sendall(request_bytes)
            raw.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := raw.recv(65536):
                answer += piece
            return answer

    answer = await anyio.to_thread.run_sync(ask)
    assert b" 200 " not in answer.split(b"\r\n")[0]
    async with client.get("/page") as response:
        assert response.status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "LOCALHOST", "localhost.", "::1", "0:0:0:0:0:0:0:1"])
async def test_loopback_is_known_however_it_is_written(keys: KeyRing, host: str) -> None:
    """Else a server that was started so would answer to a foreign name, which a page may make point here."""
    async with client_of(_app(keys, ServerSettings(host=host))) as client:
        headers = {"Host": "evil.example", "Authorization": f"Bearer {KEY}"}
        async with client.get("/v1/echo", headers=headers) as response:
            assert response.status == 403
    assert exposure(host) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "parley.example", "127.example", "", "fe80::1%lo"])
def test_what_others_can_reach_is_known(host: str) -> None:
    assert exposure(host) is not None


def test_host_names() -> None:
    assert host_name("[::1]:80") == "::1" and host_name("LOCALHOST") == "localhost" and host_name("[x") == ""
    assert is_loopback("127.8.9.1") and not is_loopback("127.1") and not is_loopback("128.0.0.1")
