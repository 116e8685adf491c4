"""The routes of a recogniser: OpenAI's transcription endpoint and our live stream."""

from __future__ import annotations

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from models.errors import BadInput
from voice.port import Pcm
from voice.worker.engine import Recogniser, spoken_language
from voice.worker.live_transcription import LiveTranscription
from voice.worker.model_thread import BATCH
from voice.worker.transcript_formats import Part, check_format, full_text, part_of, subtitles, verbose
from voice.worker.upload import RATE_HZ, decoded
from voice.worker.windows import windows

__all__ = ["transcription_routes"]


def transcription_routes(recogniser: Recogniser) -> list[BaseRoute]:
    async def transcriptions(request: Request) -> Response:
        async with request.form(max_files=1, max_fields=32) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise BadInput("the form has no file", hint="send multipart/form-data with a file", param="file")
            data = await file.read()
            shape = str(form.get("response_format", "json"))
            language = spoken_language(str(form.get("language", "")))
        check_format(shape)
        pcm = await decoded(data)
        parts = await _transcribe(recogniser, pcm, language)
        if shape == "text":
            return PlainTextResponse(full_text(parts) + "\n")
        if shape in ("srt", "vtt"):
            return PlainTextResponse(subtitles(parts, shape))
        if shape == "verbose_json":
            return JSONResponse(verbose(parts, len(pcm) / RATE_HZ, language))
        return JSONResponse({"text": full_text(parts)})

    live = LiveTranscription(recogniser)
    return [
        Route("/v1/audio/transcriptions", transcriptions, methods=["POST"]),
        WebSocketRoute("/v1/audio/transcriptions/stream", live.serve),
    ]


async def _transcribe(recogniser: Recogniser, pcm: Pcm, language: str | None) -> list[Part]:
    """One job for each window, so that live streams go in between."""
    parts = []
    for start, end in windows(pcm, RATE_HZ):
        stream = await recogniser.open(language, BATCH)
        try:
            await recogniser.feed(stream, pcm[start:end], BATCH)
            heard = await recogniser.transcribe(stream, BATCH)
        finally:
            recogniser.release(stream)
        parts.append(part_of(start / RATE_HZ, end / RATE_HZ, heard))
    return parts
