"""The worker's engine: loaded in its own thread, asked through it, its failures made into our errors."""

from __future__ import annotations

import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from models.errors import ParleyError
from voice.errors import SpeechEngineError, SttFailed, TtsFailed
from voice.port import (
    Pcm,
    SpareTimeEngine,
    SpeakRequest,
    SpeechChunk,
    SttEngine,
    SttEngineStream,
    Transcript,
    TtsEngine,
    VoiceInfo,
)
from voice.worker.model_thread import LIVE, SPARE, ModelThread

__all__ = ["Loaded", "Recogniser", "Speaker", "spoken_language"]

E = TypeVar("E")
T = TypeVar("T")
log = structlog.get_logger(__name__)


def spoken_language(asked: str | None) -> str | None:
    """ "auto", empty and absent all leave the language to the engine."""
    return None if asked in (None, "", "auto") else asked


class Loaded(Generic[E]):
    """An engine that is there after `load()`. `failed` is what a crash inside it is reported as."""

    failed: type[SpeechEngineError] = SpeechEngineError

    def __init__(self, name: str, model: str | None, load: Callable[[], E]) -> None:
        self.name = name
        self.model = model
        self._load = load
        self._engine: E | None = None
        self.thread = ModelThread(name)

    @property
    def ready(self) -> bool:
        return self._engine is not None

    async def load(self) -> None:
        """Load in the model thread. Raises what the engine raises (NoModel, ModelUnreadable, ...)."""
        self.thread.start()
        self._engine = await self.thread.run(self._load)

    @property
    def engine(self) -> E:
        if self._engine is None:
            raise self.failed(f"{self.name} is still loading", hint="GET /health says when it is ready")
        return self._engine

    async def run(self, call: Callable[[], T], priority: int = LIVE) -> T:
        """Run in the model thread. An engine's own exceptions are logged and raised as `failed`."""
        try:
            return await self.thread.run(call, priority)
        except ParleyError:
            raise
        except Exception as error:
            # The message may quote the user's text, so only the kind of the error and its place are told.
            kind, place = type(error).__name__, traceback.extract_tb(error.__traceback__)[-1]
            log.error("engine.failed", engine=self.name, error=kind, at=f"{place.filename}:{place.lineno}")
            at = f"{Path(place.filename).name}:{place.lineno}"
            raise self.failed(f"{self.name} failed ({kind} at {at})") from error


class Recogniser(Loaded[SttEngine]):
    failed = SttFailed
    awaited = 0
    """Live transcripts that somebody waits for; some may not be jobs yet."""
    _offered = False

    async def open(self, language: str | None, priority: int = LIVE) -> SttEngineStream:
        engine = self.engine
        return await self.run(lambda: engine.open(language), priority)

    async def feed(self, stream: SttEngineStream, pcm: Pcm, priority: int = LIVE) -> None:
        await self.run(lambda: stream.feed(pcm), priority)

    def release(self, stream: SttEngineStream) -> None:
        """Close `stream` after the jobs it still has."""
        self.thread.post(stream.close)

    async def transcribe(self, stream: SttEngineStream, priority: int = LIVE) -> Transcript:
        return await self.run(stream.transcribe, priority)

    async def use_spare_time(self) -> None:
        """Let the engine do work that nobody waits for, where it has any, once no job waits. What fails is logged."""
        engine = self.engine
        if self.awaited or self._offered or not isinstance(engine, SpareTimeEngine):
            return

        def use_it() -> None:
            if not self.awaited:
                engine.use_spare_time(lambda: self.awaited > 0)

        self._offered = True
        try:
            with suppress(ParleyError):
                await self.run(use_it, SPARE)
        finally:
            self._offered = False


class Speaker(Loaded[TtsEngine]):
    failed = TtsFailed

    async def voices(self) -> tuple[VoiceInfo, ...]:
        engine = self.engine
        return await self.run(engine.voices)

    async def speak(self, request: SpeakRequest, priority: int = LIVE) -> AsyncGenerator[SpeechChunk]:
        """Chunks as they are made, each a job of its own. Closing stops the synthesis at the next chunk."""
        engine = self.engine
        chunks = await self.run(
            lambda: iter(
                engine.synthesize(request.text, request.voice, request.speed, spoken_language(request.language))
            ),
            priority,
        )
        try:
            while (chunk := await self.run(lambda: next(chunks, None), priority)) is not None:
                yield chunk
        finally:
            if (close := getattr(chunks, "close", None)) is not None:
                self.thread.post(close)
