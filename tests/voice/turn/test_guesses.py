"""Work on the answer begins at the first silent frame, before it is even a pause; a wrong guess leaves no trace."""

from __future__ import annotations

import pytest

from tests.voice.conversation import FRAME_S, RATE_HZ, Conversation
from voice.session.config import AudioConfig, SessionConfig, TurnDetection, WakeConfig
from voice.session.listening import is_fading
from voice.session.outgoing import ErrorOut, TranscriptOut, TurnComplete
from voice.settings import TurnSettings
from voice.turn import events as heard
from voice.turn.actions import Abandon, Think, Transcribe
from voice.turn.machine import State

AUDIO = AudioConfig(sample_rate=RATE_HZ)


def begun(talk: Conversation) -> list[tuple[float, Transcribe]]:
    return [(at, action) for at, action in talk.actions if isinstance(action, Transcribe)]


def in_pieces(talk: Conversation, count: int, gap_s: float) -> float:
    """Speak in `count` pieces of half a second with gaps that are no pauses; when the last one ends."""
    pieces = [(1.0 + n * (0.5 + gap_s), 1.5 + n * (0.5 + gap_s), f"word {n}") for n in range(count)]
    talk.speak(*pieces)
    return pieces[-1][1]


def test_work_begins_at_the_first_silent_frame_and_goes_on_through_the_pause() -> None:
    talk = Conversation()
    talk.speak((1.0, 2.0, "what time is it"))
    talk.run(12.0)
    ((at, _),) = begun(talk)
    assert 2.0 < at <= 2.0 + 2.5 * FRAME_S
    (turn,) = talk.told(TurnComplete)
    assert turn.input_transcript == "what time is it" and turn.latency["endpoint"] == pytest.approx(500, abs=40)


def test_a_wrong_guess_is_told_nobody_and_the_next_is_as_quick() -> None:
    talk = Conversation()
    end_s = in_pieces(talk, 2, 0.1)
    talk.run(12.0)
    (first, wrong), (second, _) = begun(talk)
    assert first < 1.6 and end_s < second <= end_s + 1.5 * FRAME_S
    assert any(isinstance(action, Abandon) and action.revision == wrong.revision for _, action in talk.actions)
    (turn,) = talk.told(TurnComplete)
    assert turn.input_transcript == "word 0 word 1"
    assert [event.text for event in talk.told(TranscriptOut) if event.is_final] == ["word 0 word 1"]


def test_a_turn_pays_for_few_wrong_guesses() -> None:
    talk = Conversation()
    in_pieces(talk, 12, 0.12)
    talk.run(20.0)
    assert len(begun(talk)) <= 9, "six times 32, then 64 and 96 ms were wrong, then only a pause counts"
    assert len(talk.told(TurnComplete)) == 1


def test_the_guess_after_six_wrong_ones_waits_longer() -> None:
    talk = Conversation()
    end_s = in_pieces(talk, 7, 0.1)
    talk.run(12.0)
    *_, (last, _) = begun(talk)
    assert end_s + 1.5 * FRAME_S < last <= end_s + 3.5 * FRAME_S


def test_a_guess_that_fails_is_no_failure() -> None:
    talk = Conversation()
    talk.speak((1.0, 2.0, "what time is it"))
    talk.run(2.07)
    ((_, guess),) = begun(talk)
    assert talk.machine.state is State.HEARING
    talk.at(2.08, heard.TranscriptFailed(guess.revision, "stt_failed", "gone", ""))
    talk.run(12.0)
    assert not talk.told(ErrorOut) and len(talk.told(TurnComplete)) == 1


@pytest.mark.parametrize(
    "talk",
    [
        Conversation(settings=TurnSettings(speculate=False)),
        Conversation(settings=TurnSettings(guess_ms=500)),
        Conversation(config=SessionConfig(audio=AUDIO, transcribe_only=True)),
    ],
)
def test_where_nothing_is_to_be_guessed_the_pause_is_waited_for(talk: Conversation) -> None:
    talk.speak((1.0, 2.0, "what time is it"))
    talk.run(12.0)
    ((at, _),) = begun(talk)
    assert at >= 2.128


@pytest.mark.parametrize(
    "config",
    [
        SessionConfig(audio=AUDIO, turn_detection=TurnDetection(type="none")),
        SessionConfig(audio=AUDIO, wake=WakeConfig(True, ("alexa",), "pre")),
    ],
)
def test_nobody_guesses_where_the_client_ends_turns_or_a_wake_word_is_missing(config: SessionConfig) -> None:
    talk = Conversation(config=config, audible=frozenset({"alexa"}))
    talk.speak((1.0, 2.0, "what time is it"))
    talk.run(6.0)
    assert not begun(talk) and not [action for _, action in talk.actions if isinstance(action, Think)]


@pytest.mark.parametrize(
    ("faint_s", "hushed", "asked"), [(0.06, False, 1), (0.19, False, 2), (0.19, True, 1), (0.4, True, 2)]
)
def test_a_voice_that_fades_is_guessed_at_and_heard_again_where_it_faded_for_long(
    faint_s: float, hushed: bool, asked: int
) -> None:
    talk = Conversation()
    talk.at(1.1, heard.SpeechBegan(1.0))
    for frame in range(1, 100):
        at_s = 1.0 + frame * FRAME_S
        talk.at(at_s + 0.1, heard.AudioClock(at_s, at_s <= 2.0 + faint_s, at_s > 2.0, hushed=hushed and at_s > 2.0))
    talk.at(2.0 + faint_s + 0.25, heard.SpeechEnded(2.0 + faint_s))
    talk.run(4.0, microphone_until_s=0.0)
    assert len(begun(talk)) == asked and begun(talk)[0][0] < 2.2
    assert begun(talk)[-1][0] < 2.2 + faint_s, "at the first silent frame, not at the pause"
    assert talk.machine.state is not State.HEARING


@pytest.mark.parametrize(
    ("probability", "hushed", "fading"),
    [(0.99, True, False), (0.9, True, True), (0.9, False, False), (0.6, False, True)],
)
def test_a_voice_fades_sooner_where_its_level_has_fallen(probability: float, hushed: bool, fading: bool) -> None:
    assert is_fading(probability, 0.5, hushed) is fading
