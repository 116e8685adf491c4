"""What a device does that heard a wake word, or a phrase, less clearly than another one of its user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import numpy as np
import pytest

from models.clock import SystemClock
from tests.speaking import spoken
from tests.voice.conversation import RATE_HZ, Conversation, Delays
from tests.voice.scripted_parts import ScriptedMind, ScriptedStt, ScriptedVoice
from tests.voice.session.test_session import PCM, Wire
from voice.ears.ears import load_ears
from voice.session.config import AudioConfig, SessionConfig, TurnConfig, TurnDetection, WakeConfig, WakeMode
from voice.session.hub import Hub
from voice.session.outgoing import (
    AudioOut,
    ErrorOut,
    ReplyStarted,
    SpeechStarted,
    SpeechStopped,
    TurnComplete,
    WakeLost,
    WakeOut,
)
from voice.session.session import SessionParts
from voice.settings import TurnSettings, VadSettings, VoiceSettings, WakeSettings
from voice.turn import events as heard
from voice.turn.actions import Offer, PassOn
from voice.turn.machine import State

AUDIO = AudioConfig(sample_rate=RATE_HZ)
PHRASE = SessionConfig(audio=AUDIO, wake=WakeConfig(True, ("hey computer",)))
FOLLOWING = SessionConfig(audio=AUDIO, wake=WakeConfig(True, ("alexa",)), turn=TurnConfig(follow_up_s=6.0))


def test_a_phrase_that_another_device_answers_is_not_answered() -> None:
    talk = Conversation(config=PHRASE, wins=False)
    talk.speak((1.0, 3.0, "hey computer how late is it"))
    talk.run(8.0)
    assert [lost.word for lost in talk.told(WakeLost)] == ["hey computer"]
    assert not talk.told(ReplyStarted) and not talk.told(TurnComplete) and not talk.machine.history.items
    assert len(talk.told(SpeechStarted)) == len(talk.told(SpeechStopped)) == 1
    assert talk.machine.state is State.IDLE


def test_a_phrase_that_nobody_else_heard_is_answered() -> None:
    talk = Conversation(config=PHRASE)
    talk.speak((1.0, 3.0, "hey computer how late is it"))
    talk.run(14.0)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["how late is it"]


@pytest.mark.parametrize(("at_s", "follow_up_s"), [(5.0, None), (11.0, 8.0)], ids=["over a reply", "after one"])
@pytest.mark.parametrize("wins", [True, False])
def test_a_phrase_is_contested_also_where_none_was_needed(at_s: float, follow_up_s: float | None, wins: bool) -> None:
    """Whoever says it says it to all of their devices."""
    config = replace(PHRASE, turn=TurnConfig(follow_up_s=follow_up_s))
    talk = Conversation(config=config, answer=lambda asked: "That is a long story, and it goes on and on.")
    talk.speak((1.0, 3.0, "hey computer how late is it"), (at_s, at_s + 2.0, "hey computer light on"))
    talk.run(4.0)
    talk.wins = wins
    talk.run(30.0)
    asked = [turn.input_transcript for turn in talk.told(TurnComplete)]
    assert asked == ["how late is it", "light on"][: 1 + wins] and len(talk.told(WakeLost)) == (not wins)
    assert talk.machine.state is State.IDLE


def following() -> Conversation:
    """The first request was for this device: it may be spoken to without the word for a while."""
    talk = Conversation(answer=lambda asked: "Done.", config=FOLLOWING, audible=frozenset({"alexa"}))
    talk.speak((1.0, 2.5, "light on"), (6.0, 8.0, "how late is it"))
    talk.at(1.45, heard.WakeWord("alexa", 0.9, 1.0, 1.4))
    return talk


def test_in_its_follow_up_window_it_answers_without_the_word() -> None:
    assert len(following().run(14.0).told(TurnComplete)) == 2


def test_in_its_follow_up_window_it_is_silent_when_another_device_is_woken() -> None:
    talk = following()
    talk.at(6.7, heard.WordLost("alexa", 6.0, 6.4))
    talk.run(14.0)
    assert len(talk.told(TurnComplete)) == 1 and len(talk.told(WakeLost)) == 1
    assert len(talk.told(SpeechStarted)) == len(talk.told(SpeechStopped))
    assert talk.machine.state is State.ASLEEP


@pytest.mark.parametrize(("at_s", "turns"), [(8.3, 1), (8.505, 1), (8.6, 2)], ids=["pause", "thinking", "speaking"])
def test_a_request_that_is_over_already_is_dropped_too(at_s: float, turns: int) -> None:
    talk = following()
    talk.at(at_s, heard.WordLost("alexa", 7.6, 8.0))
    talk.run(14.0)
    assert [turn.interrupted for turn in talk.told(TurnComplete)] == [False, True][:turns]
    assert len(talk.told(WakeLost)) == 1 and talk.machine.state is State.ASLEEP
    assert [item.message.content for item in talk.machine.history.items] == ["light on", "Done."]


def test_a_reply_goes_on_where_the_word_was_for_another_device() -> None:
    talk = Conversation(config=replace(FOLLOWING, turn=TurnConfig()), audible=frozenset({"alexa"}))
    talk.speak((1.0, 2.5, "light on"), (4.0, 4.4, "alexa"))
    talk.at(1.45, heard.WakeWord("alexa", 0.9, 1.0, 1.4))
    talk.at(4.5, heard.WordLost("alexa", 4.0, 4.4))
    talk.run(14.0)
    (turn,) = talk.told(TurnComplete)
    assert not turn.interrupted


@pytest.mark.parametrize("mode", ["mid", "post"])
def test_a_word_in_a_request_that_needed_none_does_not_interrupt_it(mode: WakeMode) -> None:
    """Whether it was this device's is known late: the request is over by then."""
    config = replace(FOLLOWING, wake=WakeConfig(True, ("alexa",), mode))
    settings, delays = TurnSettings(silence_ms=200), Delays(stt=0.5)
    talk = Conversation(config=config, settings=settings, audible=frozenset({"alexa"}), delays=delays)
    talk.speak((1.0, 2.0, "light on"), (2.0, 2.4, "alexa"), (9.0, 10.5, "how late is it"), (10.5, 10.9, "alexa"))
    for at_s in (2.0, 10.5):
        talk.at(at_s + 0.75, heard.WakeWord("alexa", 0.9, at_s, at_s + 0.4))
    talk.run(20.0)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["light on", "how late is it"]
    assert not talk.told(ErrorOut)


