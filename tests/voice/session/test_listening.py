"""The shell of hearing: what takes long is done beside the event loop, and nothing of the order is lost by that."""

from __future__ import annotations

from dataclasses import replace

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from models.clock import SystemClock
from tests.recordings import needs_recordings, recording
from tests.speaking import spoken
from tests.voice.room import RATE_HZ, STORY, impulse_response
from voice.ears.ears import load_ears
from voice.ears.echo_guard import EchoGuard
from voice.ears.events import WakeHeard
from voice.ears.ring import AudioRing
from voice.port import Pcm
from voice.session.config import AudioConfig, SessionConfig, TurnDetection
from voice.session.listening import Listening
from voice.session.outgoing import AudioOut
from voice.settings import VadSettings, VoiceSettings, WakeSettings
from voice.turn.events import AudioClock, EchoHeard, SpeechBegan, SpeechEnded, TurnEvent

FRAME, LEAD = 320, 15 * 320


class SetClock(SystemClock):
    """Says what it is set to."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at = 100.0

    def now(self) -> float:
        return self.at


def echoing(ours: Pcm) -> Pcm:
    """What the microphone hears while `ours` is played."""
    echo = np.convolve(np.concatenate((np.zeros(2400), ours)), impulse_response(0.2, 0))[: len(ours)] * 0.4
    noise = np.random.default_rng(1).normal(0, 12, len(ours))
    microphone: Pcm = (echo + noise).round().clip(-32768, 32767).astype(np.int16)
    return microphone


async def test_a_search_does_not_stop_the_loop_and_what_leaves_meanwhile_is_in_order() -> None:
    """As if every frame had been heard, and every piece had left, one after the other."""
    ours = spoken(STORY)[: 3 * RATE_HZ]
    microphone, clock = echoing(ours), SetClock()
    told, guard = list[TurnEvent](), EchoGuard("auto")
    ring, plain = AudioRing(30.0), AudioRing(30.0)
    config = SessionConfig(audio=AudioConfig("pcm", "pcm", RATE_HZ))

    def woken(word: WakeHeard) -> None:
        raise AssertionError(word)

    listening = Listening(
        "s", config, VoiceSettings(), clock, ring, hear=told.append, woken=woken, failed=print, came=lambda: None
    )
    listening.open(load_ears(VadSettings(), WakeSettings(engine="none")))
    beside = 0
    for at in range(0, len(ours) - LEAD - FRAME, FRAME):
        clock.at += FRAME / RATE_HZ
        piece = AudioOut("r", ours[at + LEAD if at else 0 : at + LEAD + FRAME], RATE_HZ, "", at == 0)
        frame = microphone[at : at + FRAME]
        before = clock.at
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listening.raw, frame.tobytes())
            await anyio.lowlevel.checkpoint()  # it has begun, and a search is not over
            beside += listening.searching
            clock.at += 0.001
            listening.leaves(piece)
        heard = guard.hear(frame, before)
        plain.rewrite(guard.take_past())
        plain.append(heard)
        guard.sent(piece, clock.at)
    assert beside > 3
    assert [event.state for event in told if isinstance(event, EchoHeard)][0] == "present" == guard.state
    assert np.array_equal(ring.read(0), plain.read(0))
    listening.close()


async def test_a_message_that_takes_long_to_read_keeps_nobody_waiting() -> None:
    """A hundred thousand empty elements of WebM, and no sound; it took a second, and MP3 can take more."""
    heard = Heard(SessionConfig(audio=AudioConfig("webm", "pcm", RATE_HZ)))
    turns = 0

    async def beside() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beside)
        await heard.listening.container(b"\x1a\x45\xdf\xa3\x80" + b"\xec\x80" * 100_000)
        tasks.cancel_scope.cancel()
    heard.listening.close()
    assert turns > 100


class Heard:
    """Real ears, fed so much at a time; what the turn machine is told of it."""

    def __init__(self, config: SessionConfig) -> None:
        self.told = list[TurnEvent]()
        self._fed = 0
        self.ears = load_ears(VadSettings(), WakeSettings(engine="none"))
        self.listening = Listening(
            "s",
            config,
            VoiceSettings(),
            SystemClock(),
            AudioRing(30.0),
            hear=self.told.append,
            woken=print,
            failed=print,
            came=lambda: None,
        )
        self.listening.open(self.ears)

    async def feed(self, pcm: Pcm) -> None:
        """All but what is no whole frame is heard when this returns."""
        self._fed += len(pcm)
        await self.listening.raw(pcm.tobytes())
        with anyio.fail_after(60):
            while self.clock_s < self._fed / RATE_HZ - 0.04:
                await anyio.sleep(0.005)

    @property
    def clock_s(self) -> float:
        return max((event.at_s for event in self.told if isinstance(event, AudioClock)), default=0.0)

    def of(self, kind: type[SpeechBegan | SpeechEnded]) -> list[float]:
        return [event.at_s for event in self.told if isinstance(event, kind)]


async def heard_of(pcm: Pcm, change_at: int | None) -> Heard:
    """`change_at`: the sample at which the client asks for another turn detection."""
    config = SessionConfig(AudioConfig("pcm", "pcm"), turn_detection=TurnDetection("semantic_vad", eagerness="low"))
    heard = Heard(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heard.ears.run)
        tasks.start_soon(heard.listening.run)
        await heard.feed(pcm[:change_at])
        if change_at is not None:
            heard.listening.reconfigure(
                replace(config, turn_detection=TurnDetection("semantic_vad", eagerness="high"))
            )
            await heard.feed(pcm[change_at:])
        heard.listening.close()
        tasks.cancel_scope.cancel()
    return heard


async def test_speech_ends_though_the_turn_detection_is_changed_in_its_last_moment() -> None:
    """Else the turn would go on until it is too long for any."""
    silence = np.zeros(RATE_HZ, np.int16)
    pcm = np.concatenate((silence, spoken("What is the capital of France?"), silence))
    [ends_s] = (await heard_of(pcm, None)).of(SpeechEnded)
    for after_s in (0.05, -0.5, -0.05, 0.1):
        heard = await heard_of(pcm, round((ends_s + after_s) * RATE_HZ))
        assert heard.of(SpeechEnded) == [ends_s] and len(heard.of(SpeechBegan)) == 1, after_s


@needs_recordings
@pytest.mark.parametrize("shift", [0, 170, 340])
async def test_a_voice_that_is_long_gone_has_faded_though_the_detector_is_sure_of_it(shift: int) -> None:
    """What follows the last loud sample is the burst of a consonant and the room, for 150 ms, and 30 dB quieter."""
    pcm = recording("speech/coffee_orders/55522a2f.wav").pcm()[: RATE_HZ * 4]
    last_s = (43_520 + shift) / RATE_HZ
    heard = await heard_of(np.concatenate((np.zeros(shift, np.int16), pcm)), None)
    voiced_s = max(event.at_s for event in heard.told if isinstance(event, AudioClock) and not event.fading)
    assert last_s - 0.06 < voiced_s < last_s + 0.11
