"""What the client changes in the pause before its turn is over counts for the answer that is prepared by then."""

from __future__ import annotations

from typing import Any

import pytest

from llm.messages import ToolCall
from tests.voice.conversation import RATE_HZ, Conversation, Delays
from tests.voice.realtime_talk import RealtimeTalk, check
from voice.measuring.ledger import Stage
from voice.session.config import AudioConfig, LlmConfig, SessionConfig
from voice.session.outgoing import ErrorOut, TurnComplete
from voice.settings import TurnSettings
from voice.turn import events as heard
from voice.turn.actions import Abandon, RunTool, ScoreTurn, Speak, Think

PAUSE_S = 1.35
"""The user falls silent at 1.0 s: by then the answer is written, and it is heard from 1.5 s on."""
LONG = "One sentence that takes its time. " * 6


def thoughts(talk: Conversation) -> list[Think]:
    return [action for _, action in talk.actions if isinstance(action, Think)]


def told(think: Think) -> list[str]:
    return [message.content for message in think.messages]


def message(words: str, id: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}], "id": id}


def in_the_pause(*before: dict[str, Any], ask: dict[str, Any]) -> RealtimeTalk:
    talk = RealtimeTalk()
    for event in before:
        talk.say(**event)
    talk.speak((0.2, 1.0, "what then"))
    talk.run(PAUSE_S)
    assert talk.of("response.created") == [] and len(thoughts(talk)) == 1
    talk.say(**ask)
    talk.run(15.0)
    check(talk)
    assert [each["response"]["status"] for each in talk.of("response.done")] == ["completed"]
    return talk


def test_an_item_that_is_added_is_answered_with() -> None:
    talk = in_the_pause(ask={"type": "conversation.item.create", "item": message("it rains", "rain")})
    assert told(thoughts(talk)[-1])[1:] == ["it rains", "what then"]


def test_an_item_that_is_deleted_is_not() -> None:
    made = {"type": "conversation.item.create", "item": message("the code is 4711", "secret")}
    talk = in_the_pause(made, ask={"type": "conversation.item.delete", "item_id": "secret"})
    assert "the code is 4711" in told(thoughts(talk)[0])
    assert told(thoughts(talk)[-1])[1:] == ["what then"]


@pytest.mark.parametrize(
    ("changed", "look"),
    [
        ({"instructions": "Speak like a sailor."}, lambda think: told(think)[0] == "Speak like a sailor."),
        ({"max_output_tokens": 7}, lambda think: think.max_tokens == 7),
        ({"tools": [{"type": "function", "name": "lamp"}]}, lambda think: len(think.tools) == 1),
    ],
)
def test_the_session_as_it_is_by_then_makes_the_answer(changed: dict[str, Any], look: Any) -> None:
    talk = in_the_pause(ask={"type": "session.update", "session": {"type": "realtime", **changed}})
    assert look(thoughts(talk)[-1]) and not look(thoughts(talk)[0])


def test_how_it_is_said_too() -> None:
    text = {"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"]}}
    talk = in_the_pause(ask=text)
    assert talk.of("response.output_text.delta") and not talk.of("response.output_audio.delta")
    faster = {"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"speed": 1.5}}}}
    talk = in_the_pause(ask=faster)
    speeds = [action.voice.speed for _, action in talk.actions if isinstance(action, Speak)]
    assert speeds[0] == 1.0 and speeds[-1] == 1.5


def test_words_that_were_not_heard_are_in_no_prompt() -> None:
    """Clients tell where they stopped playing when speech began over the reply, which may be after it was over."""
    talk = RealtimeTalk(lambda asked: LONG)
    talk.speak((0.2, 1.0, "what then"), (4.0, 5.2, "stop that and tell me the time"))
    talk.run(5.55)
    assert len(thoughts(talk)) > 1 and len(talk.of("response.created")) == 1
    item = talk.of("response.output_audio.delta")[0]["item_id"]
    talk.say("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=0)
    talk.run(20.0)
    check(talk)
    *_, heard_words, asked = told(thoughts(talk)[-1])
    assert "One sentence" not in heard_words and asked == "stop that and tell me the time"


def test_what_changes_nothing_of_the_answer_leaves_it_as_it_is() -> None:
    slower = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 600}}
    ask = {"type": "session.update", "session": {"type": "realtime", "audio": {"input": slower}}}
    assert len(thoughts(in_the_pause(ask=ask))) == 1


def test_nothing_is_written_for_a_turn_that_is_not_to_be_answered_any_more() -> None:
    silent = {"turn_detection": {"type": "server_vad", "create_response": False}}
    talk = RealtimeTalk(lambda asked: LONG, delays=Delays(first_token=3.0))
    talk.speak((0.2, 1.0, "what then"))
    talk.run(PAUSE_S)
    talk.say("session.update", session={"type": "realtime", "audio": {"input": silent}})
    talk.run(15.0)
    check(talk)
    (think,) = thoughts(talk)
    assert Abandon(think.revision) in [action for _, action in talk.actions]
    assert not talk.of("response.created") and talk.of("conversation.item.added")


