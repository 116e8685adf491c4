"""The next response, asked for while the last one is written and only played: with OpenAI that one would be done."""

from __future__ import annotations

from typing import Any

from llm.messages import ToolCall
from tests.voice.realtime_talk import RealtimeTalk, check
from voice.turn.actions import Think

TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
WORDS = "I shall have a look at how warm it is outside, which takes a moment, " * 3
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "nine degrees"}


def _message(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def _called() -> RealtimeTalk:
    """The model has called a tool, and its words before that are being said."""
    answers: dict[str, str | tuple[str | ToolCall, ...]] = {
        "how warm": (WORDS, ToolCall("call_1", "weather", "{}")),
        "nine degrees": "Nine degrees.",
    }
    talk = RealtimeTalk(lambda asked: answers.get(asked, "Well."), tools=[TOOL])
    talk.say("conversation.item.create", item=_message("how warm"))
    talk.say("response.create")
    talk.run(2)
    assert talk.of("response.function_call_arguments.done") and not talk.of("response.done")
    return talk


def _ends(talk: RealtimeTalk) -> list[tuple[str, str]]:
    """Status and words of every response that is done."""
    check(talk)
    texts = [
        "".join(part.get("transcript", "") for item in done["response"]["output"] for part in item.get("content", ()))
        for done in talk.of("response.done")
    ]
    return [
        (done["response"]["status"], text.strip()) for done, text in zip(talk.of("response.done"), texts, strict=True)
    ]


def test_the_result_of_a_tool_is_answered_as_soon_as_the_words_before_its_call_are_said() -> None:
    """Many a client adds the result and asks at once; it does not wait for the response with the call."""
    talk = _called()
    talk.say("conversation.item.create", item=RESULT)
    talk.say("response.create", response={"metadata": {"number": "2"}})
    talk.run(40)
    assert not talk.errors
    assert _ends(talk) == [("completed", WORDS.strip()), ("completed", "Nine degrees.")]
    assert [done["response"]["metadata"] for done in talk.of("response.done")] == [None, {"number": "2"}]
    last = [action.messages for _, action in talk.actions if isinstance(action, Think)][-1]
    assert [message.role for message in last[1:]] == ["user", "assistant", "tool"]


def test_what_is_typed_while_the_answer_is_played_is_answered_after_it() -> None:
    talk = RealtimeTalk(lambda asked: "Yes." if asked == "really" else WORDS)
    talk.say("conversation.item.create", item=_message("go on"))
    talk.say("response.create")
    talk.run(2)
    talk.say("conversation.item.create", item=_message("really"))
    talk.say("response.create")
    talk.say("response.create", event_id="one too many")
    assert [(error["code"], error["event_id"]) for error in talk.errors] == [
        ("conversation_already_has_active_response", "one too many")
    ]
    talk.run(40)
    assert _ends(talk) == [("completed", WORDS.strip()), ("completed", "Yes.")]


def test_a_cancel_without_a_name_is_for_both() -> None:
    talk = _called()
    talk.say("response.create", response={"metadata": {"number": "2"}})
    talk.say("response.cancel")
    talk.run(40)
    assert [status for status, _ in _ends(talk)] == ["cancelled", "cancelled"]
    assert talk.of("response.done")[1]["response"]["metadata"] == {"number": "2"}
    talk.say("response.create")
    talk.run(80)
    assert not talk.errors and [status for status, _ in _ends(talk)] == ["cancelled", "cancelled", "completed"]


def test_a_cancel_by_name_and_a_cleared_output_leave_the_next_one() -> None:
    for how in ("response.cancel", "output_audio_buffer.clear"):
        talk = _called()
        talk.say("conversation.item.create", item=RESULT)
        talk.say("response.create")
        named = {"response_id": talk.of("response.created")[0]["response"]["id"]} if "cancel" in how else {}
        talk.say(how, **named)
        talk.run(40)
        assert not talk.errors
        assert _ends(talk)[1:] == [("completed", "Nine degrees.")] and _ends(talk)[0][0] == "cancelled"


def test_who_speaks_over_the_words_is_answered_once_with_the_result() -> None:
    talk = _called()
    talk.say("conversation.item.create", item=RESULT)
    talk.say("response.create")
    talk.speak((3.0, 4.5, "and tomorrow please"))
    talk.run(60)
    assert not talk.errors
    assert [status for status, _ in _ends(talk)] == ["cancelled", "completed"]
    last = [action.messages for _, action in talk.actions if isinstance(action, Think)][-1]
    assert [message.content for message in last[-2:]] == ["nine degrees", "and tomorrow please"]
