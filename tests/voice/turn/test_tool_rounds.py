"""Tools in a conversation: called once the turn is confirmed, their results told to the model, the answer spoken."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from llm.messages import Message, ToolCall
from tests.voice.conversation import RATE_HZ, Conversation, Delays
from voice.mouth.reply_options import ReplyOptions
from voice.session.config import AudioConfig, LlmConfig, SessionConfig, VoiceConfig
from voice.session.incoming import AddMessage, DeleteItem, Respond, ToolResult
from voice.session.outgoing import AudioOut, ErrorOut, ItemAdded, ReplyStarted, TextOut, ToolCallOut, TurnComplete
from voice.settings import ToolSettings
from voice.turn import events as heard
from voice.turn.actions import RunTool, Speak, Think
from voice.turn.tool_rounds import MAX_CALLS

LAMP = {"type": "function", "function": {"name": "lamp", "parameters": {"type": "object"}}}
DOOR = {"type": "function", "name": "door", "parameters": {"type": "object"}}


def config(**llm: Any) -> SessionConfig:
    return SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), llm=LlmConfig(tools=(LAMP, DOOR), **llm))


def call(name: str, number: int = 1, arguments: str = "{}") -> ToolCall:
    return ToolCall(f"call_{number}", name, arguments)


def then(*calls: ToolCall, words: str = "It is done.") -> Callable[[str], str | tuple[ToolCall, ...]]:
    """Call at first; when the last message is a result, say the words."""
    return lambda last: words if last.startswith(("{", "[", "ok")) else calls


def conversation(*calls: ToolCall, **more: Any) -> Conversation:
    given = {"config": config(), "tools": {"clock": (0.2, '{"time": "12:00"}')}, "answer": then(*calls), **more}
    return Conversation(**given)


def thoughts(talk: Conversation) -> list[Think]:
    return [action for _, action in talk.actions if isinstance(action, Think)]


def roles(talk: Conversation) -> list[tuple[str, str]]:
    shown = []
    for item in talk.machine.history.items:
        message = item.message
        shown.append((message.role, message.content or ",".join(call.name for call in message.tool_calls)))
    return shown


@pytest.mark.parametrize("arguments", ['{"on": ', "[1]", "on"])
def test_arguments_that_are_no_object_are_told_to_the_model_alone(arguments: str) -> None:
    """They stand well-formed in the next prompt: a server that parses it would refuse the conversation for ever."""
    talk = conversation(call("lamp", 1, arguments), call("clock", 2, arguments))
    talk.speak((1.0, 2.0, "light on"))
    talk.run(12.0)
    assert not talk.told(ToolCallOut) and not [1 for _, action in talk.actions if isinstance(action, RunTool)]
    made = [message.tool_calls for message in thoughts(talk)[-1].messages if message.tool_calls]
    assert [json.loads(each.arguments) for each in made[0]] == [{"malformed": arguments}] * 2
    results = [message.content for message in thoughts(talk)[-1].messages if message.role == "tool"]
    assert len(results) == 2 and all("error" in json.loads(result) for result in results)
    assert talk.told(TurnComplete)[0].heard_transcript == "It is done."


class TestServerTools:
    def test_a_result_is_told_to_the_model_and_the_answer_is_spoken(self) -> None:
        talk = conversation(call("clock"))
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(12.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.heard_transcript == "It is done." and turn.tools_called == ("clock",)
        first, second = thoughts(talk)
        assert [tool["function"]["name"] for tool in first.tools] == ["clock", "lamp", "door"]
        made = call("clock")
        assert second.messages == (
            *first.messages,
            Message("assistant", "", (made,)),
            Message("tool", '{"time": "12:00"}', tool_call_id=made.id),
        )
        assert turn.tokens_in == 80 and turn.tokens_out == 13, "every round counts"
        assert not talk.told(ToolCallOut), "the client has nothing to do with it"

    def test_the_conversation_keeps_call_and_result_in_order(self) -> None:
        talk = conversation(call("clock"))
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(12.0)
        assert roles(talk) == [
            ("user", "what time is it"),
            ("assistant", "clock"),
            ("tool", '{"time": "12:00"}'),
            ("assistant", "It is done."),
        ]
        told = [added.item.id for added in talk.told(ItemAdded)]
        assert told == [item.id for item in talk.machine.history.items]
        talk.at(13.0, heard.Typed("ok and now"))
        talk.run(20.0)
        assert [message.role for message in thoughts(talk)[-1].messages] == [
            "system", "user", "assistant", "tool", "assistant", "user",
        ]  # fmt: skip

    def test_nothing_is_run_before_the_turn_is_confirmed(self) -> None:
        talk = conversation(call("clock"), delays=Delays(stt=0.01, first_token=0.01))
        talk.speak((1.0, 2.0, "what time"), (2.35, 3.0, "is it"))
        talk.run(9.0)
        (ran,) = [time for time, action in talk.actions if isinstance(action, RunTool)]
        assert ran >= 3.5, "though the model asked for it in both pauses"
        assert len(thoughts(talk)) == 3

    def test_calls_of_one_round_run_together(self) -> None:
        tools = {"clock": (3.0, "ok 12"), "rain": (3.0, "ok no")}
        talk = conversation(call("clock", 1), call("rain", 2), tools=tools)
        talk.speak((1.0, 2.0, "what time is it and does it rain"))
        talk.run(15.0)
        began = {time for time, action in talk.actions if isinstance(action, RunTool)}
        assert len(began) == 1
        assert [m.content for m in thoughts(talk)[1].messages if m.role == "tool"] == ["ok 12", "ok no"]

    def test_a_slow_tool_is_bridged_with_a_few_words(self) -> None:
        spoken = SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), voice=VoiceConfig(language="de-AT"))
        talk = conversation(call("clock"), tools={"clock": (4.0, "ok")}, config=spoken)
        talk.speak((1.0, 2.0, "wie spät ist es"))
        talk.run(15.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.heard_transcript == "Einen Moment. It is done."
        confirmed = next(time for time, action in talk.actions if isinstance(action, RunTool))
        assert talk.time_of(AudioOut) - confirmed < 1.2

    def test_a_quick_tool_is_not(self) -> None:
        talk = conversation(call("clock"))
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(12.0)
        assert len([action for _, action in talk.actions if isinstance(action, Speak)]) == 1

    def test_a_tool_that_hangs_is_given_up_and_the_model_is_told(self) -> None:
        talk = conversation(call("clock"), tools={"clock": (99.0, "ok")}, tool_settings=ToolSettings(timeout_s=5.0))
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(20.0)
        assert "did not answer in time" in thoughts(talk)[1].messages[-1].content
        assert talk.told(TurnComplete)[0].status == "completed"

    def test_a_model_that_goes_on_calling_is_stopped(self) -> None:
        talk = conversation(answer=lambda last: (ToolCall("", "clock", "{}"),))
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(30.0)
        (turn,) = talk.told(TurnComplete)
        assert len(turn.tools_called) == ToolSettings().max_rounds
        assert [think.tool_choice for think in thoughts(talk)] == [None, None, None, None, "none"]
        assert (turn.status, turn.reason) == ("failed", "too_many_tool_calls")
        ids = [c.id for item in talk.machine.history.items for c in item.message.tool_calls]
        assert len(set(ids)) == len(ids) and all(ids), "calls without an id get one each"

    def test_calls_beyond_the_most_of_a_round_are_told_of(self) -> None:
        talk = conversation(*[call("clock", number) for number in range(MAX_CALLS + 3)])
        talk.speak((1.0, 2.0, "what time is it everywhere"))
        talk.run(12.0)
        (error,) = talk.told(ErrorOut)
        assert error.code == "too_many_tool_calls" and "19 calls" in error.message and error.hint
        assert len([1 for _, action in talk.actions if isinstance(action, RunTool)]) == MAX_CALLS
        assert talk.told(TurnComplete)[0].heard_transcript == "It is done."

    def test_a_tool_that_does_not_exist_is_told_to_the_model(self) -> None:
        talk = conversation(call("rocket"))
        talk.speak((1.0, 2.0, "fly me to the moon"))
        talk.run(12.0)
        assert json.loads(thoughts(talk)[1].messages[-1].content) == {"error": "there is no tool 'rocket'"}
        assert talk.told(TurnComplete)[0].status == "completed"

    def test_an_interrupted_turn_keeps_the_call_and_drops_the_late_result(self) -> None:
        talk = conversation(call("clock"), tools={"clock": (5.0, "ok late")})
        talk.speak((1.0, 2.0, "what time is it"))
        talk.at(4.0, heard.InterruptAsked())
        talk.run(9.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.interrupted and turn.tools_called == ("clock",)
        assert len(thoughts(talk)) == 1 and not talk.told(ErrorOut)
        assert "ok late" not in str(talk.machine.history.items)
        talk.at(10.0, heard.Typed("ok then"))
        talk.run(16.0)
        assert [m.role for m in thoughts(talk)[-1].messages][:4] == ["system", "user", "assistant", "tool"]

    def test_speech_while_a_tool_works_does_not_take_back_what_was_done(self) -> None:
        talk = conversation(
            call("clock"), tools={"clock": (5.0, "ok late")}, tool_settings=ToolSettings(filler_after_ms=0)
        )
        talk.speak((1.0, 2.0, "what time is it"), (3.0, 4.0, "ok never mind"))
        talk.run(12.0)
        assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["what time is it", "ok never mind"]

    def test_words_before_the_call_are_spoken_at_once(self) -> None:
        talk = conversation(delays=Delays(first_token=99.0), tools={"clock": (3.0, "ok")})
        talk.at(1.0, heard.Typed("what time is it"))
        talk.at(1.1, heard.TokensArrived(1, "Let me look"))
        talk.at(1.2, heard.MindFinished(1, 40, 3, "tool_calls", (call("clock"),)))
        talk.at(4.5, heard.TokensArrived(1, "It is noon."))
        talk.at(4.6, heard.MindFinished(1, 60, 3))
        talk.run(9.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.heard_transcript == "Let me look It is noon."
        assert talk.time_of(AudioOut) < 1.5
        assert thoughts(talk)[1].messages[-2] == Message("assistant", "Let me look", (call("clock"),))


class TestClientTools:
    def test_a_call_is_told_and_its_result_awaited(self) -> None:
        talk = conversation(call("lamp", arguments='{"on": true}'))
        talk.speak((1.0, 2.0, "light on"))
        talk.at(3.0, ToolResult("call_1", "ok on"))
        talk.run(9.0)
        (told,) = talk.told(ToolCallOut)
        assert (told.call_id, told.name, told.arguments) == ("call_1", "lamp", '{"on": true}')
        assert told.reply == talk.told(ReplyStarted)[0].reply
        assert talk.told(TurnComplete)[0].tools_called == ("lamp",)
        assert thoughts(talk)[1].messages[-1].content == "ok on"

    def test_the_model_is_asked_when_the_last_result_is_in(self) -> None:
        talk = conversation(call("lamp", 1), call("clock", 2), call("door", 3))
        talk.speak((1.0, 2.0, "light on"))
        talk.at(3.0, ToolResult("call_3", "ok shut"))
        talk.at(4.0, ToolResult("call_1", "ok on"))
        talk.run(12.0)
        contents = [m.content for m in thoughts(talk)[1].messages if m.role == "tool"]
        assert contents == ["ok on", '{"time": "12:00"}', "ok shut"]

    @pytest.mark.parametrize("again", [False, True])
    def test_a_result_that_nobody_waits_for_is_an_error(self, again: bool) -> None:
        talk = conversation(call("lamp"))
        talk.speak((1.0, 2.0, "light on"))
        talk.at(3.0, ToolResult("call_1", "ok on"))
        talk.at(6.0, ToolResult("call_1" if again else "call_9", "ok"))
        talk.run(9.0)
        assert [error.code for error in talk.told(ErrorOut)] == ["unknown_tool_call"]

    def test_a_result_of_an_interrupted_turn_is_none(self) -> None:
        talk = conversation(call("lamp"))
        talk.speak((1.0, 2.0, "light on"))
        talk.at(3.0, heard.InterruptAsked())
        talk.at(3.5, ToolResult("call_1", "ok on"))
        talk.run(9.0)
        assert not talk.told(ErrorOut) and len(thoughts(talk)) == 1

    def test_handed_over_the_reply_ends_and_the_client_goes_on(self) -> None:
        talk = conversation(call("lamp"), config=config(client_tools="hand_over"))
        talk.at(1.0, heard.Typed("light on"))
        talk.run(3.0)
        (turn,) = talk.told(TurnComplete)
        (told,) = talk.told(ToolCallOut)
        assert turn.status == "completed" and told.item in {item.id for item in talk.machine.history.items}
        talk.at(3.1, AddMessage(Message("tool", "ok on", tool_call_id="call_1")))
        talk.at(3.2, Respond(ReplyOptions("k")))
        talk.run(9.0)
        assert roles(talk) == [
            ("user", "light on"),
            ("assistant", "lamp"),
            ("tool", "ok on"),
            ("assistant", "It is done."),
        ]
        assert [m.role for m in thoughts(talk)[1].messages] == ["system", "user", "assistant", "tool"]

    def test_words_before_handed_over_calls_keep_their_place_when_the_question_is_deleted(self) -> None:
        talk = conversation(
            answer=lambda last: ("I am switching on the light for you now.", call("lamp")),
            config=config(client_tools="hand_over"),
        )
        talk.at(0.5, AddMessage(Message("user", "hello"), "a"))
        talk.at(1.0, heard.Typed("light on"))
        talk.run(2.5)
        assert talk.told(ToolCallOut) and not talk.told(TurnComplete)
        (question,) = (item.id for item in talk.machine.history.items if item.message.content == "light on")
        talk.at(2.6, DeleteItem(question))
        talk.run(9.0)
        words = "I am switching on the light for you now."
        assert roles(talk) == [("user", "hello"), ("assistant", words), ("assistant", "lamp")]

    def test_a_forced_call_is_forced_once(self) -> None:
        talk = conversation(call("lamp"), config=config(tool_choice="required"))
        talk.at(1.0, heard.Typed("light on"))
        talk.at(2.0, ToolResult("call_1", "ok"))
        talk.run(9.0)
        assert [think.tool_choice for think in thoughts(talk)] == ["required", None]

    def test_beside_the_conversation_calls_are_only_told(self) -> None:
        talk = conversation(call("lamp"))
        talk.at(1.0, Respond(ReplyOptions("k", remembered=False, spoken=False)))
        talk.run(9.0)
        assert [told.name for told in talk.told(ToolCallOut)] == ["lamp"]
        assert roles(talk) == [] and talk.told(TextOut)[-1].is_final

    def test_out_of_the_conversation_rounds_leave_no_items(self) -> None:
        talk = conversation(call("clock"))
        talk.at(1.0, Respond(ReplyOptions("k", remembered=False, input=(Message("user", "what time is it"),))))
        talk.run(9.0)
        assert talk.told(TurnComplete)[0].heard_transcript == "It is done."
        assert roles(talk) == []
