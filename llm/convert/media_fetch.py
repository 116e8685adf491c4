"""Images that a request only names: fetched before anybody is asked, so that every backend gets the bytes.

An address comes from a client and is fetched from where this server stands, so it is held to the rules of
models/outbound.py: https, public hosts alone, looked at again where the connection is made, at every redirect too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from urllib.parse import urljoin

import aiohttp
import anyio

from llm.convert.content import MAX_MEDIA_BYTES
from llm.messages import AudioPart, ContentPart, GenerateRequest, ImagePart, Message
from models.errors import BadInput, DownloadRefused
from models.outbound import GuardedResolver, check_url
from models.untrusted import untrusted

__all__ = ["MAX_FETCHED", "check_size", "fetched", "with_media"]

MAX_FETCHED = 8
"""Addresses in one request."""
MOST_BYTES = 40 << 20
"""Of all images and recordings of a request together; in base64 they must fit into a worker's largest body."""
MOST_REDIRECTS = 3
WITHIN_S = 20.0


def _open() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(resolver=GuardedResolver(()), limit=MAX_FETCHED)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=WITHIN_S))


async def with_media(
    request: GenerateRequest, open_session: Callable[[], aiohttp.ClientSession] = _open, trusted: tuple[str, ...] = ()
) -> GenerateRequest:
    """The same request with all images in it. Raises BadInput naming the address that cannot be used."""
    images = (part for message in request.messages for part in message.media if isinstance(part, ImagePart))
    found = await fetched(images, open_session, trusted)
    if found:
        request = replace(request, messages=tuple(_filled(message, found) for message in request.messages))
    check_size(part for message in request.messages for part in message.media)
    return request


async def fetched(
    images: Iterable[ImagePart],
    open_session: Callable[[], aiohttp.ClientSession] = _open,
    trusted: tuple[str, ...] = (),
    param: str = "messages",
) -> dict[str, ImagePart]:
    """By address, those that only have one. Raises BadInput naming the address that cannot be used."""
    named = {image.url for image in images} - {""}
    if not named:
        return {}
    if len(named) > MAX_FETCHED:
        raise BadInput(f"{len(named)} images by address; {MAX_FETCHED} are fetched for one request", param=param)
    found: dict[str, ImagePart] = {}
    errors: list[BadInput] = []
    async with open_session() as http, anyio.create_task_group() as tasks:

        async def fetch(url: str) -> None:
            try:
                found[url] = await _fetch(http, url, trusted)
            except BadInput as error:  # raised below: a task group would wrap it
                error.param = param
                errors.append(error)
                tasks.cancel_scope.cancel()

        for url in sorted(named):
            tasks.start_soon(fetch, url)
    if errors:
        raise errors[0]
    return found


def check_size(parts: Iterable[ImagePart | AudioPart], param: str = "messages") -> None:
    """All of a request together. Raises BadInput."""
    size = sum(len(part.data) for part in parts)
    if size > MOST_BYTES:
        raise BadInput(f"images and audio of {size >> 20} MiB; {MOST_BYTES >> 20} MiB are taken", param=param)


def _filled(message: Message, found: dict[str, ImagePart]) -> Message:
    def fill(part: ContentPart) -> ContentPart:
        if isinstance(part, ImagePart) and part.url:
            return replace(found[part.url], detail=part.detail)
        return part

    return replace(message, parts=tuple(fill(part) for part in message.parts))


async def _fetch(http: aiohttp.ClientSession, url: str, trusted: tuple[str, ...]) -> ImagePart:
    where = url
    try:
        for _ in range(MOST_REDIRECTS + 1):
            check_url(where, trusted)
            async with http.get(where, allow_redirects=False) as response:
                if response.status in (301, 302, 303, 307, 308) and "location" in response.headers:
                    where = urljoin(str(response.url), response.headers["location"])
                    continue
                if response.status != 200:
                    raise _refused(url, f"the server answers {response.status}")
                if not response.content_type.startswith("image/"):
                    raise _refused(url, f"it is {response.content_type[:60]}")
                data = bytearray()
                async for piece in response.content.iter_any():
                    data += piece
                    if len(data) > MAX_MEDIA_BYTES:
                        raise _refused(url, f"it is larger than {MAX_MEDIA_BYTES >> 20} MiB")
                return ImagePart(bytes(data), response.content_type)
    except DownloadRefused as error:
        raise _refused(url, error.message) from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise _refused(url, untrusted(error)) from error
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise _refused(url, "it cannot be reached") from error
    raise _refused(url, "it redirects too often")


def _refused(url: str, why: str) -> BadInput:
    return BadInput(
        f"the image at {url[:200]} cannot be used: {why}", param="messages", hint="send it as a data: URL instead"
    )