# ---- the device that was woken has nothing ------------------------------------------------------------------


def losing(mode: WakeMode = "pre") -> Conversation:
    config = SessionConfig(audio=AUDIO, wake=WakeConfig(True, ("alexa",), mode))
    return Conversation(config=config, audible=frozenset({"alexa"}), answer=lambda asked: "Done.")


@pytest.mark.parametrize("at_s", [1.6, 2.0, 2.9, 6.0], ids=["while it is said", "in it", "at its end", "later"])
def test_what_another_device_was_woken_for_is_answered_when_it_is_handed_over(at_s: float) -> None:
    talk = losing()
    talk.speak((1.0, 1.4, "alexa"), (1.4, 2.8, "how late is it"))
    talk.at(1.5, heard.WordLost("alexa", 1.0, 1.4))
    talk.at(at_s, heard.TakenOver())
    talk.run(14.0)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["how late is it"]
    assert [wake.word for wake in talk.told(WakeOut)] == ["alexa"]


def test_what_was_said_before_the_word_is_handed_over_too() -> None:
    talk = losing("post")
    talk.speak((1.0, 2.6, "how late is it"), (2.6, 3.0, "alexa"), (4.5, 5.5, "what did you say"))
    talk.at(3.1, heard.WordLost("alexa", 2.6, 3.0))
    talk.at(6.2, heard.TakenOver())
    talk.run(14.0)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["how late is it"]


