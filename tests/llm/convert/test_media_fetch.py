"""Images by address, from a local server that answers, redirects and lies; and addresses that are never asked."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from llm.convert import media_fetch
from llm.convert.media_fetch import with_media
from llm.messages import GenerateRequest, ImagePart, Message, TextPart
from models.errors import BadInput

PICTURE = b"\x89PNG picture"
HERE = ("127.0.0.1",)


def asking(*urls: str) -> GenerateRequest:
    parts = (TextPart("look"), *(ImagePart(b"", "", url, "low") for url in urls))
    return GenerateRequest((Message("user", "look", parts=parts),))


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async def image(request: web.Request) -> web.Response:
        return web.Response(body=PICTURE, content_type="image/png")

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    async def huge(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "image/png"})
        await response.prepare(request)
        for _ in range(30):
            await response.write(b"x" * (1 << 20))
        return response

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound(request.query["to"])

    app = web.Application()
    app.add_routes([web.get("/image", image), web.get("/page", page), web.get("/huge", huge), web.get("/away", away)])
    async with TestServer(app) as running:
        yield str(running.make_url("")).rstrip("/")


async def fetched(request: GenerateRequest) -> GenerateRequest:
    return await with_media(request, aiohttp.ClientSession, HERE)


async def test_an_image_is_fetched_and_keeps_its_place(server: str) -> None:
    request = await fetched(asking(f"{server}/image", f"{server}/away?to=/image"))
    first, second = request.messages[0].media
    assert first == ImagePart(PICTURE, "image/png", "", "low") == second
    assert request.messages[0].parts[0] == TextPart("look")


@pytest.mark.parametrize(
    "path", ["/page", "/nothing", "/huge", "/away?to=/away?to=/away", "/away?to=http://10.0.0.1/x"]
)
async def test_what_is_no_image_is_refused(server: str, path: str) -> None:
    with pytest.raises(BadInput, match="cannot be used") as caught:
        await fetched(asking(f"{server}{path}"))
    assert caught.value.param == "messages"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/a.png",
        "https://127.0.0.1/a.png",
        "https://[::1]/a.png",
        "https://169.254.169.254/latest/meta-data",
        "https://user:secret@example.org/a.png",
        "http://example.org/a.png",
        "https://localhost/a.png",
    ],
)
async def test_addresses_of_the_house_are_never_asked(url: str) -> None:
    with pytest.raises(BadInput, match="cannot be used"):
        await with_media(asking(url))


async def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="by address"):
        await with_media(asking(*(f"https://example.org/{n}.png" for n in range(9))))
    monkeypatch.setattr(media_fetch, "MOST_BYTES", 4)
    with pytest.raises(BadInput, match="MiB are taken"):
        await with_media(GenerateRequest((Message("user", "", parts=(ImagePart(b"12345"),)),)))
