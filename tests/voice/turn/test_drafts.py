"""Where the words that a recogniser makes on the way were right, they are answered before the transcript has come."""

from __future__ import annotations

import pytest

from llm.messages import ToolCall
from tests.voice.conversation import RATE_HZ, Conversation, Delays
from voice.session.config import AudioConfig, LlmConfig, SessionConfig, TurnDetection, WakeConfig
from voice.session.outgoing import AudioOut, TranscriptOut, TurnComplete
from voice.settings import TurnSettings
from voice.turn import events as heard
from voice.turn.actions import Abandon, Listen, RunTool, Think, Transcribe
from voice.turn.foresight import Foresight

AUDIO = AudioConfig(sample_rate=RATE_HZ)
SLOW = Delays(stt=0.4, first_token=0.2)
EAGER = SessionConfig(audio=AUDIO, turn_detection=TurnDetection(type="server_vad", silence_duration_ms=200))
WHOLE = "switch the lamp on"


def talk_of(partial: str, said: str = WHOLE, *, proven: bool = True, **how: object) -> Conversation:
    """A second turn in which the recogniser makes `partial` of what was `said`, twice while it is said. `proven`: in
    the first turn it was right."""
    talk = Conversation(delays=SLOW, **{"config": EAGER, **how})
    talk.speak((1.0, 2.5, "good morning"), (20.0, 22.0, said))
    talk.run(1.2)
    look(talk, 2.0, "good morning" if proven else "could")
    talk.run(20.2)
    look(talk, 21.4, partial)
    return talk


def look(talk: Conversation, at_s: float, text: str) -> None:
    turn = [action.turn for _, action in talk.actions if isinstance(action, Listen)][-1]
    talk.at(at_s, heard.PartialTranscript(turn, text))
    talk.at(at_s + 0.3, heard.PartialTranscript(turn, text))


def asked_since(talk: Conversation, since_s: float) -> list[tuple[float, str]]:
    return [
        (round(at, 1), action.messages[-1].content)
        for at, action in talk.actions
        if isinstance(action, Think) and at > since_s
    ]


def first_audio_s(talk: Conversation) -> float:
    return next(at for at, event in talk.said if isinstance(event, AudioOut) and at > 22.0)


def test_an_answer_is_begun_while_the_voice_goes_on_and_is_the_turns_own() -> None:
    talk = talk_of(WHOLE).run(40.0)
    assert asked_since(talk, 20.0) == [(21.7, WHOLE)], "once, before the end of the speech"
    first, second = talk.told(TurnComplete)
    assert second.input_transcript == WHOLE and second.heard_transcript == second.output_transcript
    assert (second.tokens_in, first.tokens_in) == (40, 40), "charged once"
    assert second.latency["first_token"] == 0 < second.latency["transcript"]
    late = first_audio_s(talk_of(WHOLE, proven=False).run(40.0))
    assert first_audio_s(talk) < late - 0.2, "all that the model and the voice take is saved"


def test_nothing_is_heard_before_the_transcript_says_the_same() -> None:
    talk = talk_of(WHOLE).run(40.0)
    (transcribed, *_) = [at for at, action in talk.actions if isinstance(action, Transcribe) and at > 22.0]
    assert first_audio_s(talk) >= transcribed + SLOW.stt


@pytest.mark.parametrize("partial", ["switch the clamp on", "switch the lamp on and off"])
def test_other_words_are_answered_anew_and_nothing_is_left_of_the_draft(partial: str) -> None:
    talk = talk_of(partial).run(40.0)
    assert [text for _, text in asked_since(talk, 20.0)] == [partial, WHOLE]
    (drafted,) = [action.revision for at, action in talk.actions if isinstance(action, Think) and 20.0 < at < 22.0]
    assert any(action.revision == drafted for _, action in talk.actions if isinstance(action, Abandon))
    _, second = talk.told(TurnComplete)
    assert second.tokens_in == 40 and WHOLE in second.output_transcript and partial not in second.output_transcript
    assert [item.message.content for item in talk.machine.history.items][2] == WHOLE


def test_spelling_and_stops_make_no_other_words() -> None:
    talk = talk_of("Switch the lamp on.").run(40.0)
    assert len(asked_since(talk, 20.0)) == 1
    assert talk.told(TurnComplete)[1].input_transcript == WHOLE


def test_more_words_end_a_draft_at_once() -> None:
    talk = talk_of("switch the lamp")
    look(talk, 21.8, WHOLE)
    talk.run(21.9)
    (draft,) = [action.revision for at, action in talk.actions if isinstance(action, Think) and at > 20.0]
    assert [action.revision for at, action in talk.actions if isinstance(action, Abandon) and at > 21.5] == [draft]


