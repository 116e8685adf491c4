"""The routes of a recogniser: OpenAI's transcription endpoint and our live stream."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from models.errors import BadInput
from voice.port import Pcm, Transcript, Word
from voice.worker.engine import Recogniser, spoken_language
from voice.worker.live_transcription import LiveTranscription
from voice.worker.model_thread import BATCH
from voice.worker.upload import RATE_HZ, decode
from voice.worker.windows import windows

__all__ = ["transcription_routes"]

FORMATS = ("json", "text", "verbose_json")


def transcription_routes(recogniser: Recogniser) -> list[BaseRoute]:
    async def transcriptions(request: Request) -> Response:
        async with request.form(max_files=1, max_fields=32) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise BadInput("the form has no file", hint="send multipart/form-data with a file", param="file")
            data = await file.read()
            shape = str(form.get("response_format", "json"))
            language = spoken_language(str(form.get("language", "")))
        if shape not in FORMATS:
            raise BadInput(
                f"unknown response_format {shape!r}", hint="one of " + ", ".join(FORMATS), param="response_format"
            )
        pcm = await anyio.to_thread.run_sync(decode, data)
        parts = await _transcribe(recogniser, pcm, language)
        text = " ".join(part.text for _, _, part in parts if part.text)
        if shape == "text":
            return PlainTextResponse(text + "\n")
        body: dict[str, Any] = {"text": text}
        if shape == "verbose_json":
            body |= _verbose(parts, len(pcm) / RATE_HZ, language)
        return JSONResponse(body)

    live = LiveTranscription(recogniser)
    return [
        Route("/v1/audio/transcriptions", transcriptions, methods=["POST"]),
        WebSocketRoute("/v1/audio/transcriptions/stream", live.serve),
    ]


async def _transcribe(
    recogniser: Recogniser, pcm: Pcm, language: str | None
) -> list[tuple[float, float, Transcript]]:
    """(start_s, end_s, transcript) of each window, one job each, so that live streams go in between."""
    parts = []
    for start, end in windows(pcm, RATE_HZ):
        stream = await recogniser.open(language, BATCH)
        try:
            await recogniser.feed(stream, pcm[start:end], BATCH)
            parts.append((start / RATE_HZ, end / RATE_HZ, await recogniser.transcribe(stream, BATCH)))
        finally:
            recogniser.release(stream)
    return parts


def _verbose(parts: list[tuple[float, float, Transcript]], duration_s: float, language: str | None) -> dict[str, Any]:
    """OpenAI's verbose_json as far as an engine can answer it; segments are the windows that were recognised."""
    words = [
        Word(word.text, start_s + word.start_s, start_s + word.end_s)
        for start_s, _, part in parts
        for word in part.words
    ]
    heard = next((part.language for _, _, part in parts if part.language), None)
    return {
        "task": "transcribe",
        "language": language or heard or "",
        "duration": round(duration_s, 3),
        "segments": [
            {"id": index, "start": start_s, "end": end_s, "text": part.text, "confidence": part.confidence}
            for index, (start_s, end_s, part) in enumerate(parts)
        ],
        "words": [{"word": w.text, "start": round(w.start_s, 3), "end": round(w.end_s, 3)} for w in words],
    }