def test_after_a_pause_the_request_is_what_followed_the_word() -> None:
    talk = losing()
    talk.speak((1.0, 1.4, "alexa"), (3.0, 4.5, "how late is it"), (6.5, 7.5, "what did you say"))
    talk.at(1.5, heard.WordLost("alexa", 1.0, 1.4))
    talk.at(8.5, heard.TakenOver())
    talk.run(16.0)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["how late is it"]


@pytest.mark.parametrize("words", [(), ((17.0, 18.0, "how late is it"),)], ids=["nothing was said", "long after it"])
def test_nothing_is_handed_over_where_nothing_was_heard(words: tuple[tuple[float, float, str], ...]) -> None:
    talk = losing()
    talk.speak((1.0, 1.4, "alexa"), *words)
    talk.at(1.5, heard.WordLost("alexa", 1.0, 1.4))
    talk.at(19.0, heard.TakenOver())
    talk.run(24.0)
    assert not talk.told(TurnComplete) and not talk.told(WakeOut) and talk.machine.state is State.ASLEEP


def test_a_request_that_was_heard_to_its_end_is_offered_once() -> None:
    talk = losing()
    talk.speak((1.0, 1.4, "alexa"), (1.4, 2.8, "how late is it"))
    talk.at(1.5, heard.WordLost("alexa", 1.0, 1.4))
    talk.run(20.0)
    (offer,) = [action for _, action in talk.actions if isinstance(action, Offer)]
    assert offer.until_s == pytest.approx(2.8) and not talk.machine.has_lost_request, "it is kept for a while"


def test_who_hears_nothing_after_the_word_passes_it_on() -> None:
    talk = losing()
    talk.speak((1.0, 1.4, "alexa"))
    talk.at(1.5, heard.WakeWord("alexa", 0.9, 1.0, 1.4))
    talk.run(5.0)
    assert talk.machine.waits and talk.machine.owes
    talk.run(14.0)
    assert [action for _, action in talk.actions if isinstance(action, PassOn)] == [PassOn()]
    assert not talk.machine.waits and [error.code for error in talk.told(ErrorOut)] == ["empty_request"]


@pytest.mark.parametrize("at_s", [2.0, 3.0, 3.4], ids=["hearing", "pause", "thinking"])
def test_a_request_that_is_handed_over_is_not_answered_here(at_s: float) -> None:
    talk = losing()
    talk.delays = Delays(stt=1.0)
    talk.speak((1.0, 1.4, "alexa"), (1.4, 2.8, "how late is it"))
    talk.at(1.5, heard.WakeWord("alexa", 0.9, 1.0, 1.4))
    talk.run(at_s)
    assert talk.machine.owes
    talk.at(at_s, heard.HandedOver())
    talk.run(14.0)
    assert [lost.word for lost in talk.told(WakeLost)] == ["alexa"]
    assert not [turn for turn in talk.told(TurnComplete) if not turn.interrupted]
    assert not talk.machine.history.items and talk.machine.state is State.ASLEEP


def test_a_reply_that_is_being_heard_is_handed_over_to_nobody() -> None:
    talk = losing()
    talk.speak((1.0, 1.4, "alexa"), (1.4, 2.8, "how late is it"))
    talk.at(1.5, heard.WakeWord("alexa", 0.9, 1.0, 1.4))
    talk.run(14.0)
    spoken_at = talk.time_of(AudioOut)
    again = losing()
    again.speak((1.0, 1.4, "alexa"), (1.4, 2.8, "how late is it"))
    again.at(1.5, heard.WakeWord("alexa", 0.9, 1.0, 1.4))
    again.run(spoken_at + 0.05)
    assert not again.machine.owes
    again.at(spoken_at + 0.05, heard.HandedOver())
    again.run(14.0)
    assert [turn.interrupted for turn in again.told(TurnComplete)] == [False] and not again.told(WakeLost)


