"""The ears: order, times, batches, isolation of failures, bounds, endings. The engines are scripts on the samples.

Why this file is long: one set of loaded ears for all of it.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import numpy.typing as npt
import pytest

from models.errors import ModelUnreadable
from voice.ears.ears import AudioLost, Ear, EarEvent, EarFailed, Ears, VadFrame, WakeHeard, load_ears
from voice.errors import AudioError, NoModel
from voice.port import Pcm
from voice.settings import VadSettings, WakeSettings
from voice.wake.tflite import wheel_folder

FRAME = 512


class LoudnessVad:
    """Probability = mean of the frame's samples / 1000; remembers what it was asked. -1 in a frame: it breaks."""

    def __init__(self) -> None:
        self.streams: set[int] = set()
        self.opened = 0
        self.batches: list[int] = []
        self.threads: set[int] = set()
        self.hold = threading.Event()
        self.hold.set()
        self.broken_open = False

    def open(self) -> int:
        if self.broken_open:
            raise RuntimeError("no streams today")
        self.opened += 1
        self.streams.add(self.opened)
        return self.opened

    def close(self, stream: int) -> None:
        self.streams.remove(stream)

    def step(self, streams: Sequence[int], frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        assert self.hold.wait(60)
        assert self.streams.issuperset(streams)
        assert len(set(streams)) == len(streams)
        assert frames.shape == (len(streams), FRAME)
        assert frames.dtype == np.float32
        self.batches.append(len(streams))
        self.threads.add(threading.get_ident())
        samples = np.round(frames * 32768)
        if (samples == -1).any():
            raise RuntimeError("bad frame")
        return np.clip(samples.mean(axis=1) / 1000, 0, 1).astype(np.float32)


class NumberWake:
    """Hears word number k in a frame that holds the sample 5000 + k, and in the next one; with 6000 + k in that frame
    only. 4999: it breaks."""

    words = ("hey jarvis", "alexa")

    def __init__(self) -> None:
        self.streams: dict[int, tuple[str, ...]] = {}
        self.before: dict[int, Pcm] = {}
        self.opened = 0
        self.frames = 0

    def open(self, words: Sequence[str]) -> int:
        self.opened += 1
        self.streams[self.opened] = tuple(words)
        self.before[self.opened] = np.zeros(0, np.int16)
        return self.opened

    def close(self, stream: int) -> None:
        del self.streams[stream]

    def step(self, streams: Sequence[int], frames: npt.NDArray[np.int16]) -> list[dict[str, float]]:
        assert frames.shape == (len(streams), 1280)
        self.frames += len(streams)
        if (frames == 4999).any():
            raise RuntimeError("bad wake frame")
        scores = []
        for stream, frame in zip(streams, frames, strict=True):
            both = np.concatenate((self.before[stream], frame))
            scores.append(
                {word: (both == 5000 + self.words.index(word)).any() * 0.9 for word in self.streams[stream]}
            )
            self.before[stream] = frame
        return scores


class Listener:
    """Takes deliveries and waits for them."""

    def __init__(self) -> None:
        self.events: list[EarEvent] = []
        self._changed = asyncio.Event()

    def __call__(self, events: list[EarEvent]) -> None:
        assert events
        self.events.extend(events)
        self._changed.set()

    async def until(self, enough: Callable[[list[EarEvent]], bool]) -> list[EarEvent]:
        with anyio.fail_after(60):
            while not enough(self.events):
                self._changed.clear()
                await self._changed.wait()
        return self.events

    async def frames(self, count: int) -> list[VadFrame]:
        await self.until(lambda events: sum(isinstance(e, VadFrame) for e in events) >= count)
        return [e for e in self.events if isinstance(e, VadFrame)]

    def of(self, kind: type[Any]) -> list[Any]:
        return [e for e in self.events if isinstance(e, kind)]


@asynccontextmanager
async def running(ears: Ears) -> AsyncIterator[Ears]:
    async with anyio.create_task_group() as tasks:
        await tasks.start(ears.run)
        yield ears
        tasks.cancel_scope.cancel()


def level(value: int, samples: int) -> Pcm:
    return np.full(samples, value, np.int16)


@pytest.mark.parametrize("size", [1, 160, 320, 512, 1000, 50_000])
async def test_frames_of_any_size_give_the_same_events(size: int) -> None:
    pcm = np.repeat(np.arange(0, 1000, 20), FRAME).astype(np.int16)[: 49 * FRAME + 100]
    listener = Listener()
    async with running(Ears(LoudnessVad())) as ears:
        ear = ears.open(listener)
        for at in range(0, len(pcm), size):
            ear.feed(pcm[at : at + size])
        frames = await listener.frames(49)
    assert [f.probability for f in frames] == pytest.approx([i * 0.02 for i in range(49)])
    assert [f.end_s for f in frames] == pytest.approx([(i + 1) * 0.032 for i in range(49)])


async def test_what_was_fed_before_it_runs_is_heard() -> None:
    ears, listener = Ears(LoudnessVad()), Listener()
    ears.open(listener).feed(level(500, FRAME))
    async with running(ears):
        assert (await listener.frames(1))[0].probability == pytest.approx(0.5)


async def test_many_sessions_are_heard_together_and_apart() -> None:
    vad = LoudnessVad()
    vad.hold.clear()
    listeners = [Listener() for _ in range(20)]
    async with running(Ears(vad)) as ears:
        for i, listener in enumerate(listeners):
            ears.open(listener).feed(level(i * 40, 5 * FRAME))
        vad.hold.set()
        for i, listener in enumerate(listeners):
            assert [f.probability for f in await listener.frames(5)] == pytest.approx([i * 0.04] * 5)
    assert sum(vad.batches) == 100
    assert max(vad.batches) >= 10  # what piled up while the first frame was held went in batches
    assert len(vad.threads) == 1
    assert threading.get_ident() not in vad.threads


async def test_a_long_backlog_does_not_hold_up_another_session() -> None:
    vad = LoudnessVad()
    vad.hold.clear()
    long, short = Listener(), Listener()
    seen: list[int] = []
    async with running(Ears(vad)) as ears:
        ears.open(long).feed(level(100, 500 * FRAME))

        def heard(events: list[EarEvent]) -> None:
            seen.append(len(long.events))
            short(events)

        ears.open(heard).feed(level(900, FRAME))
        vad.hold.set()
        await short.frames(1)
        await long.frames(500)
    assert seen[0] < 250


async def test_closing_ends_deliveries_and_gives_the_streams_back() -> None:
    vad, wake, listener = LoudnessVad(), NumberWake(), Listener()
    async with running(Ears(vad, wake)) as ears:
        ear = ears.open(listener, ["alexa"])
        ear.feed(level(500, 1280 * 2))
        await listener.frames(4)
        ear.feed(level(500, 100 * FRAME))
        ear.close()
        ear.close()
        ear.feed(level(500, FRAME))
        ear.set_wake_words(["alexa"])
        before = len(listener.events)
        other = Listener()
        ears.open(other).feed(level(1, FRAME))
        await other.frames(1)
        assert len(listener.events) == before
        assert len(vad.streams) == 1
        assert not wake.streams
        assert ears.statistics().ears == 1
    assert not vad.streams


async def test_a_full_queue_loses_audio_says_so_and_keeps_time() -> None:
    vad, listener = LoudnessVad(), Listener()
    vad.hold.clear()
    async with running(Ears(vad, queue_s=1.0)) as ears:
        ear = ears.open(listener)
        ear.feed(level(100, FRAME))
        with anyio.fail_after(60):
            while ear.behind_s:  # taken, and held in the engine
                await anyio.sleep(0.001)
        ear.feed(level(200, 12_000))
        ear.feed(level(300, 12_000))  # 4,000 fit
        ear.feed(level(400, 12_000))  # none do
        assert ears.statistics().behind_s == pytest.approx(1.0)
        assert ears.statistics().lost_s == pytest.approx(1.25)
        vad.hold.set()
        await listener.frames(1 + 31)
        ear.feed(level(500, 2 * FRAME))
        frames = await listener.frames(1 + 31 + 2)
    end = FRAME + 16_000
    assert listener.of(AudioLost) == [AudioLost(end / 16_000, (end + 20_000) / 16_000)]
    assert [f.probability for f in frames[-2:]] == pytest.approx([0.5, 0.5])
    assert frames[-1].end_s == pytest.approx((end + 20_000 + 2 * FRAME) / 16_000)


async def test_a_failing_frame_is_reported_to_its_session_only() -> None:
    vad = LoudnessVad()
    vad.hold.clear()
    listeners = [Listener() for _ in range(4)]
    async with running(Ears(vad)) as ears:
        for i, listener in enumerate(listeners):
            bad = level(-1 if i == 2 else 500, FRAME)
            ears.open(listener).feed(np.concatenate((level(500, FRAME), bad, level(500, FRAME))))
        vad.hold.set()
        for i, listener in enumerate(listeners):
            frames = await listener.frames(2 if i == 2 else 3)
            assert [f.probability for f in frames] == pytest.approx([0.5] * len(frames))
    assert [listener.of(EarFailed) for listener in (listeners[0], listeners[1], listeners[3])] == [[], [], []]
    assert listeners[2].of(EarFailed) == [EarFailed("vad", "RuntimeError: bad frame", final=False)]
    assert listeners[2].of(VadFrame)[1].end_s == pytest.approx(3 * 0.032)
    assert vad.opened == 5  # the one that failed began afresh
    assert not vad.streams


async def test_an_engine_that_goes_on_failing_is_turned_off_for_the_session() -> None:
    vad, listener, other = LoudnessVad(), Listener(), Listener()
    async with running(Ears(vad)) as ears:
        ears.open(listener).feed(level(-1, 50 * FRAME))
        await listener.until(lambda events: any(isinstance(e, EarFailed) and e.final for e in events))
        ears.open(other).feed(level(500, 50 * FRAME))
        await other.frames(50)
        assert [e.final for e in listener.of(EarFailed)] == [False, False, True]
        assert not listener.of(VadFrame)


async def test_an_engine_that_gives_no_stream_is_reported() -> None:
    vad, listener = LoudnessVad(), Listener()
    vad.broken_open = True
    async with running(Ears(vad)) as ears:
        ears.open(listener).feed(level(500, FRAME))
        await listener.until(lambda events: len(events) >= 1)
    assert listener.events == [EarFailed("vad", "RuntimeError: no streams today", final=False)]


async def test_a_listener_that_raises_harms_nobody_else() -> None:
    seen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))

    def broken(events: list[EarEvent]) -> None:
        raise RuntimeError("in deliver")

    listener = Listener()
    async with running(Ears(LoudnessVad())) as ears:
        ears.open(broken).feed(level(500, FRAME))
        ears.open(listener).feed(level(500, 3 * FRAME))
        await listener.frames(3)
    assert [str(context["exception"]) for context in seen] == ["in deliver"]