@pytest.mark.parametrize(
    ("partial", "how"),
    [
        ("switch the", {}),
        ("", {}),
        (WHOLE, {"proven": False}),
        (WHOLE, {"settings": TurnSettings(speculate=False)}),
        (WHOLE, {"config": SessionConfig(audio=AUDIO, turn_detection=TurnDetection(create_response=False))}),
    ],
    ids=["in mid clause", "no words", "was wrong", "no speculation", "no answers"],
)
def test_what_may_be_for_nothing_is_not_begun(partial: str, how: dict[str, object]) -> None:
    talk = talk_of(partial, **how).run(40.0)
    assert all(at > 22.0 for at, _ in asked_since(talk, 20.0))


def test_a_voice_that_goes_on_ends_it_and_few_are_begun_in_a_turn() -> None:
    talk = talk_of("one light", "one light two lamps three fans")
    for at_s, text in ((20.7, "one light two lamps"), (21.0, "one light two lamps three fans please")):
        look(talk, at_s, text)
    talk.run(40.0)
    assert len([at for at, _ in asked_since(talk, 20.0) if at < 22.0]) <= 2


def test_tools_of_a_draft_run_when_the_turn_is_confirmed() -> None:
    call = ToolCall("call_1", "lamp", "{}")
    config = SessionConfig(
        audio=AUDIO, turn_detection=EAGER.turn_detection, llm=LlmConfig(tools=({"type": "function", "name": "door"},))
    )
    talk = talk_of(
        WHOLE,
        config=config,
        tools={"lamp": (0.1, "done")},
        answer=lambda asked: (call,) if asked == WHOLE else "Good.",
    ).run(40.0)
    assert [text for _, text in asked_since(talk, 20.0)] == [WHOLE, "done"]
    (ran,) = [at for at, action in talk.actions if isinstance(action, RunTool)]
    (heard_at,) = [at for at, event in talk.said if isinstance(event, TranscriptOut) and at > 22.0 and event.is_final]
    assert ran >= heard_at
    assert talk.told(TurnComplete)[-1].output_transcript == "Good."


def test_a_draft_that_fails_is_asked_for_again_once_the_words_are_known() -> None:
    talk = talk_of(WHOLE)
    talk.run(21.75)
    (draft,) = [action.revision for at, action in talk.actions if isinstance(action, Think) and at > 20.0]
    talk.at(21.8, heard.MindFailed(draft, "worker_died", "dead", ""))
    talk.run(40.0)
    assert [at for at, _ in asked_since(talk, 20.0)] == [21.7, 22.4]
    assert talk.told(TurnComplete)[1].status == "completed"


def test_what_the_client_changes_is_in_the_answer() -> None:
    talk = talk_of(WHOLE)
    changed = SessionConfig(audio=AUDIO, turn_detection=EAGER.turn_detection, llm=LlmConfig(temperature=0.5))
    talk.at(21.9, heard.ConfigChanged(changed))
    talk.run(40.0)
    temperatures = [action.temperature for at, action in talk.actions if isinstance(action, Think) and at > 20.0]
    assert temperatures == [None, 0.5]


@pytest.mark.parametrize("wins", [True, False])
def test_a_draft_waits_for_which_device_answers(wins: bool) -> None:
    """Asked after the transcript, where the wake word is in the words."""
    wake = WakeConfig(True, ("computer",), "pre")
    config = SessionConfig(audio=AUDIO, turn_detection=EAGER.turn_detection, wake=wake)
    talk = Conversation(delays=SLOW, config=config)
    talk.speak((1.0, 2.5, "computer good morning"), (20.0, 22.0, "computer " + WHOLE))
    talk.run(1.2)
    look(talk, 2.0, "computer good morning")
    talk.run(20.2)
    look(talk, 21.4, "computer " + WHOLE)
    talk.wins = wins
    talk.run(40.0)
    assert [text for _, text in asked_since(talk, 20.0)] == [WHOLE]
    assert len(talk.told(TurnComplete)) == 1 + wins


def test_words_must_prove_themselves() -> None:
    foresight, sure = Foresight(), []
    for right in (True, False, True, True, False, True):
        before = foresight.sure
        foresight.learn(right)
        sure.append((before, foresight.sure))
    assert sure == [(False, True), (True, False), (False, True), (True, True), (True, False), (False, True)]
