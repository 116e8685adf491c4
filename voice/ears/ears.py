"""The ears: VAD and wake words of all sessions, in one thread.

    event loop: Ear.feed --> inbox --> thread: EarBatch.step --> event loop: deliver(events)

The thread sleeps until something comes, takes all that is there, and hears it in rounds; while it works, what
arrives is collected for the next round. So one session is heard at once and many are heard in batches, with no
tick. Each round ends in one callback to the event loop, whatever it holds.

What is full when: an ear holds `queue_s` of audio that the thread has not taken. More is not queued but lost, and
reported as AudioLost; times stay true. Events are not bounded by themselves: there are never more than the audio
in the queues gives, and audio comes only from the loop that takes the events.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

import anyio
import anyio.to_thread
import numpy as np
from anyio.abc import TaskStatus

from models.registry import discover
from voice.ears.batch import RATE_HZ, EarBatch, Line
from voice.ears.events import AudioLost, EarEvent, EarFailed, VadFrame, WakeHeard
from voice.ears.wake_trigger import WakeTrigger, match_words, word_of_file
from voice.errors import AudioError, NoModel
from voice.port import EngineConfig, Pcm, VadEngine, WakeEngine
from voice.settings import VadSettings, WakeSettings

__all__ = [
    "AudioLost",
    "Ear",
    "EarEvent",
    "EarFailed",
    "Ears",
    "EarsStatistics",
    "VadFrame",
    "WakeHeard",
    "load_ears",
]

_SETTLE_S = 0.4
"""When no audio follows a wake word for this long, it is reported without."""

Deliver = Callable[[list[EarEvent]], None]


@dataclass(frozen=True, slots=True)
class EarsStatistics:
    ears: int
    behind_s: float
    """Audio that waits, of the ear that has most."""
    lost_s: float
    """Audio not heard since the start, all ears together."""


class Ear:
    """One session's ear. Everything here is called from the event loop; nothing blocks or awaits."""

    __slots__ = ("_deliver", "_fed", "_line", "_listening", "_owner", "_queued", "_taken", "closed")

    def __init__(self, owner: Ears, deliver: Deliver) -> None:
        self._owner = owner
        self._deliver = deliver
        self._line = Line()
        self._fed = 0
        """Position after the last sample fed."""
        self._queued = 0
        """Samples ever queued. Written by the loop only."""
        self._taken = 0
        """Of these, samples that the thread has taken. Written by the thread only, so no lock is needed."""
        self._listening: tuple[str, ...] = ()
        self.closed = False

    @property
    def heard_words(self) -> tuple[str, ...]:
        """Those of the wake words that are listened for; the others have no model."""
        return self._listening

    @property
    def behind_s(self) -> float:
        """Audio that waits to be taken."""
        return (self._queued - self._taken) / RATE_HZ

    def feed(self, pcm: Pcm) -> None:
        """int16 mono 16 kHz, any number of samples; do not change them afterwards. After close() it is ignored.

        What does not fit into the queue is lost and reported. Raises AudioError on another dtype or shape.
        """
        if pcm.dtype != np.int16 or pcm.ndim != 1:
            raise AudioError(f"audio is {pcm.dtype} with {pcm.ndim} dimensions", hint="give int16 mono samples")
        if self.closed or not len(pcm):
            return
        start = self._fed
        self._fed += len(pcm)
        self._owner._queue(self, start, pcm)

    def set_wake_words(self, words: Sequence[str], threshold: float | None = None) -> None:
        """From now on, for audio that waits too. Names as people write them; none turns the wake words off."""
        if self.closed:
            return
        self._listening = self._owner._listen(self, words, threshold)

    def close(self) -> None:
        """Give everything back. Nothing is delivered after this call. May be called again."""
        if not self.closed:
            self.closed = True
            self._owner._forget(self)


