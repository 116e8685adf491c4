"""Servers that cannot be trusted or reached: whoever asks them is told which of the two, at once, and what to do."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import anyio
import pytest
from aiohttp import web
from anyio.abc import SocketAttribute, SocketStream

from llm.client import BackendFactory
from llm.convert.media_fetch import fetched
from llm.errors import BackendUnreachable, LlmError
from llm.messages import ImagePart
from models import download
from models.download import Downloader
from models.errors import BadInput, DownloadFailed
from models.half_file import RemoteFile

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBojCCAUegAwIBAgIUAspwmC8Q0EcNgfGoMoPtpNfR5towCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNb3RoZXIuZXhhbXBsZTAgFw0yNjExMjIxNDQ2MzVaGA8yMTI2
MTAyOTE0NDYzNVowGDEWMBQGA1UEAwwNb3RoZXIuZXhhbXBsZTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABIB7o3AWZCusYTGZFiqyxLV1O+o2rCGgchxrCY7ePDCk
Al1YOnI0W6bDCtd+JaM0yFFM5szTb7qcDgdlsESPOiijbTBrMB0GA1UdDgQWBBSo
0w46BNrT/cP9aMj/l+w97QD+wzAfBgNVHSMEGDAWgBSo0w46BNrT/cP9aMj/l+w9
7QD+wzAPBgNVHRMBAf8EBTADAQH/MBgGA1UdEQQRMA+CDW90aGVyLmV4YW1wbGUw
CgYIKoZIzj0EAwIDSQAwRgIhAPH5thu0bvu2Ihc4OqMLFFwI5vpRgGik+BVPnm7Z
UvSiAiEAmKmCqLcwEdJVk5cDzEjr3JOKihVCQLeAjk0/pa7VOZw=
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggquvZn0x6q/O5tRa
t3vbXNet/H9rCM3Pv99RGVbI4ZChRANCAASAe6NwFmQrrGExmRYqssS1dTvqNqwh
oHIcawmO3jwwpAJdWDpyNFumwwrXfiWjNMhRTObM02+6nA4HZbBEjzoo
-----END PRIVATE KEY-----
"""
"""Of other.example, signed by itself, and good for a hundred years; nobody trusts it."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[str]:
    path = tmp_path / "server.pem"
    path.write_text(CERTIFICATE, encoding="ascii")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_certificate_that_is_not_trusted_is_named(server: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="certificate is not trusted") as refused:
        await Downloader(tmp_path, {"127.0.0.1"}).fetch("m", [RemoteFile(f"{server}/x.json", "x.json", 5)])
    assert refused.value.hint and "SSL_CERT_FILE" in refused.value.hint
    with pytest.raises(BadInput, match="certificate is not trusted"):
        await fetched([ImagePart(b"", url=f"{server}/x.png")], aiohttp.ClientSession, ("127.0.0.1",))
    async with BackendFactory.create("openai", f"{server}/v1") as backend:
        with pytest.raises(BackendUnreachable, match="certificate is not trusted") as unreachable:
            await backend.list_models()
    assert unreachable.value.hint and "SSL_CERT_FILE" in unreachable.value.hint


async def test_where_nobody_listens_nothing_broke_off(
    free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "FIRST_PAUSE_S", 0)
    url = f"http://127.0.0.1:{free_port}/x.json"
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1 cannot be reached") as failed:
        await Downloader(tmp_path, {"127.0.0.1"}).fetch("m", [RemoteFile(url, "x.json", 5)])
    assert failed.value.hint and "network" in failed.value.hint


@asynccontextmanager
async def _answering(reply: bytes) -> AsyncIterator[int]:
    """The port of a server that says that to whatever comes, and ends the connection."""

    async def serve(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            if reply:
                await stream.send(reply)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("scheme", "reply", "why"),
    [
        ("http", b"\x15\x03\x01\x00\x02\x02\x46", "speaks TLS"),
        ("http", b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", "wants TLS"),
        ("http", b"", "without a word"),
        ("https", b"", "as soon as we speak TLS"),
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS"),
    ],
    ids=["tls_alert", "http_400", "nothing", "nothing_to_tls", "http_to_tls"],
)
async def test_the_wrong_one_of_http_and_https_is_named(scheme: str, reply: bytes, why: str) -> None:
    """OpenSSL's alert, and what servers in Go and those with no words for it say."""
    async with _answering(reply) as port:
        url = f"{scheme}://127.0.0.1:{port}/v1"
        async with BackendFactory.create("openai", url) as backend:
            for ask in (backend.list_models(), backend.chat("m", [{"role": "user", "content": "hi"}])):
                with pytest.raises(LlmError, match=why) as failed:
                    await ask
                assert failed.value.hint and "http" in failed.value.hint
