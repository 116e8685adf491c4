"""How many sessions one core can listen to, VAD and wake word on, before real time is lost."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import numpy as np

from tests.bench.report import Options, Section, Table, percentile
from tests.speaking import spoken
from voice.ears.ears import EarEvent, Ears, VadFrame, load_ears
from voice.port import EngineConfig, Pcm
from voice.settings import VadSettings, WakeSettings
from voice.vad.silero import SPEC as SILERO
from voice.wake.openwakeword import SPEC as OPENWAKEWORD

__all__ = ["run"]

RATE_HZ = 16_000
FRAME = 320
WORDS = ("alexa", "hey jarvis")
TOO_LATE_S = 0.1
"""Real time is lost when a frame in twenty is reported this late."""
CROWDS = (16, 64, 256)
STEPS = (1, 4, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768)


@dataclass(frozen=True, slots=True)
class Load:
    sessions: int
    cpu_share: float
    delays_s: Sequence[float]
    lost_s: float

    @property
    def kept_up(self) -> bool:
        return self.lost_s == 0 and percentile(self.delays_s, 95) < TOO_LATE_S

    def row(self) -> tuple[str, ...]:
        return (
            str(self.sessions),
            f"{self.cpu_share * 100:.0f} %",
            *(f"{percentile(self.delays_s, each) * 1000:.1f}" for each in (50, 95, 100)),
            "yes" if self.kept_up else "no",
        )


def run(options: Options) -> Section:
    _one_core()
    seconds = 2.0 if options.quick else 6.0
    room = np.random.default_rng(0).normal(0, 40, 20 * RATE_HZ).astype(np.int16)
    pause = np.zeros(RATE_HZ // 2, np.int16)
    texts = ("what is the capital of france", "turn on the kitchen lights", "tell me a story about a bear")
    speech = np.concatenate([part for text in texts for part in (spoken(text), pause)] * 4)
    idle, busy = _until_late(room, seconds, options), _until_late(speech, seconds, options)
    full = (
        ("quiet room", *(str(anyio.run(_full, n, room, seconds)) for n in CROWDS)),
        ("everybody speaks", *(str(anyio.run(_full, n, speech, seconds)) for n in CROWDS)),
    )
    columns = ("sessions", "of the core", "delay p50, ms", "p95", "worst", "in real time")
    return Section(
        "How many sessions one core can listen to",
        f"Sessions in one process on one core. Each is fed 20 ms frames at real-time pace for {seconds:.0f} s, with "
        "VAD "
        f"and {len(WORDS)} wake words; all CPU time counts, also that of the feeding. Delay: from feeding the last "
        "sample of a 32 ms frame to the delivery of its probability. In a quiet room the wake-word features are not "
        "computed; where everybody speaks without a break, they are.",
        (
            Table(columns, tuple(load.row() for load in idle), "Quiet room"),
            Table(columns, tuple(load.row() for load in busy), "Everybody speaks"),
            Table(
                ("seconds of audio in a second of CPU", *(f"{n} sessions" for n in CROWDS)),
                full,
                "Fed as fast as it goes: the same work in full batches",
            ),
            _engines(options),
        ),
        notes=(
            f"Listened to in real time: {_most(idle)} quiet sessions, {_most(busy)} speaking ones.",
            "The first two tables are of wall time, and show what else the machine does; the others count CPU.",
        ),
    )


def _most(loads: Sequence[Load]) -> int:
    return max((load.sessions for load in loads if load.kept_up), default=0)


def _until_late(sound: Pcm, seconds: float, options: Options) -> list[Load]:
    loads = []
    for sessions in STEPS[:4] if options.quick else STEPS:
        loads.append(anyio.run(_load, sessions, sound, seconds))
        if not loads[-1].kept_up:
            break
    return loads


async def _load(sessions: int, sound: Pcm, seconds: float) -> Load:
    ears: Ears = load_ears(VadSettings(), WakeSettings())
    delays: list[float] = []
    rng = np.random.default_rng(1)
    async with anyio.create_task_group() as tasks:
        await tasks.start(ears.run)
        crowd = [_Session(ears, np.roll(sound, -int(rng.integers(len(sound)))), delays) for _ in range(sessions)]
        # Sessions send at moments of their own, spread over the 20 ms.
        phases = np.sort(rng.random(sessions)) * FRAME / RATE_HZ
        begun, cpu_begun = time.perf_counter(), time.process_time()
        for step in range(round(seconds * RATE_HZ / FRAME)):
            for session, phase in zip(crowd, phases, strict=True):
                wait = begun + step * FRAME / RATE_HZ + phase - time.perf_counter()
                if wait > 0.001:
                    await anyio.sleep(wait)
                session.send()
            await anyio.sleep(0)
        took, cpu = time.perf_counter() - begun, time.process_time() - cpu_begun
        with anyio.move_on_after(5):
            while ears.statistics().behind_s:
                await anyio.sleep(0.01)
        lost_s = ears.statistics().lost_s
        tasks.cancel_scope.cancel()
    return Load(sessions, cpu / took, delays, lost_s)


async def _full(sessions: int, sound: Pcm, seconds: float) -> int:
    ears = load_ears(VadSettings(), WakeSettings())
    async with anyio.create_task_group() as tasks:
        await tasks.start(ears.run)
        crowd = [(ears.open(list, WORDS), np.roll(sound, -1777 * i)) for i in range(sessions)]
        begun = time.process_time()
        for at in range(0, round(seconds * RATE_HZ), FRAME):
            for ear, pcm in crowd:
                ear.feed(pcm[at : at + FRAME])
            await anyio.sleep(0)
            while ears.statistics().behind_s > 0.1:
                await anyio.sleep(0.002)
        while ears.statistics().behind_s:
            await anyio.sleep(0.002)
        cpu_s = time.process_time() - begun
        tasks.cancel_scope.cancel()
    return round(sessions * seconds / cpu_s)


class _Session:
    def __init__(self, ears: Ears, sound: Pcm, delays: list[float]) -> None:
        self._sound = sound
        self._delays = delays
        self._sent = 0
        self._frame_sent_s: list[float] = []
        self._ear = ears.open(self._heard, WORDS)

    def send(self) -> None:
        at = self._sent % (len(self._sound) - FRAME)
        self._ear.feed(self._sound[at : at + FRAME])
        self._sent += FRAME
        if self._sent // 512 > len(self._frame_sent_s):
            self._frame_sent_s.append(time.perf_counter())

    def _heard(self, events: list[EarEvent]) -> None:
        now = time.perf_counter()
        for event in events:
            if isinstance(event, VadFrame):
                self._delays.append(now - self._frame_sent_s[round(event.end_s * RATE_HZ) // 512 - 1])


def _engines(options: Options) -> Table:
    """CPU milliseconds a stream and frame, alone and in batches."""
    vad, wake = SILERO.load(EngineConfig()), OPENWAKEWORD.load(EngineConfig())
    rounds = 10 if options.quick else 60
    rows: list[tuple[str, ...]] = []
    batches = (1, 4, 16, 64)
    streams = [vad.open() for _ in range(max(batches))]
    frames = np.random.default_rng(0).normal(0, 0.1, (max(batches), 512)).astype(np.float32)
    sounds = np.random.default_rng(0).normal(0, 3000, (max(batches), 1280)).astype(np.int16)
    costs = [_cost(lambda n=n: vad.step(streams[:n], frames[:n]), rounds) / n for n in batches]
    rows.append(("Silero VAD, 32 ms", *(f"{each:.3f}" for each in costs)))
    for words in ((), ("alexa",), WORDS):
        listening = [wake.open(words) for _ in range(max(batches))]
        costs = [
            _cost(lambda n=n, listening=listening: wake.step(listening[:n], sounds[:n]), rounds) / n for n in batches
        ]
        label = f"openWakeWord, 80 ms, {len(words)} words" if words else "openWakeWord's features, 80 ms"
        rows.append((label, *(f"{each:.3f}" for each in costs)))
    return Table(("CPU ms a stream and frame", *(f"batch of {n}" for n in batches)), tuple(rows), "Engines alone")


def _cost(call: object, rounds: int) -> float:
    assert callable(call)
    call()
    begun = time.process_time()
    for _ in range(rounds):
        call()
    return (time.process_time() - begun) / rounds * 1000


def _one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