class Ears:
    """Made once. Ears may be opened before run(); they are heard when it runs."""

    def __init__(
        self,
        vad: VadEngine,
        wake: WakeEngine | None = None,
        *,
        wake_threshold: float = 0.5,
        refractory_ms: int = 1500,
        queue_s: float = 60.0,
    ) -> None:
        """`queue_s`: one message of 1 MiB holds 33 s of 16 kHz audio, and a file may come as several."""
        self._batch = EarBatch(vad, wake)
        self._words = wake.words if wake is not None else ()
        self._wake_threshold = wake_threshold
        self._refractory_ms = refractory_ms
        self._queue_samples = round(queue_s * RATE_HZ)
        self._inbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._ears: set[Ear] = set()
        """The loop's view."""
        self._heard: list[Ear] = []
        """The thread's view."""
        self._lost = 0

    def known_words(self) -> tuple[str, ...]:
        """The wake words that have a model, as they are spoken."""
        return tuple(self._words)

    def statistics(self) -> EarsStatistics:
        behind_s = max((ear.behind_s for ear in self._ears), default=0.0)
        return EarsStatistics(len(self._ears), behind_s, self._lost / RATE_HZ)

    def open(self, deliver: Deliver, wake_words: Sequence[str] = (), wake_threshold: float | None = None) -> Ear:
        """A new ear. `deliver(events)` is called in the event loop of run(), in the order of the audio.

        An exception of `deliver` goes to the loop's exception handler; the ear goes on.
        """
        ear = Ear(self, deliver)
        self._ears.add(ear)
        self._inbox.put(lambda: self._add(ear))
        if wake_words:
            ear.set_wake_words(wake_words, wake_threshold)
        return ear

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Hear until cancelled. The thread has ended when this returns.

        Engines' failures are reported to the ears they happen to; anything else that goes wrong raises here.
        """
        loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, self._work, loop)
            task_status.started()
            try:
                await anyio.sleep_forever()
            finally:
                self._inbox.put(None)

    # ---- event loop -----------------------------------------------------------------------------------------

    def _queue(self, ear: Ear, start: int, pcm: Pcm) -> None:
        fits = pcm[: self._queue_samples - (ear._queued - ear._taken)]
        self._lost += len(pcm) - len(fits)
        if len(fits):
            ear._queued += len(fits)
            self._inbox.put(lambda: self._take(ear, start, fits))

    def _listen(self, ear: Ear, words: Sequence[str], threshold: float | None) -> tuple[str, ...]:
        matched = match_words(words, self._words)
        trigger = WakeTrigger(self._wake_threshold if threshold is None else threshold, self._refractory_ms)
        self._inbox.put(lambda: self._batch.listen_for(ear._line, matched, trigger))
        return tuple(matched.values())

    def _forget(self, ear: Ear) -> None:
        self._ears.discard(ear)
        self._inbox.put(lambda: self._remove(ear))

    def _delivered(self, loop: asyncio.AbstractEventLoop, batch: list[tuple[Ear, list[EarEvent]]]) -> None:
        for ear, events in batch:
            if ear.closed:
                continue
            try:
                ear._deliver(events)
            except Exception as error:
                loop.call_exception_handler({"message": "an ear's deliver() failed", "exception": error})

    # ---- thread ---------------------------------------------------------------------------------------------

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting: dict[Line, float] = {}
        """Lines with a wake word that waits for the audio after it: when it has waited enough."""
        try:
            more = False
            while self._obey(0.0 if more else min(waiting.values(), default=math.inf) - loop.time()):
                more = self._batch.step()
                now = loop.time()
                waiting = {
                    ear._line: waiting.get(ear._line, now + _SETTLE_S)
                    for ear in self._heard
                    if ear._line.crossing is not None
                }
                for line in [line for line, until in waiting.items() if until <= now]:
                    line.settle()
                    del waiting[line]
                batch = [(ear, ear._line.take_events()) for ear in self._heard if ear._line.events]
                if batch:
                    loop.call_soon_threadsafe(self._delivered, loop, batch)
        finally:
            for ear in tuple(self._heard):
                self._remove(ear)

    def _obey(self, patience_s: float) -> bool:
        """Wait at most so long for a message, then do all that are there. False: stop."""
        try:
            wait = patience_s > 0
            message = self._inbox.get(block=wait, timeout=None if patience_s == math.inf else max(patience_s, 0.0))
            while message is not None:
                message()
                message = self._inbox.get_nowait()
        except Empty:
            return True
        return False

    def _add(self, ear: Ear) -> None:
        self._heard.append(ear)
        self._batch.add(ear._line)

    def _remove(self, ear: Ear) -> None:
        if ear in self._heard:
            self._heard.remove(ear)
            self._batch.remove(ear._line)

    def _take(self, ear: Ear, start: int, pcm: Pcm) -> None:
        ear._taken += len(pcm)
        ear._line.take(start, pcm)


def load_ears(vad: VadSettings, wake: WakeSettings, wake_models: Sequence[Path] = ()) -> Ears:
    """Load the engines that the settings name. Takes a second and blocks: call it in a thread.

    `wake_models`: files beside those the engine brings, named after their word ("computer_v2.onnx").
    `wake.engine` "none" is no wake word. Raises NoModel for an engine that does not exist or cannot find its model,
    ModelUnreadable for a file that is none.
    """
    vads, wakes = discover("voice.vad"), discover("voice.wake")
    if vad.engine not in vads:
        raise NoModel(f"there is no VAD engine {vad.engine!r}", hint=f"there are: {', '.join(vads)}")
    if wake.engine not in (*wakes, "none"):
        raise NoModel(f"there is no wake-word engine {wake.engine!r}", hint=f"there are: {', '.join(wakes)}, none")
    wake_engine = None
    if wake.engine != "none":
        wake_engine = wakes[wake.engine].load(
            EngineConfig(options={word_of_file(path.stem): str(path) for path in wake_models})
        )
    return Ears(
        vads[vad.engine].load(EngineConfig()),
        wake_engine,
        wake_threshold=wake.threshold,
        refractory_ms=wake.refractory_ms,
    )
