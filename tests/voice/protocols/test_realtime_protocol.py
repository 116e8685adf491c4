"""The Realtime protocol on a virtual clock: what is asked wrongly, who decides what, and the names of the beta.

Why this file is long: one protocol, an event after the other; the cases share one codec and its clock.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm.messages import Message
from tests.voice.conversation import Delays
from tests.voice.realtime_talk import SETTINGS, RealtimeTalk, check
from voice.errors import FrameTooLarge
from voice.protocols.realtime_beta import from_beta, to_beta
from voice.protocols.realtime_config import RealtimeSession
from voice.protocols.realtime_errors import RealtimeError
from voice.protocols.realtime_response import parse_response
from voice.session.outgoing import ItemAdded, ReplyStarted, ServerEvent, TextOut, ToolCallOut, TurnComplete
from voice.turn.actions import Think
from voice.turn.history import Item

STORY = "And then there was another one of them, long ago. " * 8
HI = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
MANUAL = {"input": {"turn_detection": None}}


# ---- what makes no sense --------------------------------------------------------------------------------------

WRONG: list[tuple[Any, str, str | None]] = [
    ("{", "invalid_json", None),
    ("[]", "invalid_json", None),
    (b"\x00\x01", "invalid_json", None),
    ('{"type": "session.update", "session": {"tools": [{"type": "function", "name": "f", "parameters": NaN}]}}',
     "invalid_json", None),
    ('{"type": "response.create", "response": {"metadata": {"a": -1e999}}}', "invalid_json", None),
    ({}, "missing_required_parameter", "type"),
    ({"type": 7}, "invalid_type", "type"),
    ({"type": "response.dance"}, "invalid_value", "type"),
    ({"type": "response.create", "event_id": 7}, "invalid_type", "event_id"),
    ({"type": "session.update"}, "missing_required_parameter", "session"),
    ({"type": "session.update", "session": []}, "invalid_type", "session"),
    ({"type": "session.update", "session": {"type": "conversation"}}, "invalid_value", "session.type"),
    ({"type": "session.update", "session": {"output_modalities": ["smell"]}}, "invalid_value",
     "session.output_modalities[0]"),
    ({"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/mp3"}}}}}, "invalid_value",
     "session.audio.input.format.type"),
    ({"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 8000}}}}},
     "invalid_value", "session.audio.input.format"),
    ({"type": "session.update", "session": {"audio": {"input": {"turn_detection": {"type": "magic"}}}}},
     "invalid_value", "session.audio.input.turn_detection.type"),
    ({"type": "session.update", "session": {"audio": {"input": {"turn_detection": {"threshold": 0.3}}}}},
     "missing_required_parameter", "session.audio.input.turn_detection.type"),
    ({"type": "session.update", "session": {"tools": [{"type": "web_search"}]}}, "invalid_value",
     "session.tools[0].type"),
    ({"type": "session.update", "session": {"tools": [{"type": "function"}]}}, "missing_required_parameter",
     "session.tools[0].name"),
    ({"type": "session.update", "session": {"tools": [{"type": "mcp"}]}}, "missing_required_parameter",
     "session.tools[0].server_label"),
    ({"type": "session.update", "session": {"audio": {"output": {"speed": 9}}}}, "invalid_value",
     "session.audio.output.speed"),
    ({"type": "session.update", "session": {"max_output_tokens": -1}}, "invalid_value", "session.max_output_tokens"),
    ({"type": "session.update", "session": {"output_modalities": ["text", "audio"]}}, "invalid_value",
     "session.output_modalities"),
    ({"type": "session.update", "session": {"tracing": 5}}, "invalid_value", "session.tracing"),
    ({"type": "session.update", "session": {"prompt": "pmpt"}}, "invalid_type", "session.prompt"),
    ({"type": "session.update", "session": {"include": ["everything"]}}, "invalid_value", "session.include[0]"),
    ({"type": "session.update", "session": {"truncation": {"type": "retention_ratio", "retention_ratio": 2}}},
     "invalid_value", "session.truncation.retention_ratio"),
    ({"type": "response.create", "response": {"output_modalities": ["text", "audio"]}}, "invalid_value",
     "response.output_modalities"),
    ({"type": "response.create", "response": {"metadata": {f"k{n}": "" for n in range(17)}}}, "invalid_value",
     "response.metadata"),
    ({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": []}}, "empty_array",
     "item.content"),
    ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
    ({"type": "input_audio_buffer.append", "audio": 7}, "invalid_type", "audio"),
    ({"type": "input_audio_buffer.append", "audio": "%%%"}, "invalid_value", "audio"),
    ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
    ({"type": "conversation.item.create"}, "missing_required_parameter", "item"),
    ({"type": "conversation.item.create", "item": {}}, "missing_required_parameter", "item.type"),
    ({"type": "conversation.item.create", "item": {"type": "dream"}}, "invalid_value", "item.type"),
    ({"type": "conversation.item.create", "item": {"type": "message", "role": "user"}}, "missing_required_parameter",
     "item.content"),
    ({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{"type": "text"}]}},
     "invalid_value", "item.content[0].type"),
    ({"type": "conversation.item.create", "item": {"type": "message", "role": "user",
                                                   "content": [{"type": "input_text"}]}},
     "missing_required_parameter", "item.content[0].text"),
    ({"type": "conversation.item.create", "item": {"type": "message", "role": "user",
                                                   "content": [{"type": "input_image", "image_url": "data:"}]}},
     "invalid_value", "item.content[0].image_url"),
    ({"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "x", "output": "y"}},
     "invalid_call_id", "item.call_id"),
    ({"type": "conversation.item.create", "item": HI, "previous_item_id": "gone"},
     "item_create_invalid_previous_item_id", "previous_item_id"),
    ({"type": "conversation.item.retrieve"}, "missing_required_parameter", "item_id"),
    ({"type": "conversation.item.retrieve", "item_id": "gone"}, "item_retrieve_invalid_item_id", "item_id"),
    ({"type": "conversation.item.delete", "item_id": "gone"}, "item_delete_invalid_item_id", "item_id"),
    ({"type": "conversation.item.truncate", "item_id": "gone", "content_index": 0, "audio_end_ms": 0},
     "item_truncate_invalid_item_id", "item_id"),
    ({"type": "conversation.item.truncate", "item_id": "gone", "content_index": 0}, "missing_required_parameter",
     "audio_end_ms"),
    ({"type": "conversation.item.truncate", "item_id": "gone", "content_index": 0, "audio_end_ms": -5},
     "invalid_value", "audio_end_ms"),
    ({"type": "conversation.item.truncate", "item_id": "gone", "content_index": 0, "audio_end_ms": 1.5},
     "invalid_type", "audio_end_ms"),
    ({"type": "response.create", "response": 7}, "invalid_type", "response"),
    ({"type": "response.create", "response": {"conversation": "mine"}}, "invalid_value", "response.conversation"),
    ({"type": "response.create", "response": {"metadata": {str(n): "x" for n in range(17)}}}, "invalid_value",
     "response.metadata"),
    ({"type": "response.create", "response": {"input": [{"type": "item_reference", "id": "gone"}]}},
     "invalid_item_reference", "response.input[0].id"),
    ({"type": "response.create", "response": {"input": [{"type": "message"}]}}, "missing_required_parameter",
     "response.input[0].role"),
    ({"type": "response.cancel"}, "response_cancel_not_active", "response_id"),
    ({"type": "response.cancel", "response_id": "resp_gone"}, "response_cancel_not_active", "response_id"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "code", "param"), WRONG, ids=lambda value: str(value)[:60])
def test_what_makes_no_sense_is_an_error_with_the_event_s_name(message: Any, code: str, param: str | None) -> None:
    talk = RealtimeTalk()
    named = isinstance(message, dict) and "event_id" not in message
    talk.put(json.dumps({"event_id": "mine_7", **message}) if isinstance(message, dict) else message)
    [error] = talk.errors
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert error["event_id"] == ("mine_7" if named else None)
    assert error["message"]
    talk.say("conversation.item.create", item=HI)
    talk.say("response.create")
    talk.run(10)
    assert talk.of("response.done")[0]["response"]["status"] == "completed", "the session lives on"
    check(talk)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=12,
)
KINDS = st.sampled_from(
    [message["type"] for message, _, _ in WRONG if isinstance(message, dict) and "type" in message]
)
FIELDS = ["session", "audio", "item", "item_id", "previous_item_id", "content_index", "audio_end_ms", "response"]
INSIDE = st.fixed_dictionaries(
    {},
    optional={
        name: JSON | st.just({"input": {"turn_detection": {"type": "server_vad"}}})
        for name in ("type", "role", "content", "audio", "input", "output", "tools", "tool_choice", "metadata", "id")
    },
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.fixed_dictionaries({"type": KINDS}, optional={name: JSON | INSIDE for name in FIELDS}).map(json.dumps),
        JSON.map(json.dumps),
        st.text(max_size=200),
        st.binary(max_size=50),
    )
)
def test_any_frame_is_taken_or_answered(frame: str | bytes) -> None:
    talk = RealtimeTalk()
    talk.put(frame)
    assert all(error["type"] == "invalid_request_error" for error in talk.errors)
    check(talk, settled=False)


def test_a_giant_frame_ends_the_connection() -> None:
    with pytest.raises(FrameTooLarge):
        RealtimeTalk().codec.receive("x" * (17 << 20))
    talk = RealtimeTalk()
    talk.say("input_audio_buffer.append", audio="A" * ((15 << 20) + 4))
    assert talk.errors[0]["param"] == "audio"


def test_half_a_surrogate_pair_does_not_travel() -> None:
    talk = RealtimeTalk(output_modalities=["text"])
    talk.put('{"type":"conversation.item.create","item":{"type":"message","role":"user","content":'
             '[{"type":"input_text","text":"a\\ud800b"}]}}')  # fmt: skip
    assert talk.of("conversation.item.added")[0]["item"]["content"][0]["text"] == "a\ufffdb"


# ---- the session ----------------------------------------------------------------------------------------------


def test_an_update_changes_what_it_names_and_null_clears() -> None:
    session = RealtimeSession.new("realtime", "m", SETTINGS)
    once = session.changed(
        {
            "instructions": "Be brief.",
            "audio": {"input": {"transcription": {"model": "w"}}, "output": {"speed": 1.2}},
        },
        SETTINGS,
    )
    twice = once.changed({"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.7}}}}, SETTINGS)
    heard = twice.fields["audio"]["input"]
    assert twice.fields["instructions"] == "Be brief." and twice.fields["audio"]["output"]["speed"] == 1.2
    assert (heard["turn_detection"]["threshold"], heard["turn_detection"]["silence_duration_ms"]) == (0.7, 500)
    assert heard["transcription"] == {"model": "w"}
    other = twice.changed({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}, SETTINGS)
    assert "threshold" not in other.fields["audio"]["input"]["turn_detection"]
    cleared = other.changed({"audio": {"input": {"turn_detection": None, "transcription": None}}}, SETTINGS)
    assert cleared.fields["audio"]["input"]["turn_detection"] is None
    assert not cleared.transcribes
    assert cleared.config("", SETTINGS).turn_detection.type == "none"
    assert not cleared.config("", SETTINGS).turn_detection.create_response


def test_a_session_in_which_nothing_was_said_may_become_a_transcription() -> None:
    talk = RealtimeTalk()
    wanted = {"type": "transcription", "audio": {"input": {"transcription": {"model": "w", "language": "en"}}}}
    talk.say("session.update", session=wanted)
    (updated,) = talk.of("session.updated")
    assert updated["session"]["object"] == "realtime.transcription_session"
    assert updated["session"]["audio"]["input"]["transcription"]["language"] == "en"
    talk.speak((1.0, 2.0, "hello there"))
    talk.run(6.0)
    assert [each["transcript"] for each in talk.of("conversation.item.input_audio_transcription.completed")] == [
        "hello there"
    ]
    assert not talk.of("response.created")
    talk.say("session.update", session={"type": "realtime"})
    assert talk.of("error")[0]["error"]["param"] == "session.type"


def test_a_conversation_stays_one() -> None:
    talk = RealtimeTalk()
    talk.say("conversation.item.create", item=HI)
    talk.say("session.update", session={"type": "transcription"})
    assert talk.of("error")[0]["error"]["param"] == "session.type"


def test_what_is_in_force_reaches_the_session() -> None:
    tool = {"type": "function", "name": "lamp", "parameters": {"type": "object"}}
    config = RealtimeSession.new("realtime", "m", SETTINGS).changed(
        {
            "output_modalities": ["text"],
            "tools": [tool],
            "tool_choice": {"type": "function", "name": "lamp"},
            "max_output_tokens": 77,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcma"},
                    "transcription": {"language": "de"},
                    "turn_detection": {
                        "type": "server_vad",
                        "silence_duration_ms": 300,
                        "prefix_padding_ms": 200,
                        "create_response": False,
                        "interrupt_response": False,
                    },
                },
                "output": {"voice": "marin", "speed": 1.5},
            },
        },
        SETTINGS,
    ).config("slot/m", SETTINGS)  # fmt: skip
    assert (config.audio.input_format, config.audio.input_rate) == ("g711_alaw", 8000)
    assert (config.voice.voice_id, config.voice.speed, config.voice.language) == ("default", 1.5, "de")
    assert (config.llm.model, config.llm.max_tokens, config.spoken) == ("slot/m", 77, False)
    assert config.llm.tools[0]["function"]["name"] == "lamp"
    assert config.llm.tool_choice == {"type": "function", "function": {"name": "lamp"}}
    detection = config.turn_detection
    assert (detection.silence_duration_ms, detection.prefix_padding_ms) == (300, 200)
    assert not detection.create_response and not detection.interrupt_response


def test_fields_that_have_no_meaning_in_a_session_are_not_shown() -> None:
    detection = {"type": "server_vad", "create_response": True, "eagerness": "low", "silence_duration_ms": 300}
    update = {"audio": {"input": {"turn_detection": detection}}}
    heard = RealtimeSession.new("transcription", "", SETTINGS).changed(update, SETTINGS).fields["audio"]["input"]
    assert heard["turn_detection"]["silence_duration_ms"] == 300
    assert not {"create_response", "interrupt_response", "eagerness"} & set(heard["turn_detection"])
    update["audio"]["input"]["turn_detection"] = {"type": "semantic_vad", "idle_timeout_ms": 6000, "eagerness": "low"}
    heard = RealtimeSession.new("realtime", "", SETTINGS).changed(update, SETTINGS).fields["audio"]["input"]
    assert set(heard["turn_detection"]) == {"type", "eagerness", "create_response", "interrupt_response"}


def test_consent_to_a_recording_is_given_first_of_all_and_taken_back_at_any_time() -> None:
    talk = RealtimeTalk()
    assert talk.of("session.created")[0]["session"]["record"] is False
    talk.say("session.update", session={"record": "yes"})
    assert talk.errors[-1]["param"] == "session.record"
    talk.say("session.update", session={"instructions": "x"})
    talk.say("session.update", session={"record": True})
    talk.say("session.update", session={"instructions": "y"})
    assert [event["session"]["record"] for event in talk.of("session.updated")] == [False, True, True]
    assert talk.codec.config.record
    talk.say("conversation.item.create", item=HI)
    talk.say("session.update", session={"record": None})
    assert talk.of("session.updated")[-1]["session"]["record"] is False and not talk.codec.config.record
    talk.say("session.update", session={"record": True, "instructions": "z"})
    assert (talk.errors[-1]["param"], talk.codec.config.record) == ("session.record", False)
    assert talk.of("session.updated")[-1]["session"]["instructions"] == "y", "refused as a whole"
    talk.say("session.update", session={"record": False})
    assert len(talk.errors) == 2


@pytest.mark.parametrize("first", ["append", "item", "taken back"])
def test_consent_to_a_recording_comes_too_late(first: str) -> None:
    talk = RealtimeTalk()
    if first == "append":
        talk.append(20)
        talk.say("input_audio_buffer.clear")
    elif first == "item":
        talk.say("conversation.item.create", item=HI)
    else:
        talk.say("session.update", session={"record": True})
        talk.say("session.update", session={"record": False})
    talk.say("session.update", session={"record": True})
    assert talk.errors[-1]["param"] == "session.record" and not talk.codec.config.record


def test_a_transcription_session_is_recorded_by_consent_too() -> None:
    talk = RealtimeTalk()
    talk.say("session.update", session={"record": True})
    talk.say("session.update", session={"type": "transcription"})
    assert talk.of("session.updated")[-1]["session"]["record"] and talk.codec.config.record


def test_the_model_is_the_one_that_was_connected_to() -> None:
    talk = RealtimeTalk()
    model = talk.of("session.created")[0]["session"]["model"]
    talk.say("session.update", session={"type": "realtime", "model": "gpt-something", "instructions": "x"})
    session = talk.of("session.updated")[0]["session"]
    assert (session["model"], session["instructions"]) == (model, "x")


def test_who_ends_their_turns_themselves_is_not_told_of_speech() -> None:
    talk = RealtimeTalk()
    talk.say("session.update", session={"audio": MANUAL})
    talk.speak((1.0, 2.0, "hello there"))
    talk.run(4.0)
    talk.append(4000)
    talk.say("input_audio_buffer.commit")
    talk.run(8.0)
    assert talk.of("input_audio_buffer.committed")
    assert not talk.of("input_audio_buffer.speech_started") + talk.of("input_audio_buffer.speech_stopped")


def test_a_response_may_have_no_limit_where_the_session_has_one() -> None:
    new_id = "x-{}".format
    assert (
        parse_response({"max_output_tokens": "inf"}, lambda _: None, lambda _: False, new_id, 500).options.max_tokens
        == 500
    )
    assert (
        parse_response({"max_output_tokens": 7}, lambda _: None, lambda _: False, new_id, 500).options.max_tokens == 7
    )
    assert parse_response({}, lambda _: None, lambda _: False, new_id, 500).options.max_tokens is None


def test_the_voice_stays_once_it_has_spoken() -> None:
    talk = RealtimeTalk()
    talk.say("conversation.item.create", item=HI)
    talk.say("response.create")
    talk.run(20)
    talk.say("session.update", session={"audio": {"output": {"voice": "robot"}}})
    assert talk.errors[-1]["code"] == "cannot_update_voice"
    talk.say("session.update", session={"audio": {"output": {"voice": "alloy"}}, "instructions": "x"})
    assert talk.of("session.updated")[-1]["session"]["instructions"] == "x"
    talk.say("response.create", response={"audio": {"output": {"voice": "robot"}}})
    assert (talk.errors[-1]["code"], talk.errors[-1]["param"]) == (
        "cannot_update_voice",
        "response.audio.output.voice",
    )
    talk.say("response.create", response={"audio": {"output": {"voice": "alloy"}}})
    talk.run(40)
    assert len(talk.of("response.done")) == 2


# ---- turns ----------------------------------------------------------------------------------------------------


def test_turn_detection_without_answers() -> None:
    """create_response off: turns are committed and written down; the client asks for the answer."""
    detection = {"type": "server_vad", "create_response": False}
    talk = RealtimeTalk(audio={"input": {"turn_detection": detection, "transcription": {"model": "w"}}})
    talk.speak((0.5, 1.5, "what is it"))
    talk.run(6)
    assert talk.of("conversation.item.input_audio_transcription.completed")[0]["transcript"] == "what is it"
    assert not talk.of("response.created")
    talk.say("response.create")
    talk.run(20)
    assert talk.of("response.done")[0]["response"]["status"] == "completed"
    check(talk)


def test_speech_does_not_interrupt_where_it_may_not() -> None:
    detection = {"type": "server_vad", "interrupt_response": False}
    talk = RealtimeTalk(lambda asked: STORY, audio={"input": {"turn_detection": detection}})
    talk.say("conversation.item.create", item=HI)
    talk.say("response.create")
    talk.speak((3.0, 4.5, "wait, stop"))
    talk.run(60)
    assert talk.of("response.done")[0]["response"]["status"] == "completed"
    check(talk)


def test_speech_that_interrupts_is_told_before_the_response_ends() -> None:
    talk = RealtimeTalk(lambda asked: STORY)
    talk.say("conversation.item.create", item=HI)
    talk.say("response.create")
    talk.speak((3.0, 4.5, "wait, stop"))
    talk.run(6)
    kinds = talk.kinds
    assert kinds.index("input_audio_buffer.speech_started") < kinds.index("response.done")
    done = talk.of("response.done")[0]["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    item = done["output"][0]
    heard = item["content"][0]["transcript"]
    assert item["status"] == "incomplete" and 0 < len(heard) < len(STORY) and STORY.startswith(heard)
    talk.run(60)
    check(talk)


@pytest.mark.parametrize("at_ms", [0, 400, 1000, 1900])
def test_truncate_leaves_what_was_heard(at_ms: int) -> None:
    talk = RealtimeTalk(lambda asked: STORY)
    talk.say("conversation.item.create", item=HI)
    talk.say("response.create")
    talk.run(3)
    item = talk.of("response.output_audio.delta")[0]["item_id"]
    talk.say("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=at_ms)
    assert talk.of("conversation.item.truncated")[0]["audio_end_ms"] == at_ms
    talk.say("conversation.item.retrieve", item_id=item)
    left = talk.of("conversation.item.retrieved")[0]["item"]["content"][0]["transcript"]
    assert STORY.startswith(left) and (left == "") == (at_ms < 300)
    assert talk.machine.history.get(item) is not None
    assert talk.machine.history.get(item).message.content == left
    talk.say("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=60_000)
    assert "already shorter" in talk.errors[-1]["message"]
    talk.run(30)
    check(talk)


def test_a_session_with_an_mcp_server_goes_on_without_its_tools() -> None:
    lamp = {"type": "function", "name": "lamp", "parameters": {"type": "object"}}
    # as hosted MCP tools of @openai/agents send it
    server = {"type": "mcp", "server_label": "docs", "server_url": "https://example.com/mcp", "authorization": "key",
              "headers": {"X-Key": "key"}, "allowed_tools": ["search"], "require_approval": "never"}  # fmt: skip
    talk = RealtimeTalk(output_modalities=["text"])
    talk.say("session.update", session={"instructions": "Be brief.", "tools": [server, lamp]}, event_id="u1")
    assert talk.kinds[-3:] == ["session.updated", "mcp_list_tools.failed", "error"]
    assert (talk.errors[-1]["code"], talk.errors[-1]["event_id"]) == ("mcp_not_supported", "u1")
    shown = talk.of("session.updated")[-1]["session"]
    assert shown["instructions"] == "Be brief."
    assert shown["tools"] == [{k: v for k, v in server.items() if k not in ("authorization", "headers")}, lamp]
    talk.say("session.update", session={"instructions": "Be very brief.", "tools": [server, lamp]})
    assert talk.kinds[-1] == "session.updated", "said once"
    talk.say("conversation.item.create", item=HI)
    talk.say("response.create")
    talk.run(5)
    check(talk)
    [thought] = [action for _, action in talk.actions if isinstance(action, Think)]
    assert [tool["function"]["name"] for tool in thought.tools] == ["lamp"]
    opened = RealtimeTalk(tools=[server])
    assert opened.errors[-1]["code"] == "mcp_not_supported", "also of a session that an ephemeral key was made with"


def test_a_reply_truncated_at_its_end_was_not_interrupted() -> None:
    """Clients say where they are when the user speaks, also when they have just played the last of it."""
    talk = RealtimeTalk(lambda asked: "It is noon.")
    talk.say("conversation.item.create", item=HI)
    talk.say("response.create")
    talk.run(9)
    [done] = talk.of("response.done")
    item = done["response"]["output"][0]
    data = b"".join(base64.b64decode(delta["delta"]) for delta in talk.of("response.output_audio.delta"))
    talk.say("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=len(data) // 48)
    assert len(talk.of("conversation.item.truncated")) == 1
    assert [told.content for told in talk.machine.history.messages("", None, 9)] == ["hi", "It is noon."]
    talk.say("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=1)
    assert "[INTERRUPTED BY USER]" in talk.machine.history.messages("", None, 9)[-1].content


def test_an_answer_asked_for_while_the_words_are_not_known_waits_for_them() -> None:
    asked: list[str] = []

    def answer(words: str) -> str:
        asked.append(words)
        return "Fine."

    talk = RealtimeTalk(answer, audio=MANUAL, delays=Delays(stt=1.0))
    talk.speak((0.1, 1.1, "what is it"))
    talk.run(1.3)
    talk.append(1300)
    talk.say("input_audio_buffer.commit")
    talk.say("response.create")
    talk.say("response.create")
    assert talk.errors[-1]["code"] == "conversation_already_has_active_response"
    talk.run(10)
    assert asked[-1] == "what is it" and len(talk.of("response.done")) == 1
    check(talk)


def test_an_answer_cancelled_while_it_waits_ends_all_the_same() -> None:
    """Who asked for it waits for its end before they ask again."""
    talk = RealtimeTalk(audio=MANUAL, delays=Delays(stt=1.0))
    talk.speak((0.1, 1.1, "what is it"))
    talk.run(1.3)
    talk.append(1300)
    talk.say("input_audio_buffer.commit")
    talk.say("response.create", response={"metadata": {"number": "1"}})
    assert not talk.of("response.created"), "it waits for the words"
    talk.say("response.cancel")
    [created], [done] = talk.of("response.created"), talk.of("response.done")
    assert done["response"]["id"] == created["response"]["id"] and done["response"]["metadata"] == {"number": "1"}
    assert (done["response"]["status"], done["response"]["output"]) == ("cancelled", [])
    talk.say("response.create")
    talk.run(30.0)
    assert [one["response"]["status"] for one in talk.of("response.done")] == ["cancelled", "completed"]
    assert not talk.errors
    check(talk)


def test_a_second_response_is_refused_and_text_beside_it_is_not() -> None:
    talk = RealtimeTalk(lambda asked: STORY)
    talk.say("conversation.item.create", item=HI)
    talk.say("response.create")
    talk.run(0.3)
    talk.say("response.create", event_id="again")
    assert (talk.errors[-1]["code"], talk.errors[-1]["event_id"]) == (
        "conversation_already_has_active_response",
        "again",
    )
    talk.say("response.create", response={"conversation": "none", "output_modalities": ["text"]})
    talk.run(4)
    first, beside = (event["response"] for event in talk.of("response.created"))
    assert beside["conversation_id"] is None and first["conversation_id"]
    assert [event["response"]["id"] for event in talk.of("response.done")] == [beside["id"]]
    talk.run(60)
    check(talk)


def test_a_long_silence_is_answered() -> None:
    asked: list[str] = []

    def answer(words: str) -> str:
        asked.append(words)
        return "Are you still there?"

    detection = {"type": "server_vad", "idle_timeout_ms": 2000}
    talk = RealtimeTalk(answer, audio={"input": {"turn_detection": detection}})
    talk.append(5000)
    assert not talk.of("input_audio_buffer.timeout_triggered"), "nothing was answered yet"
    talk.say("conversation.item.create", item=HI)
    talk.say("response.create")
    talk.run(10)
    talk.append(1500)
    talk.append(600)
    [silence] = talk.of("input_audio_buffer.timeout_triggered")
    assert (silence["audio_start_ms"], silence["audio_end_ms"]) == (5000, 7100)
    assert talk.of("input_audio_buffer.committed")[-1]["item_id"] == silence["item_id"]
    talk.append(900)
    talk.run(20)
    assert len(talk.of("response.done")) == 2 and "silent" in asked[-1]
    talk.append(1900)
    talk.speak((20.5, 21.5, "yes"))
    talk.run(40)
    talk.append(50)
    assert len(talk.of("input_audio_buffer.timeout_triggered")) == 1
    check(talk)


def test_items_that_make_room_are_told_as_deleted() -> None:
    """Whoever shows the conversation shows what the model is told of it."""
    talk = RealtimeTalk()
    keep = talk.machine.history.keep
    for number in range(keep + 3):
        item = {
            "id": f"u{number}",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "x"}],
        }
        talk.say("conversation.item.create", item=item)
    talk.run(1.0)
    deleted = [event["item_id"] for _, event in talk.sent if event["type"] == "conversation.item.deleted"]
    assert deleted == ["u0", "u1", "u2"]
    talk.say("conversation.item.retrieve", item_id="u0")
    talk.run(1.1)
    assert talk.sent[-1][1]["type"] == "error"


def test_a_call_is_one_call() -> None:
    talk = RealtimeTalk()
    for name in ("first", "second"):
        call = {"id": name, "type": "function_call", "name": "f", "call_id": "call_1", "arguments": "{}"}
        talk.say("conversation.item.create", item=call, event_id=name)
    output = {"type": "function_call_output", "call_id": "call_1", "output": "x" * 150_000}
    talk.say("conversation.item.create", item=output)
    talk.run(1.0)
    errors = [event["error"] for _, event in talk.sent if event["type"] == "error"]
    assert [(error["code"], error["event_id"]) for error in errors] == [("call_exists", "second")]
    assert len(talk.machine.history.items) == 2


def test_items_keep_their_places() -> None:
    talk = RealtimeTalk()
    for id, previous in (("b", None), ("a", "root"), ("c", "b"), ("ab", "a")):
        talk.say("conversation.item.create", item={**HI, "id": id}, previous_item_id=previous)
    assert [event["previous_item_id"] for event in talk.of("conversation.item.added")] == [None, None, "b", "a"]
    assert [item.id for item in talk.machine.history.items] == ["a", "ab", "b", "c"]
    talk.say("conversation.item.create", item={**HI, "id": "b"}, event_id="twice")
    assert (talk.errors[-1]["code"], talk.errors[-1]["event_id"]) == ("item_create_duplicate_item_id", "twice")


def test_words_and_calls_of_one_response() -> None:
    """What the machine tells of a reply with a filler and two calls."""
    talk = RealtimeTalk()
    turn = TurnComplete("reply-1", "", "One moment.", "One moment.", ("lamp", "door"), False, 10, 20, 0.0, 1.0)
    told: list[ServerEvent] = [
        ReplyStarted("reply-1", "item_1", "", False),
        TextOut("reply-1", "One "),
        TextOut("reply-1", "moment."),
        ToolCallOut("call_1", "lamp", '{"on":true}', "reply-1", "item_2"),
        ItemAdded(Item("item_2", Message("assistant", "")), "item_1"),
        ToolCallOut("call_2", "door", "{}", "reply-1", "item_3"),
        ItemAdded(Item("item_1", Message("assistant", "One moment.")), None),
        turn,
    ]
    for event in told:
        talk.tell(event)
    check(talk)
    output = talk.of("response.done")[0]["response"]["output"]
    assert [(item["type"], item.get("call_id")) for item in output] == [
        ("message", None),
        ("function_call", "call_1"),
        ("function_call", "call_2"),
    ]
    assert [event["previous_item_id"] for event in talk.of("conversation.item.added")] == [None, "item_1", "item_2"]
    talk.say("conversation.item.retrieve", item_id="item_3")
    assert talk.of("conversation.item.retrieved")[0]["item"]["arguments"] == "{}"


# ---- the beta -------------------------------------------------------------------------------------------------


def test_the_beta_has_its_own_names() -> None:
    talk = RealtimeTalk(beta=True)
    assert talk.of("session.created")[0]["session"]["input_audio_format"] == "pcm16"
    update = {"modalities": ["text"], "turn_detection": None, "max_response_output_tokens": 9, "temperature": 0.8}
    talk.say("session.update", session=update)
    session = talk.of("session.updated")[0]["session"]
    assert (session["modalities"], session["turn_detection"], session["max_response_output_tokens"]) == (
        ["text"],
        None,
        9,
    )
    talk.say("conversation.item.create", item=HI)
    talk.say("response.create", response={"modalities": ["text", "audio"]})
    talk.run(20)
    kinds = set(talk.kinds)
    assert {"conversation.item.created", "response.audio.delta", "response.audio_transcript.done"} <= kinds
    assert not any(kind.startswith(("response.output_audio", "conversation.item.added")) for kind in kinds)
    done = talk.of("response.done")[0]["response"]
    assert done["modalities"] == ["text", "audio"] and done["output"][0]["content"][0]["type"] == "audio"


def test_session_shapes_go_both_ways() -> None:
    session = RealtimeSession.new("realtime", "m", SETTINGS)
    again = session.changed(to_beta({**session.fields}), SETTINGS)
    assert again.fields == session.fields
    assert from_beta({"input_audio_format": "g711_ulaw"}) == {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}
    with pytest.raises(RealtimeError):
        session.changed({"input_audio_format": "mp3"}, SETTINGS)


def test_the_beta_s_transcription_session() -> None:
    talk = RealtimeTalk(kind="transcription", beta=True)
    update = {
        "input_audio_transcription": {"model": "whisper-1", "language": "en"},
        "input_audio_format": "g711_ulaw",
    }
    talk.say("transcription_session.update", session=update)
    updated = talk.of("transcription_session.updated")[0]["session"]
    assert (updated["input_audio_format"], updated["input_audio_transcription"]["language"]) == ("g711_ulaw", "en")
    talk.say("input_audio_buffer.append", audio=base64.b64encode(bytes(800)).decode())
    assert not talk.errors
