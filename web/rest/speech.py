"""POST /v1/audio/speech and GET /v1/audio/voices: the voice that sessions speak with, as OpenAI's API."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from models.errors import BadInput
from voice.errors import TtsFailed
from voice.mouth.language import guess_language
from voice.mouth.normalisation import normalised
from voice.port import SpeakRequest, Tts
from voice.slot_speech import SpeechSlots
from voice.worker.encode import FORMATS, StreamEncoder
from voice.worker.speech_routes import OPENAI_VOICES
from web.guards.authenticate import principal_of
from web.http.body import parse, read_object
from web.http.sse import ByteStream, EventStream, LastPiece, data_line
from web.services import services_of

__all__ = ["ROUTES"]

_LONGEST = 4096
"""Characters, as with OpenAI."""
_STREAMS = ("audio", "sse")


class _Body(BaseModel):
    """Unknown fields (instructions, ...) have no effect. `model` is a voice of the store; other services' names are
    answered with the voice of the live sessions."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())

    input: Annotated[str, Field(max_length=_LONGEST)]
    model: str = ""
    voice: Annotated[str, Field(max_length=256)] = "default"
    response_format: str = "mp3"
    speed: Annotated[float, Field(ge=0.25, le=4)] = 1.0
    language: Annotated[str, Field(max_length=64)] | None = None
    stream_format: str = "audio"


async def _speech(request: Request) -> Response:
    """Audio as it is made, in mp3, opus, aac, flac, wav or pcm (24 kHz); as bytes, or in server-sent events."""
    given = {name: value for name, value in (await read_object(request)).items() if value is not None}
    if isinstance(given.get("voice"), dict):  # OpenAI's form for voices of one's own
        given["voice"] = given["voice"].get("id")
    body = parse(_Body, given)
    if not body.input.strip():
        raise BadInput("input: there is nothing to say", param="input")
    if body.response_format not in FORMATS:
        raise BadInput(
            f"response_format cannot be {body.response_format[:40]!r}",
            param="response_format",
            hint=f"one of {', '.join(FORMATS)}",
        )
    if body.stream_format not in _STREAMS:
        raise BadInput(
            f"stream_format cannot be {body.stream_format[:40]!r}", param="stream_format", hint="audio or sse"
        )
    services = services_of(request)
    voice = body.voice
    if voice in OPENAI_VOICES or voice == "default":  # names every OpenAI client sends, and no engine here has
        voice = services.settings.voice.tts.voice or "default"
    configured = services.settings.voice.tts.language
    language = body.language or (guess_language(body.input) if configured == "auto" else configured) or "auto"
    asked = SpeakRequest(normalised(body.input, language), voice, body.speed, body.language)
    media_type = {"mp3": "audio/mpeg", "opus": "audio/ogg"}.get(body.response_format, f"audio/{body.response_format}")
    if not services.parts.serves("tts", body.model) and await services.speech.has(body.model, "tts"):
        user = principal_of(request).user
        pieces = _of_slot(services.speech, body.model, user, asked, body.response_format)
    else:
        pieces = _encoded(services.parts.tts, asked, body.response_format)
    return EventStream(_events(pieces)) if body.stream_format == "sse" else ByteStream(pieces, media_type)


async def _of_slot(
    slots: SpeechSlots, model: str, user: str, asked: SpeakRequest, shape: str
) -> AsyncGenerator[bytes, None]:
    async with slots.tts(model, user) as tts, aclosing(_encoded(tts, asked, shape)) as pieces:
        async for piece in pieces:
            yield piece


async def _encoded(tts: Tts, asked: SpeakRequest, shape: str) -> AsyncGenerator[bytes, None]:
    encoder: StreamEncoder | None = None
    async with aclosing(tts.speak(asked)) as spoken:
        async for chunk in spoken:
            if encoder is None:
                encoder = FORMATS[shape](chunk.rate_hz)
            data = await anyio.to_thread.run_sync(encoder.feed, chunk.pcm)
            if data:
                yield data
    if encoder is None:
        raise TtsFailed("the voice made no audio")
    yield await anyio.to_thread.run_sync(encoder.finish)


async def _events(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """OpenAI's events of streamed speech. Voices count no tokens."""
    async with aclosing(pieces) as found:
        async for piece in found:
            if piece:
                yield data_line({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()})
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    yield LastPiece(data_line({"type": "speech.audio.done", "usage": usage}))


async def _voices(request: Request) -> Response:
    """{"voices": [{"id", "name", "language", "rate_hz"}]}."""
    voices = await services_of(request).parts.tts.voices()
    rows = [{"id": v.id, "name": v.name, "language": v.language, "rate_hz": v.rate_hz} for v in voices]
    return JSONResponse({"voices": rows})


ROUTES = [
    Route("/v1/audio/speech", _speech, methods=["POST"]),
    Route("/v1/audio/voices", _voices, methods=["GET"]),
]
