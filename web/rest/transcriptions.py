"""POST /v1/audio/transcriptions: the recogniser that sessions listen with, as OpenAI's API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from models.errors import BadInput
from voice.port import Pcm, Stt
from voice.slot_speech import SpeechSlots
from voice.worker.transcript_formats import (
    Part,
    check_format,
    full_text,
    part_of,
    subtitles,
    verbose,
    wanted_times,
)
from voice.worker.upload import RATE_HZ, decoded
from voice.worker.windows import windows
from web.guards.authenticate import principal_of
from web.http.sse import EventStream, LastPiece, data_line, while_connected
from web.services import services_of

__all__ = ["ROUTES"]


async def _transcribe(request: Request) -> Response:
    """multipart/form-data with `file` (any usual container), `language`, `response_format`, `stream`,
    `timestamp_granularities[]`, `model`: a recogniser of the store; with other services' names the one of the live
    sessions answers.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadInput("send multipart/form-data with a file", param="file")
    async with request.form(max_files=1, max_fields=256, max_part_size=1 << 16) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadInput("the form has no file", param="file")
        data = await file.read()
        shape, language = str(form.get("response_format", "json")), str(form.get("language", ""))
        model = str(form.get("model", ""))[:200]
        streamed = str(form.get("stream", "")).lower() in ("true", "1")
        lists = (*form.getlist("timestamp_granularities[]"), *form.getlist("timestamp_granularities"))
    check_format(shape)
    times = wanted_times(str(one) for one in lists)
    if streamed and shape not in ("json", "text"):
        raise BadInput(f"{shape} is not streamed", param="stream", hint="leave out stream, or response_format")
    pcm = await while_connected(request.receive, lambda: decoded(data), scope=request.scope)
    services, user = services_of(request), principal_of(request).user
    if not services.parts.serves("stt", model) and await services.speech.has(model, "stt"):
        parts = _of_slot(services.speech, model, user, pcm, language[:64] or None)
    else:
        parts = _recognised(services.parts.stt, pcm, language[:64] or None)
    if streamed:
        return EventStream(_events(parts))

    async def work() -> list[Part]:
        async with aclosing(parts) as found:
            return [part async for part in found]

    whole = await while_connected(request.receive, work)
    duration_s = len(pcm) / RATE_HZ
    if shape == "text":
        return PlainTextResponse(full_text(whole) + "\n")
    if shape in ("srt", "vtt"):
        return PlainTextResponse(subtitles(whole, shape))
    body = verbose(whole, duration_s, language, times) if shape == "verbose_json" else {"text": full_text(whole)}
    return JSONResponse({**body, "usage": {"type": "duration", "seconds": round(duration_s, 3)}})


async def _of_slot(
    slots: SpeechSlots, model: str, user: str, pcm: Pcm, language: str | None
) -> AsyncGenerator[Part, None]:
    async with slots.stt(model, user) as stt, aclosing(_recognised(stt, pcm, language)) as parts:
        async for part in parts:
            yield part


async def _recognised(stt: Stt, pcm: Pcm, language: str | None) -> AsyncGenerator[Part, None]:
    """Window after window, as each is recognised."""
    for start, end in windows(pcm, RATE_HZ):
        stream = await stt.open(language)
        try:
            await stream.feed(pcm[start:end])
            heard = await stream.transcribe()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(2.0):
                await stream.aclose()
        yield part_of(start / RATE_HZ, end / RATE_HZ, heard)


async def _events(parts: AsyncGenerator[Part, None]) -> AsyncGenerator[bytes, None]:
    """OpenAI's events of a streamed transcript; a delta is what was heard in a window."""
    text = ""
    async with aclosing(parts) as found:
        async for part in found:
            if delta := part.heard.text and (" " if text else "") + part.heard.text:
                text += delta
                yield data_line({"type": "transcript.text.delta", "delta": delta})
    yield LastPiece(data_line({"type": "transcript.text.done", "text": text}))


ROUTES = [Route("/v1/audio/transcriptions", _transcribe, methods=["POST"])]
