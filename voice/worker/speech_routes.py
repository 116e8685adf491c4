"""The routes of a synthesiser: OpenAI's speech endpoint, our framed stream, the voices."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, TypeVar

import anyio.to_thread
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from models.errors import BadInput, ParleyError
from voice.errors import TtsFailed
from voice.port import SpeakRequest, SpeechChunk
from voice.worker.encode import FORMATS, StreamEncoder
from voice.worker.engine import Speaker
from voice.worker.model_thread import BATCH, LIVE
from voice.worker.speech_frames import audio_frame, end_frame, error_frame
from voice.worker.streamed import Streamed

__all__ = ["SpeechBody", "StreamBody", "speech_routes"]

MAX_CHARS = 32_768
OPENAI_VOICES = frozenset("alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse".split())
"""Names every OpenAI client sends; no engine here has them, so they mean: the default voice."""

B = TypeVar("B", bound=BaseModel)
Speed = Annotated[float, Field(ge=0.25, le=4.0, allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=MAX_CHARS)]


class SpeechBody(BaseModel):
    """`POST /v1/audio/speech`. Unknown fields (instructions, ...) are accepted and have no effect."""

    input: Text
    model: str = ""
    voice: str = "default"
    response_format: str = "mp3"
    speed: Speed = 1.0
    language: str | None = None
    stream_format: str = "audio"


class StreamBody(BaseModel):
    """`POST /v1/parley/speech/stream`."""

    text: Text
    voice: str = "default"
    speed: Speed = 1.0
    language: str | None = None


def speech_routes(speaker: Speaker) -> list[BaseRoute]:
    async def speech(request: Request) -> Streamed:
        body = await _read(request, SpeechBody)
        if body.stream_format != "audio":
            raise BadInput("only stream_format audio is served here", hint="leave it out", param="stream_format")
        if body.response_format not in FORMATS:
            hint = "one of " + ", ".join(FORMATS)
            raise BadInput(f"unknown response_format {body.response_format!r}", hint=hint, param="response_format")
        voice = "default" if body.voice in OPENAI_VOICES else body.voice
        spoken = speaker.speak(SpeakRequest(body.input, voice, body.speed, body.language), BATCH)
        first = await _first(spoken)
        encoding = FORMATS[body.response_format](first.rate_hz)
        return Streamed(b"", _encoded(first, spoken, encoding), encoding.media_type)

    async def stream(request: Request) -> Streamed:
        body = await _read(request, StreamBody)
        spoken = speaker.speak(SpeakRequest(body.text, body.voice, body.speed, body.language), LIVE)
        first = await _first(spoken)
        return Streamed(audio_frame(first), _framed(first, spoken), "application/x-parley-speech")

    async def voices(request: Request) -> JSONResponse:
        found = await speaker.voices()
        rows = [{"id": v.id, "name": v.name, "language": v.language, "rate_hz": v.rate_hz} for v in found]
        return JSONResponse({"voices": rows})

    return [
        Route("/v1/audio/speech", speech, methods=["POST"]),
        Route("/v1/parley/speech/stream", stream, methods=["POST"]),
        Route("/v1/audio/voices", voices),
    ]


async def _read(request: Request, form: type[B]) -> B:
    try:
        return form.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or None
        raise BadInput(f"{where or 'body'}: {first['msg']}", param=where) from error


async def _first(spoken: AsyncGenerator[SpeechChunk]) -> SpeechChunk:
    """The first chunk, so that what cannot be spoken is an HTTP error and not a broken stream."""
    try:
        return await anext(spoken)
    except StopAsyncIteration:
        raise TtsFailed("the engine made no audio") from None
    except BaseException:
        with anyio.CancelScope(shield=True):
            await spoken.aclose()
        raise


async def _encoded(
    first: SpeechChunk, spoken: AsyncGenerator[SpeechChunk], encoding: StreamEncoder
) -> AsyncGenerator[bytes]:
    async with aclosing(spoken):
        yield await anyio.to_thread.run_sync(encoding.feed, first.pcm)
        async for chunk in spoken:
            yield await anyio.to_thread.run_sync(encoding.feed, chunk.pcm)
        yield await anyio.to_thread.run_sync(encoding.finish)


async def _framed(first: SpeechChunk, spoken: AsyncGenerator[SpeechChunk]) -> AsyncGenerator[bytes]:
    words = first.words
    async with aclosing(spoken):
        try:
            async for chunk in spoken:
                words = chunk.words or words
                if len(chunk.pcm):
                    yield audio_frame(chunk)
        except ParleyError as error:
            yield error_frame(error)
            return
        yield end_frame(words)