async def test_wake_words_are_matched_by_name_and_reported_as_asked() -> None:
    listener = Listener()
    async with running(Ears(LoudnessVad(), NumberWake())) as ears:
        assert ears.known_words() == ("hey jarvis", "alexa")
        ear = ears.open(listener, ["Hey_Jarvis", "ALEXA", "computer"])
        assert ear.heard_words == ("Hey_Jarvis", "ALEXA")
        voice = level(800, 5 * 1280)
        voice[3 * 1280 + 7] = 5000
        ear.feed(voice)
        ear.feed(level(800, 30 * 1280))
        await listener.frames(80)
        again = level(800, 1280)
        again[9] = 5001
        ear.feed(again)
        await listener.until(lambda events: sum(isinstance(e, WakeHeard) for e in events) >= 2)
    first, second = listener.of(WakeHeard)
    assert (first.word, second.word) == ("Hey_Jarvis", "ALEXA")
    assert first.score == pytest.approx(0.9)
    assert 0 <= first.start_s < first.end_s <= 4 * 0.08 + 0.25
    assert 35 * 0.08 < second.end_s <= 36 * 0.08  # nothing came after it


async def test_a_wake_word_waits_for_the_audio_after_it_and_not_for_ever() -> None:
    listener, other = Listener(), Listener()
    async with running(Ears(LoudnessVad(), NumberWake())) as ears:
        busy, ear = ears.open(other), ears.open(listener, ["alexa"])
        voice = level(800, 2 * 1280)
        voice[1500] = 5001
        ear.feed(voice)
        await listener.frames(5)
        assert not listener.of(WakeHeard)
        gap = np.concatenate((level(800, 800), level(0, 480), level(800, 5120)))
        ear.feed(gap)
        await listener.frames(15)
        (heard,) = listener.of(WakeHeard)
        assert 2560 + 800 <= heard.end_s * 16_000 <= 2560 + 800 + 480  # in the gap
        ear.feed(level(800, 20 * 1280))
        ear.feed(voice)
        with anyio.fail_after(60):
            while len(listener.of(WakeHeard)) < 2:  # nothing follows, though others go on
                busy.feed(level(1, FRAME))
                await anyio.sleep(0.01)


