"""POST /v1/audio/transcriptions: the recogniser that sessions listen with, as OpenAI's API."""

from __future__ import annotations

from dataclasses import replace

import anyio.to_thread
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from models.errors import BadInput
from voice.port import Pcm, Stt, Transcript
from voice.worker.upload import RATE_HZ, decode
from voice.worker.windows import windows
from web.guards.authenticate import principal_of
from web.services import services_of
from web.sse import ClientGone, while_connected

__all__ = ["ROUTES"]

_FORMATS = ("json", "text", "verbose_json")
_CLIENT_CLOSED = 499


async def _transcribe(request: Request) -> Response:
    """multipart/form-data with `file` (any usual container), `language`, `response_format`, `model`: a recogniser
    of the store; with other services' names the one of the live sessions answers.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadInput("send multipart/form-data with a file", param="file")
    async with request.form(max_files=1, max_fields=32, max_part_size=1 << 16) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadInput("the form has no file", param="file")
        data = await file.read()
        shape, language = str(form.get("response_format", "json")), str(form.get("language", ""))
        model = str(form.get("model", ""))[:200]
        streamed = str(form.get("stream", "")).lower() in ("true", "1")
    if shape not in _FORMATS:
        raise BadInput(
            f"response_format cannot be {shape[:40]!r}", param="response_format", hint=f"one of {', '.join(_FORMATS)}"
        )
    if streamed:
        raise BadInput("transcripts are not streamed here", param="stream", hint="a live session does that")
    pcm = await anyio.to_thread.run_sync(decode, data)
    services, user = services_of(request), principal_of(request).user
    named = not services.parts.serves("stt", model) and await services.speech.has(model, "stt")

    async def work() -> list[tuple[float, float, Transcript]]:
        if not named:
            return await _recognise(services.parts.stt, pcm, language[:64] or None)
        async with services.speech.stt(model, user) as stt:
            return await _recognise(stt, pcm, language[:64] or None)

    try:
        parts = await while_connected(request.receive, work)
    except ClientGone:
        return Response(status_code=_CLIENT_CLOSED)
    text = " ".join(part.text for _, _, part in parts if part.text)
    if shape == "text":
        return PlainTextResponse(text + "\n")
    return JSONResponse(
        _verbose(parts, text, language, len(pcm) / RATE_HZ) if shape == "verbose_json" else {"text": text}
    )


async def _recognise(stt: Stt, pcm: Pcm, language: str | None) -> list[tuple[float, float, Transcript]]:
    """(start_s, end_s, transcript) of each window; word times count from the start of the file."""
    parts = []
    for start, end in windows(pcm, RATE_HZ):
        stream = await stt.open(language)
        try:
            await stream.feed(pcm[start:end])
            heard = await stream.transcribe()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(2.0):
                await stream.aclose()
        start_s = start / RATE_HZ
        words = tuple(replace(w, start_s=w.start_s + start_s, end_s=w.end_s + start_s) for w in heard.words)
        parts.append((start_s, end / RATE_HZ, replace(heard, words=words)))
    return parts


def _verbose(
    parts: list[tuple[float, float, Transcript]], text: str, language: str, duration_s: float
) -> dict[str, object]:
    """OpenAI's verbose_json as far as a recogniser can answer it; segments are the windows that were recognised."""
    return {
        "task": "transcribe",
        "language": language or next((part.language for _, _, part in parts if part.language), "") or "",
        "duration": round(duration_s, 3),
        "text": text,
        "segments": [
            {"id": index, "start": start_s, "end": end_s, "text": part.text}
            for index, (start_s, end_s, part) in enumerate(parts)
        ],
        "words": [
            {"word": word.text, "start": round(word.start_s, 3), "end": round(word.end_s, 3)}
            for _, _, part in parts
            for word in part.words
        ],
    }


ROUTES = [Route("/v1/audio/transcriptions", _transcribe, methods=["POST"])]
