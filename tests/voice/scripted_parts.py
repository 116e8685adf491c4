"""Recogniser, model and voice with timelines, for sessions whose ears, codecs and clock are real.

They are scripts, not models: the recogniser reports how much audio it was fed, the voice makes a tone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import anyio
import numpy as np

from llm.errors import WorkerDied
from llm.messages import GenerateRequest
from llm.stream import Finish, StreamEvent, TextDelta, Usage
from models.errors import ParleyError
from voice.errors import SttFailed
from voice.port import Pcm, SpeakRequest, SpeechChunk, Transcript, VoiceInfo, Word

RATE_HZ = 16_000


@dataclass
class ScriptedStt:
    """`text(seconds of audio) -> transcript`, `so_far` the partial one. `fail` first openings break after their first
    audio, with `error`."""

    text: Callable[[float], str] = lambda seconds: "what time is it"
    so_far: Callable[[float], str] = lambda seconds: f"{seconds:.1f}"
    delay_s: float = 0.01
    fail: int = 0
    error: ParleyError = field(default_factory=lambda: SttFailed("the script says so"))
    name: str = "scripted"
    streaming: bool = True
    open_streams: int = 0
    fed_s: list[float] = field(default_factory=list)

    async def open(self, language: str | None) -> ScriptedSttStream:
        self.open_streams += 1
        return ScriptedSttStream(self)

    async def work(self) -> None:
        await anyio.sleep(self.delay_s)


class ScriptedSttStream:
    def __init__(self, stt: ScriptedStt) -> None:
        self._stt = stt
        self._pieces: list[Pcm] = []

    async def feed(self, pcm: Pcm) -> None:
        self._pieces.append(pcm)
        if self._stt.fail:
            self._stt.fail -= 1
            raise self._stt.error

    async def partial(self) -> str | None:
        return self._stt.so_far(len(self.audio) / RATE_HZ)

    async def transcribe(self) -> Transcript:
        await self._stt.work()
        self._stt.fed_s.append(len(self.audio) / RATE_HZ)
        return Transcript(self._stt.text(len(self.audio) / RATE_HZ))

    async def aclose(self) -> None:
        self._stt.open_streams -= 1

    @property
    def audio(self) -> Pcm:
        return np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)


@dataclass
class ScriptedMind:
    reply: Callable[[str], str] = lambda asked: "It is late, and you should sleep."
    delay_s: float = 0.01
    dies_after: int | None = None
    running: int = 0
    requests: list[GenerateRequest] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    async def generate(self, request: GenerateRequest) -> AsyncIterator[StreamEvent]:
        self.requests.append(request)
        self.running += 1
        try:
            tokens = [token + " " for token in self.reply(request.messages[-1].content).split()]
            for number, token in enumerate(tokens):
                await anyio.sleep(self.delay_s)
                if number == self.dies_after:
                    raise WorkerDied("the script says so")
                yield TextDelta(token)
            yield Finish("stop", Usage(30, len(tokens)))
        finally:
            self.running -= 1

    async def forget(self, conversation: str) -> None:
        self.forgotten.append(conversation)


@dataclass
class ScriptedVoice:
    """15 characters a second, as a quiet tone."""

    delay_s: float = 0.01
    name: str = "scripted"
    running: int = 0

    async def speak(self, request: SpeakRequest) -> AsyncIterator[SpeechChunk]:
        self.running += 1
        try:
            await anyio.sleep(self.delay_s)
            words, at = [], 0.0
            for word in request.text.split():
                words.append(Word(word, at, at + (len(word) + 1) / 15))
                at = words[-1].end_s
            tone = np.sin(np.arange(round(at * 22_050)) * 0.05) * 2000
            yield SpeechChunk(tone.astype(np.int16), 22_050)
            yield SpeechChunk(np.zeros(0, np.int16), 22_050, tuple(words))
        finally:
            self.running -= 1

    async def voices(self) -> tuple[VoiceInfo, ...]:
        return (VoiceInfo("tone", "Tone", "en", 22_050),)
