"""An hour of conversation on the virtual clock: nothing grows, nothing is left open, everything is answered."""

from __future__ import annotations

from random import Random

import pytest

from tests.voice.conversation import RATE_HZ, Conversation, Delays
from voice.session.config import AudioConfig, SessionConfig
from voice.session.outgoing import AudioOut, ErrorOut, Interrupted, ReplyStarted, StateOut, TurnComplete
from voice.turn import events as heard
from voice.turn.actions import Abandon, Listen, Speak, StopListening, Think, Transcribe
from voice.turn.machine import State

HOUR_S = 3600.0
FRAME_S = 0.032
"""The ears' own frames: an hour has 112 500 of them."""


def an_hour(seed: int) -> Conversation:
    """Questions, pauses inside them, coughs, back-channels, interruptions, typing and silence, as they come."""
    random = Random(seed)
    talk = Conversation(
        answer=lambda asked: " ".join(f"Sentence {number} about {asked}." for number in range(random.randint(1, 6))),
        delays=Delays(stt=0.1, first_token=0.15, token=0.01, tts=0.1),
        config=SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ)),
        frame_s=FRAME_S,
    )
    at, number = 1.0, 0
    while at < HOUR_S - 30.0:
        number += 1
        length = random.uniform(0.4, 3.0)
        match random.choice(["question"] * 4 + ["pause", "cough", "mhm", "stop", "typed", "button", "silence"]):
            case "question":
                talk.speak((at, at + length, f"question {number}"))
            case "pause":
                talk.speak(
                    (at, at + length, f"question {number}"), (at + length + 0.3, at + length + 1.0, "and so on")
                )
            case "cough":
                talk.speak((at, at + 0.2, ""))
            case "mhm":
                talk.speak((at, at + 0.3, "mhm"))
            case "stop":
                talk.speak((at, at + 0.4, "stop"))
            case "typed":
                talk.at(at, heard.Typed(f"question {number}"))
            case "button":
                talk.at(at, heard.InterruptAsked())
            case _:
                at += random.uniform(5.0, 40.0)
        at += length + random.uniform(1.5, 9.0)
    talk.run(HOUR_S)
    return talk


@pytest.mark.parametrize("seed", [1, 2])
def test_an_hour_of_conversation(seed: int) -> None:
    talk = an_hour(seed)
    turns = talk.told(TurnComplete)
    assert len(turns) > 200, "an hour is long"
    assert {error.code for error in talk.told(ErrorOut)} <= {"empty_request"}
    assert talk.machine.state is State.IDLE and talk.machine.wakes_at is None

    started = [event.reply for event in talk.told(ReplyStarted)]
    assert len(set(started)) == len(started) and set(started) == {turn.reply for turn in turns}
    over: set[str] = set()
    for _, event in talk.said:
        if isinstance(event, TurnComplete):
            over.add(event.reply)
        elif isinstance(event, AudioOut):
            assert event.reply not in over, "nothing of a reply after its end"
    for turn in turns:
        assert turn.output_transcript.startswith(turn.heard_transcript)
        assert turn.interrupted or turn.heard_transcript == turn.output_transcript
    assert any(turn.interrupted for turn in turns) and talk.told(Interrupted)
    assert {state.state for state in talk.told(StateOut)} == {"idle", "hearing", "thinking", "speaking", "paused"}

    actions = [action for _, action in talk.actions]
    opened = [action.turn for action in actions if isinstance(action, Listen)]
    assert sorted(opened) == sorted({action.turn for action in actions if isinstance(action, StopListening)})
    worked = {action.revision for action in actions if isinstance(action, Transcribe | Think | Speak)}
    assert worked <= {action.revision for action in actions if isinstance(action, Abandon)}, "all work is let go"
    assert len(talk.machine.history.items) <= talk.machine.history.keep
    assert len(talk.machine._answer.past) <= 16
    longest = max(len(action.messages) for action in actions if isinstance(action, Think))
    assert longest <= 22, "the prompt does not grow with the hour"