async def test_what_is_heard_in_one_frame_only_is_no_wake_word_and_the_word_is_listened_for_at_once() -> None:
    heard = Listener()
    async with running(Ears(LoudnessVad(), NumberWake())) as ears:
        ear = ears.open(heard, ("alexa",))
        ear.feed(np.concatenate((level(600, 1280), level(6001, 1280), level(600, 6400))))
        await heard.frames(17)
        assert not heard.of(WakeHeard)
        ear.feed(np.concatenate((level(5001, 1280), level(600, 6400))))
        await heard.until(lambda events: any(isinstance(event, WakeHeard) for event in events))
        ear.close()
    assert [event.word for event in heard.of(WakeHeard)] == ["alexa"]


async def test_wake_words_can_be_changed_and_turned_off() -> None:
    wake, listener = NumberWake(), Listener()
    jarvis, alexa = level(800, 1280 * 2), level(800, 1280 * 2)
    jarvis[1500], alexa[1500] = 5000, 5001
    async with running(Ears(LoudnessVad(), wake)) as ears:
        ear = ears.open(listener)
        ear.feed(alexa)
        await listener.frames(5)
        ear.set_wake_words(["Alexa"])
        ear.feed(jarvis)
        ear.feed(alexa)
        await listener.frames(3 * 5)
        await listener.until(lambda events: any(isinstance(e, WakeHeard) for e in events))
        ear.set_wake_words([])
        ear.feed(alexa)
        await listener.frames(4 * 5)
        assert not wake.streams
    assert [e.word for e in listener.of(WakeHeard)] == ["Alexa"]


