"""One turn's recogniser stream, fed from the session's ring of audio while the user speaks.

The recogniser hears the audio as it comes, so that at the end of a turn little is left to do. If it breaks, its
audio is still in the ring: it is opened once more from the start of the turn before the turn is given up. Not when
somebody has waited long already: what hangs once hangs twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

import anyio

from models.errors import ParleyError
from voice.ears.ring import AudioRing
from voice.port import SpottingStream, Stt, SttStream, Transcript

__all__ = ["Hearing"]

FEED_SAMPLES = 16_000
PARTIAL_EVERY_SAMPLES = 4_800
LOOK_S = 0.05
"""A recogniser that has not said by then what it knows is busy. The transcript is to have its place in the queue."""
LATE_S = 5.0
"""After so long a wait for it a transcript is not asked for again."""


class _Wanted:
    """A transcript that somebody waits for."""

    __slots__ = ("asked_at", "done", "error", "phrase", "phrases", "result", "until")

    def __init__(self, until: int, phrases: Sequence[str] = ()) -> None:
        self.until = until
        self.asked_at = anyio.current_time()
        self.phrases = phrases
        """Not the transcript is wanted, but which of these it is."""
        self.phrase: str | None = None
        self.done = anyio.Event()
        self.result = Transcript("")
        self.error: ParleyError | None = None


class Hearing:
    """`from_sample` and `until_sample` are positions in the ring; `until_sample` None follows the audio."""

    def __init__(
        self, stt: Stt, ring: AudioRing, language: str | None, from_sample: int, until_sample: int | None = None
    ) -> None:
        self.from_sample = from_sample
        self.until_sample = until_sample
        self.fed_until = from_sample
        self._stt = stt
        self._ring = ring
        self._language = language
        self._wanted: list[_Wanted] = []
        self._news = anyio.Event()
        self._closed = False
        self._asking: anyio.CancelScope | None = None
        """Of the transcript that is being made."""
        self._looking: anyio.CancelScope | None = None
        self._due: list[_Wanted] = []
        """Who waits for that one."""

    def audio_came(self) -> None:
        self._news.set()

    def close(self) -> None:
        self._closed = True
        self._news.set()

    async def transcribe(self) -> Transcript:
        """The transcript of all that is in the ring by now. Cancel-safe. Raises what the recogniser does: SttFailed,
        WorkerDied, BadInput for a language that it has not.
        """
        return (await self._want(())).result

    async def spot(self, phrases: Sequence[str]) -> str | None:
        """Which of the phrases all that is in the ring by now is, "" for none; None: the recogniser cannot tell.

        Cancel-safe. Raises as `transcribe`.
        """
        return (await self._want(phrases)).phrase

    async def _want(self, phrases: Sequence[str]) -> _Wanted:
        until = self._ring.end if self.until_sample is None else min(self.until_sample, self._ring.end)
        wanted = _Wanted(until, phrases)
        self._wanted.append(wanted)
        self._news.set()
        if self._looking is not None:  # it waits for whatever the recogniser does for others
            self._looking.cancel()
        try:
            await wanted.done.wait()
        finally:
            if wanted in self._wanted:
                self._wanted.remove(wanted)
                if self._asking is not None and not any(other in self._wanted for other in self._due):
                    self._asking.cancel()
        if wanted.error is not None:
            raise wanted.error
        return wanted

    async def run(self, on_partial: Callable[[str], None]) -> None:
        """Feed and answer until closed or cancelled. Failures reach those who wait for a transcript. `on_partial` is
        told of every look at the words so far, the last one right before a transcript is made."""
        for attempt in (1, 2):
            try:
                await self._serve(on_partial)
                return
            except ParleyError as error:
                if attempt == 1 and error.retryable and not self._late():
                    self.fed_until = self.from_sample
                    await self._until_wanted()
                    continue
                while not self._closed:
                    self._fail(error)
                    await self._until_wanted()

    async def _serve(self, on_partial: Callable[[str], None]) -> None:
        stream = await self._stt.open(self._language)
        try:
            partial_at = self.fed_until + PARTIAL_EVERY_SAMPLES
            while not self._closed:
                self._news = anyio.Event()
                await self._feed(stream)
                due = [wanted for wanted in self._wanted if wanted.until <= self.fed_until]
                if due:
                    await self._answer(stream, due, on_partial)
                elif self._stt.streaming and self.fed_until >= partial_at:
                    partial_at = self.fed_until + PARTIAL_EVERY_SAMPLES
                    await self._look(stream, on_partial)
                if self._available() <= self.fed_until and not self._news.is_set():
                    await self._news.wait()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(1.0):
                await stream.aclose()

    async def _look(self, stream: SttStream, on_partial: Callable[[str], None], most_s: float = inf) -> None:
        text = None
        with anyio.move_on_after(most_s) as self._looking:
            text = await stream.partial()
        self._looking = None
        if text and not self._closed:
            on_partial(text)

    async def _answer(self, stream: SttStream, due: list[_Wanted], on_partial: Callable[[str], None]) -> None:
        """What is quick first. Given up as soon as nobody waits for it any more, so that the next transcript need not
        wait for one that nobody reads."""
        self._due = due
        try:
            with anyio.CancelScope() as self._asking:
                for wanted in (each for each in due if each.phrases):
                    wanted.phrase = await stream.spot(wanted.phrases) if isinstance(stream, SpottingStream) else None
                    wanted.done.set()
                if transcripts := [each for each in due if not each.phrases]:
                    if self._stt.streaming:
                        await self._look(stream, on_partial, LOOK_S)
                    result = await stream.transcribe()
                    for wanted in transcripts:
                        wanted.result = result
                        wanted.done.set()
        finally:
            self._asking = None
        self._wanted = [wanted for wanted in self._wanted if wanted not in due]

    async def _feed(self, stream: SttStream) -> None:
        """All that is there; where somebody waits for a transcript, no more than they asked for: what was said after
        that, while a slow recogniser was at it, may be of the next turn."""
        while not self._closed:
            wanted = max(self.fed_until, min((each.until for each in self._wanted), default=self._available()))
            until = min(self.fed_until + FEED_SAMPLES, self._available(), wanted)
            if until <= self.fed_until:
                break
            await stream.feed(self._ring.read(self.fed_until, until))
            self.fed_until = until

    def _available(self) -> int:
        return self._ring.end if self.until_sample is None else min(self.until_sample, self._ring.end)

    def _late(self) -> bool:
        return any(anyio.current_time() - wanted.asked_at > LATE_S for wanted in self._wanted)

    async def _until_wanted(self) -> None:
        while not self._wanted and not self._closed:
            self._news = anyio.Event()
            await self._news.wait()

    def _fail(self, error: ParleyError) -> None:
        for wanted in self._wanted:
            wanted.error = error
            wanted.done.set()
        self._wanted.clear()