def prepared_twice(*answers: str | tuple[ToolCall, ...], **parts: Any) -> Conversation:
    """The first of these answers is made in the pause and dropped there, for the session is another one then."""
    left = list(answers)
    talk = Conversation(answer=lambda asked: left.pop(0), tools={"lamp": (0.1, "on")}, **parts)
    talk.speak((0.2, 1.0, "what then"))
    talk.run(PAUSE_S)
    talk.at(PAUSE_S, heard.ConfigChanged(SessionConfig(audio=talk.config.audio, llm=LlmConfig(max_tokens=7))))
    return talk.run(15.0)


def test_an_answer_that_is_dropped_costs_nothing() -> None:
    (turn,) = prepared_twice("One two.", "Five six.").told(TurnComplete)
    assert (turn.output_transcript, turn.tokens_in, turn.tokens_out) == ("Five six.", 40, 2)


def test_a_call_of_an_answer_that_is_dropped_is_not_made() -> None:
    talk = prepared_twice((ToolCall("c1", "lamp", "{}"),), "It is dark.")
    assert not [action for _, action in talk.actions if isinstance(action, RunTool)]
    (turn,) = talk.told(TurnComplete)
    assert turn.tools_called == () and turn.output_transcript == "It is dark."
    assert [item.message.role for item in talk.machine.history.items] == ["user", "assistant"]


def test_only_the_call_that_is_made_anew_is_made() -> None:
    talk = prepared_twice((ToolCall("c1", "lamp", "{}"),), (ToolCall("c2", "lamp", '{"on": true}'),), "It is on.")
    (call,) = [action for _, action in talk.actions if isinstance(action, RunTool)]
    assert call.arguments == '{"on": true}'
    (turn,) = talk.told(TurnComplete)
    assert turn.tools_called == ("lamp",) and turn.output_transcript == "It is on."


def test_how_an_answer_that_is_dropped_ended_is_not_how_its_successor_did() -> None:
    talk = Conversation(answer=lambda asked: "Five six.", delays=Delays(first_token=0.4))
    talk.speak((0.2, 1.0, "what then"))
    talk.run(PAUSE_S - 0.1)
    dropped = thoughts(talk)[0].revision
    for event in (
        heard.TokensArrived(dropped, "One two three. Four "),
        heard.ClauseFailed(dropped, 0, "tts_failed", "It has no voice", ""),
        heard.MindFinished(dropped, 40, 4, "length"),
    ):
        talk.at(PAUSE_S - 0.1, event)
    talk.at(PAUSE_S, heard.ConfigChanged(SessionConfig(audio=talk.config.audio, llm=LlmConfig(max_tokens=7))))
    talk.run(15.0)
    (turn,) = talk.told(TurnComplete)
    assert (turn.status, turn.output_transcript) == ("completed", "Five six.") and not talk.told(ErrorOut)
    assert turn.latency[Stage.FIRST_TOKEN] == pytest.approx((PAUSE_S + 0.4 - 1.0) * 1000, abs=1)


def test_a_model_that_fails_in_the_pause_is_asked_again_and_costs_what_the_second_time_did() -> None:
    talk = Conversation(
        answer=lambda asked: "Five six.",
        config=SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ)),
        delays=Delays(first_token=0.4),
    )
    talk.speak((0.2, 1.0, "what then"))
    talk.run(PAUSE_S - 0.1)
    first = thoughts(talk)[0].revision
    talk.at(PAUSE_S - 0.1, heard.UsageKnown(first, 40, 3))
    talk.at(PAUSE_S - 0.05, heard.MindFailed(first, "worker_died", "It died", ""))
    talk.run(PAUSE_S)
    talk._abandoned.clear()  # the second attempt has the number of the first
    talk.at(2.7, heard.InterruptAsked())  # it is asked again at 2.5 s
    talk.run(15.0)
    (turn,) = talk.told(TurnComplete)
    assert turn.interrupted and (turn.tokens_in, turn.tokens_out) == (0, 0)


def test_the_turn_is_scored_all_the_same() -> None:
    """By the model of the turn detector, which was asked about the answer that is made anew."""
    talk = Conversation(settings=TurnSettings(detector="smart_turn"), scoring=True)
    talk.speak((0.2, 1.0, "what then"))
    talk.run(PAUSE_S)
    talk.at(PAUSE_S, heard.ConfigChanged(SessionConfig(audio=talk.config.audio, llm=LlmConfig(max_tokens=7))))
    talk.run(PAUSE_S + 0.01)
    assert [think.max_tokens for think in thoughts(talk)] == [1024, 7]
    scored = [action.revision for _, action in talk.actions if isinstance(action, ScoreTurn)]
    assert scored[-1] == thoughts(talk)[-1].revision
