"""The ports of the voice layer: what a recogniser, a synthesiser, a VAD and a wake engine do.

Two sides. The *engine* side is synchronous and runs in one thread of a worker process (or of the ears); a new
engine is one file in voice/stt, voice/tts, voice/vad or voice/wake with a `SPEC`. The *server* side is
asynchronous and is what a session is given; it talks to a worker, or to any OpenAI-compatible service.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

__all__ = [
    "EngineConfig",
    "Pcm",
    "SpareTimeEngine",
    "SpeakRequest",
    "SpeechChunk",
    "SpottingEngineStream",
    "SpottingStream",
    "Stt",
    "SttEngine",
    "SttEngineStream",
    "SttSpec",
    "SttStream",
    "Transcript",
    "Tts",
    "TtsEngine",
    "TtsSpec",
    "VadEngine",
    "VadSpec",
    "VoiceInfo",
    "WakeEngine",
    "WakeSpec",
    "Word",
]

Pcm = npt.NDArray[np.int16]
"""Mono PCM16. Shape [samples]. The rate stands beside it."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word and where it lies, in seconds from the start of its audio."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """`confidence` is 0..1 where the engine has one. An empty text means: no words were heard."""

    text: str
    confidence: float | None = None
    language: str | None = None
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """A piece of one synthesised utterance, in order.

    `words` (times from the start of the utterance) come with the last chunk of engines that know them;
    the last chunk may hold no samples.
    """

    pcm: Pcm
    rate_hz: int
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class VoiceInfo:
    id: str
    name: str
    language: str
    rate_hz: int


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What an engine is loaded with. `model` is a path in the store, None for engines that bring their own.

    `folders`: where further models lie that it may load beside, when they are asked for.
    """

    model: Path | None = None
    folders: tuple[Path, ...] = ()
    threads: int = 1
    options: dict[str, str] = field(default_factory=dict)


# ---- engine side: synchronous, confined to one thread -------------------------------------------------------


class SttEngineStream(Protocol):
    def feed(self, pcm: Pcm) -> None:
        """Add int16 mono 16 kHz samples, any number. Raises AudioError on another dtype or shape."""
        ...

    def partial(self) -> str | None:
        """The hypothesis there is, at once; "" where there is none that is new, None where the engine has none."""
        ...

    def transcribe(self) -> Transcript:
        """The best transcript of everything fed so far. Feeding may go on afterwards."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class SpottingEngineStream(Protocol):
    """What a stream may have besides: a recogniser that mishears single words may tell a few of them apart."""

    def spot(self, phrases: Sequence[str]) -> str:
        """The one of `phrases` that everything fed so far is, silence aside; "" for none. Much faster than
        transcribe(). Phrases with words that it does not know are left out."""
        ...


class SttEngine(Protocol):
    def open(self, language: str | None) -> SttEngineStream:
        """`language` as in "en" or "en-US", None where nobody said. Raises BadInput for one that it does not have."""
        ...


@runtime_checkable
class SpareTimeEngine(Protocol):
    """What a recogniser may have besides: work that nobody waits for, such as partial transcripts that are dear."""

    def use_spare_time(self, wanted: Callable[[], bool]) -> None:
        """Called when nothing else is to be done, after a `partial()`. A transcript that is asked for now has to wait
        until this returns: do one short piece of work or none, and give up where `wanted()`, which may be asked any
        time, says that this has happened."""
        ...


class TtsEngine(Protocol):
    def synthesize(self, text: str, voice: str, speed: float, language: str | None) -> Iterator[SpeechChunk]:
        """Speak one clause. `voice` "default" and language None leave the choice to the engine."""
        ...

    def voices(self) -> tuple[VoiceInfo, ...]: ...


class VadEngine(Protocol):
    """Speech probability of 32 ms frames (512 samples at 16 kHz) of many streams at once."""

    def open(self) -> int:
        """A new stream's id."""
        ...

    def close(self, stream: int) -> None: ...

    def step(self, streams: Sequence[int], frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """`frames` [n, 512] in -1..1, one per stream of `streams` (each at most once): probabilities [n].

        Raises ValueError for other shapes, a stream that is not open or one that stands there twice.
        """
        ...


class WakeEngine(Protocol):
    """Wake-word scores of 80 ms frames (1280 samples at 16 kHz) of many streams."""

    words: tuple[str, ...]

    def open(self, words: Sequence[str]) -> int:
        """A new stream's id; it listens for these. Raises ValueError that names one that is none of `words`."""
        ...

    def close(self, stream: int) -> None: ...

    def step(self, streams: Sequence[int], frames: npt.NDArray[np.int16]) -> list[dict[str, float]]:
        """`frames` [n, 1280]: for each stream {word: score 0..1}. Raises ValueError as in VadEngine."""
        ...


@dataclass(frozen=True, slots=True)
class SttSpec:
    name: str
    load: Callable[[EngineConfig], SttEngine]
    description: str
    needs_model: bool
    streaming: bool
    """partial() answers while audio is still coming."""
    spotting: bool = False
    """Its streams are SpottingEngineStreams."""
    languages: tuple[str, ...] = ("*",)
    licence: str = ""
    formats: tuple[str, ...] = ()
    """Names of models/formats/ that it loads."""


@dataclass(frozen=True, slots=True)
class TtsSpec:
    name: str
    load: Callable[[EngineConfig], TtsEngine]
    description: str
    needs_model: bool
    word_times: bool
    """The last chunk carries real word times."""
    languages: tuple[str, ...] = ("*",)
    licence: str = ""
    formats: tuple[str, ...] = ()
    """Names of models/formats/ that it loads."""


@dataclass(frozen=True, slots=True)
class VadSpec:
    name: str
    load: Callable[[EngineConfig], VadEngine]
    description: str
    licence: str = ""


@dataclass(frozen=True, slots=True)
class WakeSpec:
    name: str
    load: Callable[[EngineConfig], WakeEngine]
    description: str
    licence: str = ""


# ---- server side: asynchronous, what a session is given -----------------------------------------------------


class SttStream(Protocol):
    async def feed(self, pcm: Pcm) -> None:
        """int16 mono 16 kHz. Raises SttFailed."""
        ...

    async def partial(self) -> str | None: ...

    async def transcribe(self) -> Transcript:
        """The best transcript of everything fed so far; feeding may go on. Cancel-safe. Raises SttFailed."""
        ...

    async def aclose(self) -> None: ...


@runtime_checkable
class SpottingStream(Protocol):
    """An SttStream of a recogniser that can spot."""

    async def spot(self, phrases: Sequence[str]) -> str:
        """The one of `phrases` that the sound so far is; "" for none. Raises SttFailed."""
        ...


class Stt(Protocol):
    name: str
    streaming: bool

    async def open(self, language: str | None) -> SttStream: ...


@dataclass(frozen=True, slots=True)
class SpeakRequest:
    text: str
    voice: str = "default"
    speed: float = 1.0
    language: str | None = None


class Tts(Protocol):
    name: str

    def speak(self, request: SpeakRequest) -> AsyncGenerator[SpeechChunk, None]:
        """Audio as it is made. Closing the iterator stops the synthesis. Raises TtsFailed."""
        ...

    async def voices(self) -> tuple[VoiceInfo, ...]: ...
