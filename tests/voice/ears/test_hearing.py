"""A turn's recogniser stream: transcripts that nobody waits for any more are let go."""

from __future__ import annotations

import anyio
import numpy as np
import pytest

from tests.scripted import virtual_time
from tests.scripted.virtual_time import VirtualClock
from voice.ears.hearing import LOOK_S, Hearing
from voice.ears.ring import AudioRing
from voice.errors import SttFailed
from voice.port import Pcm, SttStream, Transcript


class SlowStt:
    """Takes an hour for its first transcript."""

    name = "slow"
    streaming = False

    def __init__(self) -> None:
        self.samples = self.asked = self.cancelled = 0

    async def open(self, language: str | None) -> SttStream:
        return self

    async def feed(self, pcm: Pcm) -> None:
        self.samples += len(pcm)

    async def partial(self) -> str | None:
        return None

    async def transcribe(self) -> Transcript:
        self.asked += 1
        if self.asked > 1:
            return Transcript(f"{self.samples} samples")
        try:
            await anyio.sleep(3600)
        finally:
            self.cancelled += 1
        return Transcript("late")

    async def aclose(self) -> None: ...


async def test_the_next_transcript_does_not_stand_behind_one_for_the_bin() -> None:
    stt, ring = SlowStt(), AudioRing(10.0)
    hearing = Hearing(stt, ring, None, 0)
    ring.append(np.ones(1000, np.int16))
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hearing.run, lambda text: None)
            with anyio.CancelScope() as first:
                async with anyio.create_task_group() as guess:
                    guess.start_soon(hearing.transcribe)
                    while not stt.asked:
                        await anyio.sleep(0)
                    ring.append(np.ones(1000, np.int16))
                    first.cancel()  # the user went on
            hearing.audio_came()
            assert (await hearing.transcribe()).text == "2000 samples"
            assert stt.cancelled == 1
            hearing.close()


class BusyStt(SlowStt):
    """Is at the transcripts of others for a minute, so that it has no time for partial ones."""

    streaming = True

    async def partial(self) -> str | None:
        await anyio.sleep(60)
        return "partly"

    async def transcribe(self) -> Transcript:
        return Transcript(f"{self.samples} samples")


def test_a_transcript_does_not_stand_behind_a_partial_one_that_is_waited_for() -> None:
    async def main(clock: VirtualClock) -> tuple[list[str], str, float]:
        told: list[str] = []
        hearing = Hearing(BusyStt(), ring := AudioRing(10.0), None, 0)
        ring.append(np.ones(6000, np.int16))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hearing.run, told.append)
            await anyio.sleep(1.0)
            ring.append(np.ones(1000, np.int16))
            hearing.audio_came()
            text, at_s = (await hearing.transcribe()).text, clock.now()
            ring.append(np.ones(6000, np.int16))
            hearing.audio_came()
            await anyio.sleep(100)
            hearing.close()
        return told, text, at_s

    told, text, at_s = virtual_time.run(main)
    assert (told, text) == (["partly"], "7000 samples")
    assert at_s == pytest.approx(1.0 + LOOK_S, abs=0.01)


class FailingStt(SlowStt):
    """Fails after so many seconds, whenever it is asked."""

    def __init__(self, after_s: float) -> None:
        super().__init__()
        self.after_s = after_s

    async def transcribe(self) -> Transcript:
        self.asked += 1
        await anyio.sleep(self.after_s)
        raise SttFailed("no answer")


@pytest.mark.parametrize(("after_s", "asked"), [(0.1, 2), (30.0, 1)])
def test_what_breaks_is_asked_once_more_and_what_hangs_is_not(after_s: float, asked: int) -> None:
    async def main(clock: VirtualClock) -> FailingStt:
        stt, ring = FailingStt(after_s), AudioRing(10.0)
        hearing = Hearing(stt, ring, None, 0)
        ring.append(np.ones(1000, np.int16))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hearing.run, lambda text: None)
            with pytest.raises(SttFailed):
                await hearing.transcribe()
            assert clock.now() == pytest.approx(after_s * asked, abs=0.01)
            hearing.close()
        return stt

    assert virtual_time.run(main).asked == asked


class QuickStt(SlowStt):
    streaming = True

    async def partial(self) -> str | None:
        return f"{self.samples} so far"

    async def transcribe(self) -> Transcript:
        return Transcript(f"{self.samples} samples")


async def test_its_words_are_looked_at_once_more_right_before_a_transcript() -> None:
    stt, ring, told = QuickStt(), AudioRing(10.0), []
    hearing = Hearing(stt, ring, None, 0)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hearing.run, told.append)
            for _ in range(2):
                ring.append(np.ones(100, np.int16))
                told.append((await hearing.transcribe()).text)
            hearing.close()
    assert told == ["100 so far", "100 samples", "200 so far", "200 samples"]


class StumblingStt(FailingStt):
    """Fails once, and then says how much it was given."""

    async def open(self, language: str | None) -> SttStream:
        self.samples = 0
        return self

    async def transcribe(self) -> Transcript:
        return Transcript(f"{self.samples} samples") if self.asked else await super().transcribe()


def test_one_that_is_asked_again_is_given_no_more_than_before() -> None:
    """What was said while it failed is for the next who asks."""

    async def main(clock: VirtualClock) -> list[str]:
        hearing = Hearing(StumblingStt(2.0), ring := AudioRing(10.0), None, 0)
        ring.append(np.ones(1000, np.int16))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hearing.run, lambda text: None)

            async def speak() -> None:
                await anyio.sleep(1.0)
                ring.append(np.ones(20_000, np.int16))
                hearing.audio_came()

            tasks.start_soon(speak)
            heard = [(await hearing.transcribe()).text, (await hearing.transcribe()).text]
            hearing.close()
        return heard

    assert virtual_time.run(main) == ["1000 samples", "21000 samples"]
