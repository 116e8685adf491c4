"""Servers that cannot be trusted or reached: whoever asks them is told which of the two, at once, and what to do."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from llm.client import BackendFactory
from llm.convert.media_fetch import fetched
from llm.errors import BackendUnreachable
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