async def test_without_a_wake_engine_no_word_is_known() -> None:
    async with running(Ears(LoudnessVad())) as ears:
        assert ears.known_words() == ()
        assert ears.open(Listener(), ["alexa"]).heard_words == ()


async def test_silence_is_not_searched_and_the_beginning_of_a_word_is_not_missed() -> None:
    wake, listener = NumberWake(), Listener()
    async with running(Ears(LoudnessVad(), wake)) as ears:
        ear = ears.open(listener, ["alexa"])
        ear.feed(level(0, 100 * 1280))
        await listener.frames(250)
        assert wake.frames == 0
        early = level(0, 10 * 1280)
        early[3 * 1280] = 5001  # 0.56 s before the VAD hears anything: within the look-back
        ear.feed(early)
        ear.feed(level(800, 2 * 1280))
        await listener.until(lambda events: any(isinstance(e, WakeHeard) for e in events))
    (heard,) = listener.of(WakeHeard)
    assert heard.end_s <= 112 * 0.08
    assert wake.frames <= 12


async def test_a_failing_wake_engine_leaves_the_voice_alone() -> None:
    listener = Listener()
    async with running(Ears(LoudnessVad(), NumberWake())) as ears:
        ear = ears.open(listener, ["alexa"])
        ear.feed(level(4999, 10 * 1280))
        await listener.frames(25)
        await listener.until(lambda events: sum(isinstance(e, EarFailed) for e in events) >= 3)
    assert [(e.part, e.final) for e in listener.of(EarFailed)] == [("wake", False), ("wake", False), ("wake", True)]


@pytest.mark.parametrize("bad", [np.zeros(FRAME, np.float32), np.zeros((2, FRAME), np.int16)])
async def test_other_audio_is_refused(bad: Pcm) -> None:
    ear: Ear = Ears(LoudnessVad()).open(Listener())
    with pytest.raises(AudioError):
        ear.feed(bad)


def test_loaded_ears_know_the_words_of_the_engine_and_of_the_files(tmp_path: Path) -> None:
    shutil.copy(wheel_folder() / "models" / "alexa.tflite", tmp_path / "computer_v2.tflite")
    ears = load_ears(VadSettings(), WakeSettings(), [tmp_path / "computer_v2.tflite"])
    assert {"alexa", "hey jarvis", "computer"} <= set(ears.known_words())
    assert load_ears(VadSettings(), WakeSettings(engine="none")).known_words() == ()
    (tmp_path / "bad.tflite").write_bytes(b"nothing")
    with pytest.raises(ModelUnreadable, match=r"bad\.tflite"):
        load_ears(VadSettings(), WakeSettings(), [tmp_path / "bad.tflite"])


def test_unknown_engines_are_named() -> None:
    with pytest.raises(NoModel, match="nonesuch"):
        load_ears(VadSettings(engine="nonesuch"), WakeSettings())
    with pytest.raises(NoModel, match="nonesuch"):
        load_ears(VadSettings(), WakeSettings(engine="nonesuch"))
