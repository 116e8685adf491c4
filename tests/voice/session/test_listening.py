"""The shell of hearing: what takes long is done beside the event loop, and nothing of the order is lost by that."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import numpy as np

from models.clock import SystemClock
from tests.speaking import spoken
from tests.voice.room import RATE_HZ, STORY, impulse_response
from voice.ears.ears import load_ears
from voice.ears.echo_guard import EchoGuard
from voice.ears.events import WakeHeard
from voice.ears.ring import AudioRing
from voice.port import Pcm
from voice.session.config import AudioConfig, SessionConfig
from voice.session.listening import Listening
from voice.session.outgoing import AudioOut
from voice.settings import VadSettings, VoiceSettings, WakeSettings
from voice.turn.events import EchoHeard, TurnEvent

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
    listening.close()
    assert beside > 3
    assert [event.state for event in told if isinstance(event, EchoHeard)][0] == "present" == guard.state
    assert np.array_equal(ring.read(0), plain.read(0))
