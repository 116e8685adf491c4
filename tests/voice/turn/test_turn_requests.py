"""What a client may ask of a conversation: items, replies on demand, truncation, dictation; on a virtual clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llm.messages import Message
from tests.voice.conversation import RATE_HZ, Conversation, Delays
from voice.mouth.reply_options import ReplyOptions
from voice.session.config import AudioConfig, SessionConfig, TurnDetection, WakeConfig
from voice.session.incoming import AddMessage, CancelResponse, DeleteItem, Respond, Truncate
from voice.session.outgoing import (
    AudioOut,
    ErrorOut,
    Interrupted,
    ItemAdded,
    ItemDeleted,
    ItemTruncated,
    ReplyStarted,
    SpeechStarted,
    SpeechStopped,
    TextOut,
    TranscriptOut,
    TurnCommitted,
    TurnComplete,
)
from voice.turn import events as heard
from voice.turn.actions import Speak, Think, Transcribe
from voice.turn.machine import State

AUDIO = AudioConfig(sample_rate=RATE_HZ)
ASKED = SessionConfig(audio=AUDIO, turn_detection=TurnDetection(create_response=False))
MANUAL = SessionConfig(audio=AUDIO, turn_detection=TurnDetection(type="none", create_response=False))
LONG = " ".join(f"This is sentence number {number} of a story that goes on for a while." for number in range(12))


def wish(key: str = "k", **options: Any) -> Respond:
    return Respond(ReplyOptions(key, **options), event_id=f"event-{key}")


def prompts(talk: Conversation) -> list[list[tuple[str, str]]]:
    return [[(m.role, m.content) for m in a.messages] for _, a in talk.actions if isinstance(a, Think)]


def contents(talk: Conversation) -> list[tuple[str, str]]:
    return [(item.message.role, item.message.content) for item in talk.machine.history.items]


class TestItems:
    def test_a_turn_is_two_items_with_the_ids_that_were_announced(self) -> None:
        talk = Conversation(answer=lambda asked: "Noon.")
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(8.0)
        user, assistant = talk.told(ItemAdded)
        assert user.item.id == talk.told(SpeechStarted)[0].item == talk.told(TurnCommitted)[0].item
        assert user.item.id == talk.told(TranscriptOut)[-1].item
        assert assistant.item.id == talk.told(ReplyStarted)[0].item == talk.told(TurnComplete)[0].item
        assert assistant.previous == user.item.id and user.previous is None
        assert contents(talk) == [("user", "what time is it"), ("assistant", "Noon.")]

    def test_messages_of_the_client_are_told_to_the_model_in_their_place(self) -> None:
        talk = Conversation()
        talk.at(0.1, AddMessage(Message("user", "My name is Anna."), "a"))
        talk.at(0.2, AddMessage(Message("assistant", "Hello Anna."), "b"))
        talk.at(0.3, AddMessage(Message("system", "She is seven."), "c", "a"))
        talk.at(0.4, AddMessage(Message("system", "Speak French."), "", "root"))
        talk.at(1.0, heard.Typed("who am I"))
        talk.run(9.0)
        assert prompts(talk)[0] == [
            ("system", "Be brief."),
            ("system", "Speak French."),
            ("user", "My name is Anna."),
            ("system", "She is seven."),
            ("assistant", "Hello Anna."),
            ("user", "who am I"),
        ]

    def test_deleted_items_are_forgotten(self) -> None:
        talk = Conversation()
        talk.at(0.1, AddMessage(Message("user", "secret"), "a"))
        talk.at(0.2, DeleteItem("a"))
        talk.at(1.0, heard.Typed("what do you know"))
        talk.run(9.0)
        assert talk.told(ItemDeleted) == [ItemDeleted("a")]
        assert ("user", "secret") not in prompts(talk)[0]

    @pytest.mark.parametrize(
        ("event", "code"),
        [
            (AddMessage(Message("user", "x"), "a", event_id="e"), "item_exists"),
            (AddMessage(Message("user", "x"), "z", "nowhere", "e"), "item_not_found"),
            (AddMessage(Message("tool", "x", tool_call_id="nobody"), event_id="e"), "unknown_tool_call"),
            (DeleteItem("nowhere", "e"), "item_not_found"),
            (Truncate("nowhere", 10, "e"), "item_not_found"),
            (CancelResponse(event_id="e"), "response_cancel_not_active"),
            (CancelResponse("reply-9", "e"), "response_cancel_not_active"),
        ],
    )
    def test_what_cannot_be_done_is_an_error_with_the_clients_name_for_it(self, event: Any, code: str) -> None:
        talk = Conversation()
        talk.at(0.1, AddMessage(Message("user", "hello"), "a"))
        talk.at(0.2, event)
        talk.run(1.0)
        assert [(error.code, error.event_id) for error in talk.told(ErrorOut)] == [(code, "e")]
        assert contents(talk) == [("user", "hello")]

    def test_words_that_are_taken_back_are_no_item(self) -> None:
        """The user goes on speaking before anything of the answer was heard."""
        talk = Conversation(delays=Delays(first_token=2.0))
        talk.speak((1.0, 2.0, "what is the capital"), (3.0, 4.0, "of france"))
        talk.run(14.0)
        (turn,) = (turn for turn in talk.told(TurnComplete) if not turn.interrupted)
        assert turn.input_transcript == "what is the capital of france"
        assert [item.item for item in talk.told(ItemDeleted)] == [talk.told(TurnComplete)[0].user_item]
        assert [role for role, _ in contents(talk)] == ["user", "assistant"]


class TestRepliesOnDemand:
    def test_the_assistant_may_begin(self) -> None:
        talk = Conversation(answer=lambda asked: "Welcome.")
        talk.at(1.0, wish())
        talk.run(9.0)
        (turn,) = talk.told(TurnComplete)
        assert (turn.key, turn.input_transcript, turn.heard_transcript) == ("k", "", "Welcome.")
        assert prompts(talk) == [[("system", "Be brief.")]]
        assert contents(talk) == [("assistant", "Welcome.")]

    def test_wishes_go_before_the_configuration(self) -> None:
        tool = {"type": "function", "function": {"name": "clock"}}
        talk = Conversation()
        talk.at(0.5, AddMessage(Message("user", "hello"), "a"))
        talk.at(
            1.0,
            wish(
                instructions="Sing.",
                tools=(tool,),
                tool_choice="none",
                temperature=0.1,
                max_tokens=9,
                input=(Message("user", "other words"),),
            ),
        )
        talk.run(9.0)
        (think,) = [action for _, action in talk.actions if isinstance(action, Think)]
        assert prompts(talk) == [[("system", "Sing."), ("user", "other words")]]
        assert (think.tools, think.tool_choice, think.temperature, think.max_tokens) == ((tool,), "none", 0.1, 9)

    def test_text_only_is_not_spoken_and_heard_as_it_is_read(self) -> None:
        talk = Conversation()
        talk.at(1.0, wish(spoken=False))
        talk.run(9.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.heard_transcript == turn.output_transcript != ""
        assert not talk.told(AudioOut) and not [a for _, a in talk.actions if isinstance(a, Speak)]

    def test_one_reply_at_a_time(self) -> None:
        talk = Conversation(answer=lambda asked: LONG)
        talk.at(1.0, wish("one"))
        talk.at(2.0, wish("two"))
        talk.run(5.0)
        (error,) = talk.told(ErrorOut)
        assert (error.code, error.event_id) == ("conversation_already_has_active_response", "event-two")
        assert [started.key for started in talk.told(ReplyStarted)] == ["one"]

    def test_beside_the_conversation_text_replies_run_together(self) -> None:
        talk = Conversation(answer=lambda asked: LONG)
        talk.at(1.0, wish("story"))
        for number in range(5):
            talk.at(2.0, wish(f"aside-{number}", remembered=False, spoken=False, input=(Message("user", "?"),)))
        talk.run(120.0)
        assert [error.code for error in talk.told(ErrorOut)] == ["too_many_responses"]
        assert {turn.key for turn in talk.told(TurnComplete)} == {"story", "aside-0", "aside-1", "aside-2", "aside-3"}
        assert contents(talk) == [("assistant", LONG)]
        assert [a.out_of_band for _, a in talk.actions if isinstance(a, Think)] == [False, True, True, True, True]

    def test_a_spoken_reply_may_be_kept_out_of_the_conversation(self) -> None:
        talk = Conversation(answer=lambda asked: "Doors closing.")
        talk.at(1.0, wish(remembered=False))
        talk.run(9.0)
        assert talk.audio_s() > 0 and talk.told(TurnComplete)[0].item == ""
        assert contents(talk) == []

    def test_it_waits_for_the_end_of_the_users_turn_and_is_the_answer_to_it(self) -> None:
        talk = Conversation()
        talk.speak((1.0, 3.0, "tell me more"))
        talk.at(2.0, wish(instructions="Sing."))
        talk.run(12.0)
        (turn,) = talk.told(TurnComplete)
        assert (turn.key, turn.input_transcript) == ("k", "tell me more")
        assert prompts(talk)[-1][0] == ("system", "Sing.")

    def test_after_a_noise_it_still_comes(self) -> None:
        talk = Conversation()
        talk.speak((1.0, 3.0, ""))
        talk.at(2.0, wish())
        talk.run(12.0)
        assert [turn.key for turn in talk.told(TurnComplete)] == ["k"]

    @pytest.mark.parametrize("name", [None, "reply-1"])
    def test_cancelled(self, name: str | None) -> None:
        talk = Conversation(answer=lambda asked: LONG)
        talk.at(1.0, wish())
        talk.at(4.0, CancelResponse(name))
        talk.run(9.0)
        (turn,) = talk.told(TurnComplete)
        assert (turn.status, turn.reason) == ("cancelled", "client_cancelled")
        assert talk.machine.state is State.IDLE
        assert LONG.startswith(turn.heard_transcript) and turn.heard_transcript

    def test_how_a_reply_ended(self) -> None:
        talk = Conversation(delays=Delays(first_token=9.0))
        talk.at(1.0, wish("a"))
        talk.at(1.2, heard.TokensArrived(1, "I "))
        talk.at(1.3, heard.MindFinished(1, 7, 1, "length"))
        talk.at(4.0, wish("b"))
        talk.at(4.2, heard.MindFailed(2, "worker_died", "dead", ""))
        talk.run(8.0)
        told = [(turn.key, turn.status, turn.reason) for turn in talk.told(TurnComplete)]
        assert told == [("a", "incomplete", "max_output_tokens"), ("b", "failed", "worker_died")]


class TestWrittenDown:
    def test_a_turn_enters_the_conversation_and_waits_for_the_client(self) -> None:
        talk = Conversation(config=ASKED, answer=lambda asked: "Noon.")
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(5.0)
        assert contents(talk) == [("user", "what time is it")] and not prompts(talk)
        talk.at(5.5, wish())
        talk.run(9.0)
        assert prompts(talk) == [[("system", "Be brief."), ("user", "what time is it")]]
        assert contents(talk)[1:] == [("assistant", "Noon.")]

    def test_push_to_talk_commit_and_respond_at_once(self) -> None:
        talk = Conversation(config=MANUAL, answer=lambda asked: "Noon.")
        talk.speak((1.0, 2.0, "what time is it"))
        talk.at(2.1, heard.Committed(2.1))
        talk.at(2.1, wish())
        talk.run(9.0)
        assert prompts(talk) == [[("system", "Be brief."), ("user", "what time is it")]]
        assert [turn.key for turn in talk.told(TurnComplete)] == ["k"]

    def test_a_reply_that_was_asked_for_comes_though_the_microphone_is_not_silent(self) -> None:
        """The words of what was committed are awaited, and meanwhile somebody speaks on."""
        talk = Conversation(config=MANUAL, delays=Delays(stt=2.0), answer=lambda asked: "Noon.")
        talk.speak((1.0, 2.0, "what time is it"), (2.5, 9.0, "well I wonder"))
        talk.at(2.1, heard.Committed(2.1))
        talk.at(2.2, wish())
        talk.run(9.0)
        assert prompts(talk) == [[("system", "Be brief."), ("user", "what time is it")]]
        assert [turn.key for turn in talk.told(TurnComplete)] == ["k"]
        talk.at(9.5, heard.Committed(9.5))
        talk.run(20.0)
        assert contents(talk)[-1] == ("user", "well I wonder")

    def test_a_commit_over_a_reply_is_written_down_and_the_reply_goes_on(self) -> None:
        talk = Conversation(config=MANUAL, answer=lambda asked: LONG)
        talk.at(0.5, AddMessage(Message("user", "tell me a story")))
        talk.at(0.6, wish())
        talk.speak((2.0, 3.0, "and a cake"))
        talk.at(3.4, heard.Committed(3.4))
        talk.run(60.0)
        [started], [done] = talk.told(ReplyStarted), talk.told(TurnComplete)
        assert (done.status, done.heard_transcript) == ("completed", LONG)
        assert not talk.told(Interrupted)
        [committed] = talk.told(TurnCommitted)
        assert committed.previous == started.item
        assert contents(talk) == [("user", "tell me a story"), ("assistant", LONG), ("user", "and a cake")]

    def test_a_commit_while_speech_over_a_reply_is_judged_interrupts_it(self) -> None:
        talk = Conversation(config=ASKED, answer=lambda asked: LONG)
        talk.at(0.5, wish())
        talk.speak((2.0, 3.0, "and a cake"))
        talk.at(2.25, heard.Committed(2.25))
        talk.run(8.0)
        [done] = talk.told(TurnComplete)
        assert done.status == "cancelled" and done.heard_transcript
        assert len(talk.told(TurnCommitted)) >= 1

    def test_the_user_goes_on_while_it_is_transcribed(self) -> None:
        talk = Conversation(config=ASKED, delays=Delays(stt=2.0))
        talk.speak((1.0, 2.0, "one"), (3.0, 3.5, "two"), (4.5, 5.0, "three"))
        talk.run(9.0)
        assert [content for _, content in contents(talk)] == ["one", "two", "three"]
        first, second, third = talk.told(TurnCommitted)
        assert (first.previous, second.previous, third.previous) == (None, first.item, second.item)

    def test_a_transcription_session_is_never_answered(self) -> None:
        talk = Conversation(config=SessionConfig(audio=AUDIO, transcribe_only=True))
        talk.speak((1.0, 2.0, "take a note"), (4.0, 4.5, ""))
        talk.at(6.0, heard.Typed("typed note"))
        talk.at(7.0, wish())
        talk.run(9.0)
        assert [told.text for told in talk.told(TranscriptOut) if told.is_final] == ["take a note", "", "typed note"]
        assert not prompts(talk) and not talk.told(TurnComplete)
        assert [error.code for error in talk.told(ErrorOut)] == ["transcription_session"]

    def test_a_failed_transcript_is_told_with_its_item(self) -> None:
        talk = Conversation(config=ASKED, delays=Delays(stt=99.0))
        talk.speak((1.0, 2.0, "one"))
        talk.at(3.0, heard.TranscriptFailed(2, "stt_failed", "dead", ""))
        talk.run(5.0)
        (error,), (gone,) = talk.told(ErrorOut), talk.told(ItemDeleted)
        assert error.code == "stt_failed" and error.item == gone.item == talk.told(TurnCommitted)[0].item

    def test_a_transcript_that_never_comes_is_given_up(self) -> None:
        talk = Conversation(config=ASKED, delays=Delays(stt=999.0))
        talk.speak((1.0, 2.0, "one"))
        talk.at(3.0, wish())
        talk.run(90.0)
        assert [error.code for error in talk.told(ErrorOut)] == ["stt_timeout"]
        assert [turn.key for turn in talk.told(TurnComplete)] == ["k"], "the reply does not wait for ever"


class TestTruncation:
    def story(self) -> Conversation:
        talk = Conversation(answer=lambda asked: LONG)
        talk.at(1.0, heard.Typed("tell me a story"))
        return talk

    def test_after_an_interruption_the_client_knows_better(self) -> None:
        talk = self.story()
        talk.at(6.0, heard.InterruptAsked())
        talk.at(6.1, Truncate("reply-1", 1500, "e"))
        talk.run(8.0)
        (cut,), (interrupted,) = talk.told(ItemTruncated), talk.told(Interrupted)
        assert LONG.startswith(cut.text) and 0 < len(cut.text) < len(interrupted.partial_output)
        assert talk.machine.history.items[-1].message.content == cut.text
        assert 1.5 * 15 - 12 <= len(cut.text) <= 1.5 * 15 + 1, "15 characters a second"

    def test_a_reply_under_way_ends_there(self) -> None:
        talk = self.story()
        talk.run(5.0)
        talk.at(5.0, Truncate(talk.told(ReplyStarted)[0].item, 1000))
        talk.run(8.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.interrupted and turn.heard_transcript == talk.told(ItemTruncated)[0].text
        assert not [time for time, event in talk.said if isinstance(event, AudioOut | TextOut) and time > 5.0]

    def test_what_was_cut_off_does_not_come_back(self) -> None:
        talk = self.story()
        talk.at(4.0, Truncate("reply-1", 600, "e1"))
        talk.at(4.1, Truncate("reply-1", 1500, "e2"))
        talk.at(4.2, Truncate("reply-1", 300, "e3"))
        talk.run(5.0)
        first, last = talk.told(ItemTruncated)
        assert (first.ms, last.ms) == (600, 300) and first.text.startswith(last.text)
        assert [(error.code, error.event_id) for error in talk.told(ErrorOut)] == [("invalid_audio_end", "e2")]
        assert talk.machine.history.items[-1].message.content == last.text

    def test_more_than_there_is_is_an_error(self) -> None:
        talk = self.story()
        talk.at(4.0, heard.InterruptAsked())
        talk.at(4.1, Truncate("reply-1", 60_000, "e"))
        talk.run(8.0)
        assert [(error.code, error.event_id) for error in talk.told(ErrorOut)] == [("invalid_audio_end", "e")]

    def test_nothing_heard_is_nothing_kept(self) -> None:
        talk = self.story()
        talk.at(4.0, heard.InterruptAsked())
        talk.at(4.1, Truncate("reply-1", 0))
        talk.at(5.0, heard.Typed("well"))
        talk.run(8.0)
        assert prompts(talk)[-1][2] == ("assistant", "[INTERRUPTED BY USER]")


def test_what_is_cleared_while_it_is_judged_interrupts_nothing() -> None:
    talk = Conversation(config=ASKED, answer=lambda asked: LONG)
    talk.at(0.5, wish())
    talk.speak((2.0, 2.2, "stop"))
    talk.at(2.24, heard.Cleared(2.24))
    talk.run(60.0)
    [done] = talk.told(TurnComplete)
    assert (done.status, talk.told(SpeechStarted), talk.told(TurnCommitted)) == ("completed", [], [])
    assert contents(talk) == [("assistant", LONG)]


def transcribed(talk: Conversation) -> int:
    return sum(isinstance(action, Transcribe) for _, action in talk.actions)


@pytest.mark.parametrize("woken_until_then", [False, True])
def test_what_was_over_when_it_was_cleared_or_became_ours_is_no_turn(woken_until_then: bool) -> None:
    """That a voice has fallen silent is known some frames later. The silence after it is not transcribed."""
    config = SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ))
    wake = WakeConfig(woken_until_then, ("alexa",))
    talk = Conversation(config=replace(config, wake=wake), audible=frozenset({"alexa"}))
    talk.speak((1.0, 2.0, "one"))
    talk.at(2.1, heard.ConfigChanged(config) if woken_until_then else heard.Cleared(2.1))
    talk.run(2.15)
    asked = transcribed(talk)
    talk.run(9.0)
    assert transcribed(talk) == asked and talk.machine.state is State.IDLE
    assert not talk.told(TurnCommitted) and len(talk.told(SpeechStarted)) == len(talk.told(SpeechStopped))


def test_speech_does_not_interrupt_where_the_client_forbids_it() -> None:
    detection = TurnDetection(interrupt_response=False)
    talk = Conversation(config=SessionConfig(audio=AUDIO, turn_detection=detection), answer=lambda asked: LONG)
    talk.at(1.0, heard.Typed("tell me a story"))
    talk.speak((5.0, 7.0, "and how old are you"))
    talk.run(90.0)
    assert [turn.status for turn in talk.told(TurnComplete)] == ["completed"]