@asynccontextmanager
async def two_devices(
    home: Path, first: SessionConfig, second: SessionConfig, mind: ScriptedMind | None = None
) -> AsyncIterator[list[Wire]]:
    """Of one user; both hear the same sentence, the second one clearer."""
    sound = np.concatenate((np.zeros(8_000), spoken("hey computer, how late is it"), np.zeros(24_000)))
    stt = ScriptedStt(text=lambda seconds: "hey computer how late is it")
    mind = ScriptedMind() if mind is None else mind
    ears = load_ears(VadSettings(), WakeSettings())
    parts = SessionParts(ears, stt, mind, ScriptedVoice(), mind.forget, SystemClock())
    hub = Hub(VoiceSettings(resume_grace_s=0), home / "live", SystemClock(), lambda: parts)
    hearing = asyncio.get_running_loop().create_task(ears.run())
    wires, rng = [Wire(), Wire()], np.random.default_rng(0)
    async with anyio.create_task_group() as tasks:
        for wire, config in zip(wires, (first, second), strict=True):
            tasks.start_soon(hub.connect, hub.create("me", config)[0], wire)
            await wire.wait("ready")
        for wire, level in zip(wires, (0.2, 1.0), strict=True):
            noisy = sound * level + rng.normal(0, 20, len(sound))
            wire.put(noisy.clip(-32768, 32767).astype(np.int16).tobytes())
        yield wires
        for wire in wires:
            wire.hang_up()
    for wire in wires:
        wire.dispose()
    hearing.cancel()
    await asyncio.wait([hearing])


ANSWERING = SessionConfig(audio=PCM, wake=WakeConfig(True, ("hey computer",)))


async def test_one_of_two_devices_answers_a_phrase(tmp_path: Path) -> None:
    async with two_devices(tmp_path, ANSWERING, ANSWERING) as wires:
        await wires[1].wait("turn_complete")
        await wires[0].wait("wake_lost")
    assert not wires[0].of("turn_complete") and not wires[1].of("wake_lost")


async def test_another_device_answers_when_the_client_of_the_first_leaves_before_it_does(tmp_path: Path) -> None:
    mind = ScriptedMind(delay_s=600.0)
    async with two_devices(tmp_path, ANSWERING, ANSWERING, mind) as wires:
        await wires[0].wait("wake_lost")
        with anyio.fail_after(60):
            while not any(event["is_final"] for event in wires[1].of("transcript")):
                await anyio.sleep(0.01)
        mind.delay_s = 0.01
        wires[1].hang_up()
        turn = await wires[0].wait("turn_complete")
    assert turn["input_transcript"] == "how late is it" and [wake["word"] for wake in wires[0].of("wake")]
    assert not [turn for turn in wires[1].of("turn_complete") if not turn["interrupted"]]


async def test_one_that_only_writes_down_takes_the_answer_from_nobody(tmp_path: Path) -> None:
    """A dictation on the desk hears every word better than the device in the corner that is to answer."""
    async with two_devices(tmp_path, ANSWERING, replace(ANSWERING, transcribe_only=True)) as wires:
        await wires[0].wait("turn_complete")
        with anyio.fail_after(60):
            while not (written := [event["text"] for event in wires[1].of("transcript") if event["is_final"]]):
                await anyio.sleep(0.01)
    assert written == ["how late is it"]
    assert not wires[0].of("wake_lost") and not wires[1].of("wake_lost") + wires[1].of("turn_complete")


def test_who_asks_for_answers_itself_is_no_rival() -> None:
    asking = replace(ANSWERING, turn_detection=TurnDetection(create_response=False))
    assert [config.answers for config in (ANSWERING, asking, replace(ANSWERING, transcribe_only=True))] == [
        True, False, False
    ]  # fmt: skip
