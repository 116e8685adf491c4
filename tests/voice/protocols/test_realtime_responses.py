"""`response.create` with wishes of its own: what is used for that one reply, and what is refused before it begins."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.voice.realtime_talk import RealtimeTalk, check
from voice.port import EngineConfig
from voice.protocols.realtime_errors import RealtimeError
from voice.protocols.realtime_voices import Voices
from voice.session.outgoing import AudioOut
from voice.tts.espeak import SPEC as ESPEAK
from voice.turn.actions import Speak, Think

HI = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
VOICES = ("en-us", "de", "amy#low", "amy#high")
PCM = {"type": "audio/pcm", "rate": 24_000}
TOOL = {"type": "function", "name": "lamp", "parameters": {"type": "object"}}


def _talk(**options: Any) -> RealtimeTalk:
    talk = RealtimeTalk(lambda asked: "One two three four. Five six.", voices=Voices(VOICES), **options)
    talk.say("conversation.item.create", item=HI)
    return talk


def _asked(talk: RealtimeTalk, kind: type[Any]) -> list[Any]:
    return [action for _, action in talk.actions if isinstance(action, kind)]


def _audio(talk: RealtimeTalk) -> bytes:
    return b"".join(base64.b64decode(event["delta"]) for event in talk.of("response.output_audio.delta"))


def test_a_voice_of_its_own() -> None:
    talk = _talk()
    talk.say("response.create", response={"audio": {"output": {"voice": "de", "speed": 1.25}}})
    talk.run(10)
    assert {(action.voice.voice_id, action.voice.speed) for action in _asked(talk, Speak)} == {("de", 1.25)}
    for kind in ("response.created", "response.done"):
        assert talk.of(kind)[0]["response"]["audio"]["output"]["voice"] == "de"
    # it has spoken; so have the session's own a right to
    for number, voice in enumerate(("de", "alloy")):
        talk.say("response.create", response={"audio": {"output": {"voice": voice}}})
        talk.run(20 + 10 * number)
    assert [done["response"]["audio"]["output"]["voice"] for done in talk.of("response.done")] == [
        "de",
        "de",
        "alloy",
    ]
    assert [action.voice.voice_id for action in _asked(talk, Speak)][-1] == "default"
    talk.say("response.create", response={"audio": {"output": {"voice": "amy#low"}}})
    assert (talk.errors[-1]["code"], talk.errors[-1]["param"]) == (
        "cannot_update_voice",
        "response.audio.output.voice",
    )
    talk.run(50)
    assert len(talk.of("response.done")) == 3
    check(talk)


@pytest.mark.parametrize(
    ("format", "bytes_per_s"), [("audio/pcm", 48_000), ("audio/pcmu", 8_000), ("audio/pcma", 8_000)]
)
def test_a_format_of_its_own(format: str, bytes_per_s: int) -> None:
    talk = _talk(audio={"output": {"format": {"type": "audio/pcmu"}}})
    talk.say("response.create", response={"audio": {"output": {"format": {"type": format}}}})
    talk.run(10)
    sent = [event.pcm for _, event in talk.said if isinstance(event, AudioOut)]
    length_s = sum(map(len, sent)) / talk.config.audio.sample_rate
    assert len(_audio(talk)) == pytest.approx(length_s * bytes_per_s, rel=0.01)
    shown = talk.of("response.done")[0]["response"]["audio"]["output"]["format"]
    assert shown == ({"type": format, "rate": 24_000} if format == "audio/pcm" else {"type": format})
    before = len(_audio(talk))
    talk.say("response.create")  # the next one is the session's again
    talk.run(20)
    assert len(_audio(talk)) - before == pytest.approx(length_s * 8_000, rel=0.01)
    check(talk)


def test_a_format_that_changes_meanwhile_is_the_next_reply_s() -> None:
    talk = _talk()
    talk.say("response.create")
    talk.run(0.7)
    assert talk.of("response.output_audio.delta") and not talk.of("response.done")
    talk.say("session.update", session={"audio": {"output": {"format": {"type": "audio/pcmu"}}}})
    talk.run(10)
    samples = sum(len(event.pcm) for _, event in talk.said if isinstance(event, AudioOut))
    assert len(_audio(talk)) == pytest.approx(samples * 2 * 24_000 / talk.config.audio.sample_rate, rel=0.01)
    assert talk.of("response.done")[0]["response"]["audio"]["output"]["format"]["type"] == "audio/pcm"


def test_the_beta_s_names_for_them() -> None:
    talk = RealtimeTalk(lambda asked: "One two.", voices=Voices(VOICES), beta=True)
    talk.say("conversation.item.create", item=HI)
    wish = {
        "voice": "de",
        "output_audio_format": "g711_ulaw",
        "modalities": ["text", "audio"],
        "max_output_tokens": 9,
    }
    talk.say("response.create", response=wish)
    talk.run(10)
    done = talk.of("response.done")[0]["response"]
    assert {name: done[name] for name in wish} == wish


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"audio": {"output": {"voice": "nobody"}}}, "invalid_value", "response.audio.output.voice"),
    ({"audio": {"output": {"voice": 7}}}, "invalid_type", "response.audio.output.voice"),
    ({"audio": {"output": {"format": {"type": "audio/mp3"}}}}, "invalid_value", "response.audio.output.format.type"),
    ({"audio": {"output": {"format": "pcm16"}}}, "invalid_type", "response.audio.output.format"),
    ({"audio": {"output": {"speed": 9}}}, "invalid_value", "response.audio.output.speed"),
    ({"audio": 7}, "invalid_type", "response.audio"),
    ({"output_modalities": ["smell"]}, "invalid_value", "response.output_modalities[0]"),
    ({"instructions": 7}, "invalid_type", "response.instructions"),
    ({"tools": [{"type": "mcp", "server_label": "x"}]}, "invalid_value", "response.tools[0].type"),
    ({"tool_choice": "maybe"}, "invalid_value", "response.tool_choice"),
    ({"max_output_tokens": 0}, "invalid_value", "response.max_output_tokens"),
    ({"metadata": {"a": 7}}, "invalid_type", "response.metadata.a"),
    ({"prompt": {}}, "missing_required_parameter", "response.prompt.id"),
    ({"voice": "nobody"}, "invalid_value", "response.audio.output.voice"),
]


@pytest.mark.parametrize(("wish", "code", "param"), WRONG, ids=lambda value: str(value)[:50])
def test_a_wrong_wish_is_refused_and_nothing_begins(wish: dict[str, Any], code: str, param: str) -> None:
    talk = _talk()
    talk.say("response.create", event_id="mine", response=wish)
    talk.run(5)
    [error] = talk.errors
    assert (error["type"], error["code"], error["param"], error["event_id"]) == (
        "invalid_request_error",
        code,
        param,
        "mine",
    )
    assert not talk.of("response.created") and not _asked(talk, Think)


@pytest.mark.parametrize(
    "wish",
    [
        {"instructions": ""},
        {"instructions": "", "input": []},
        {"instructions": "", "conversation": "none", "input": [], "output_modalities": ["text"]},
    ],
)
def test_nothing_to_answer_is_said_and_asks_no_model(wish: dict[str, Any]) -> None:
    talk = RealtimeTalk(lambda asked: "Well.")
    talk.say("response.create", event_id="mine", response=wish)
    talk.run(5)
    (error,) = talk.errors
    assert (error["type"], error["code"], error["event_id"]) == ("invalid_request_error", "empty_prompt", "mine")
    assert not _asked(talk, Think) and not talk.of("response.created")
    talk.say("response.create", response={"input": [HI]})
    talk.run(10)
    assert talk.of("response.done")[0]["response"]["status"] == "completed"


def test_words_that_are_being_said_are_something_to_answer() -> None:
    talk = RealtimeTalk(lambda asked: "Well.", audio={"input": {"turn_detection": {"type": "server_vad"}}})
    talk.speak((0.5, 2.0, "what time is it"))
    talk.run(1.0)
    talk.say("response.create", response={"instructions": ""})
    talk.run(10)
    assert not talk.errors and talk.of("response.done")[0]["response"]["status"] == "completed"


def test_nulls_are_the_session_s_own() -> None:
    talk = _talk()
    names = (
        "conversation",
        "metadata",
        "output_modalities",
        "instructions",
        "tools",
        "tool_choice",
        "audio",
        "input",
    )
    talk.say("response.create", response={name: None for name in names})
    talk.run(10)
    talk.say("response.create", response={"audio": {"output": {"voice": None, "format": None}}})
    talk.run(20)
    assert not talk.errors and len(talk.of("response.done")) == 2


def test_an_unknown_voice_of_the_session_is_refused() -> None:
    talk = _talk()
    talk.say("session.update", session={"audio": {"output": {"voice": "nobody"}}})
    assert (talk.errors[-1]["code"], talk.errors[-1]["param"]) == ("invalid_value", "session.audio.output.voice")
    assert not talk.of("session.updated")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "audio": st.fixed_dictionaries(
                {},
                optional={
                    "output": st.fixed_dictionaries(
                        {},
                        optional={
                            "voice": st.sampled_from(["alloy", "de", "amy"]),
                            "format": st.sampled_from(
                                [{"type": "audio/pcm", "rate": 24_000}, {"type": "audio/pcmu"}]
                            ),
                        },
                    )
                },
            ),
            "output_modalities": st.sampled_from([["text"], ["audio"]]),
            "max_output_tokens": st.sampled_from([7, "inf"]),
            "metadata": st.just({"a": "b"}),
            "instructions": st.just("Be a pirate."),
            "tools": st.just([TOOL]),
            "tool_choice": st.sampled_from(["none", "auto", {"type": "function", "name": "lamp"}]),
            "conversation": st.sampled_from(["auto", "none"]),
        },
    )
)
@settings(max_examples=40, deadline=None)
def test_what_is_told_of_a_response_is_what_was_done(wish: dict[str, Any]) -> None:
    if isinstance(wish.get("tool_choice"), dict):
        wish = {"tools": [TOOL], **wish}
    talk = _talk(instructions="Be brief.")
    talk.say("response.create", response=wish)
    talk.run(10)
    assert not talk.errors
    [done] = [event["response"] for event in talk.of("response.done")]
    [think] = _asked(talk, Think)
    output = {"voice": "alloy", "format": PCM}
    output |= wish.get("audio", {}).get("output", {})
    assert done["audio"]["output"] == output
    spoken = wish.get("output_modalities", ["audio"]) == ["audio"]
    assert done["output_modalities"] == (["audio"] if spoken else ["text"])
    assert bool(_audio(talk)) is spoken is bool(_asked(talk, Speak))
    assert done["max_output_tokens"] == wish.get("max_output_tokens", "inf")
    assert think.max_tokens == (7 if wish.get("max_output_tokens") == 7 else 1024)
    assert done["metadata"] == wish.get("metadata")
    assert think.messages[0].content == wish.get("instructions", "Be brief.")
    assert bool(think.tools) is ("tools" in wish)
    assert (done["conversation_id"] is None) is (wish.get("conversation") == "none")
    named = "default" if output["voice"] == "alloy" else output["voice"]
    assert {action.voice.voice_id for action in _asked(talk, Speak)} == ({named} if spoken else set())
    check(talk)


def test_the_names_that_the_installed_engine_takes_are_known() -> None:
    engine = ESPEAK.load(EngineConfig())
    known = Voices(voice.id for voice in engine.voices())
    for name in ("de", "en-us+f3", "EN-GB", "nope", "de2+f3", "default"):
        try:
            next(iter(engine.synthesize("hi", name, 1.0, None)))
            taken = True
        except Exception:
            taken = False
        if taken:
            known.check(name, None, "voice")
        else:
            with pytest.raises(RealtimeError):
                known.check(name, None, "voice")
    for name in ("amy", "amy#low", "low"):
        Voices(VOICES).check(name, None, "voice")


NOPE = {"type": "function", "name": "nope"}


@pytest.mark.parametrize("beside", [{}, {"conversation": "none", "output_modalities": ["text"]}])
@pytest.mark.parametrize(
    ("tools", "wish", "taken"),
    [
        ([TOOL], {"tool_choice": NOPE}, False),
        ([], {"tool_choice": "required"}, False),
        ([TOOL], {"tool_choice": "required", "tools": []}, False),
        ([], {"tool_choice": NOPE, "tools": [{**TOOL, "name": "nope"}]}, True),
        ([TOOL], {"tool_choice": "required"}, True),
        ([], {"tool_choice": "auto"}, True),
    ],
)
def test_a_tool_that_is_to_be_called_must_be_there(
    tools: list[dict[str, Any]], wish: dict[str, Any], taken: bool, beside: dict[str, Any]
) -> None:
    talk = RealtimeTalk(tools=tools)
    talk.say("conversation.item.create", item=HI)
    talk.say("response.create", response={**wish, **beside}, event_id="mine")
    talk.run(20)
    assert len(talk.of("response.done")) == taken
    assert [(error["code"], error["event_id"]) for error in talk.errors] == [("invalid_tool_choice", "mine")] * (
        not taken
    )
    talk.say("response.create")
    talk.run(40)
    assert len(talk.of("response.done")) == taken + 1
    check(talk)


def test_a_choice_of_the_session_that_cannot_be_made_is_the_model_s_own() -> None:
    talk = RealtimeTalk(tools=[TOOL], tool_choice=NOPE)
    talk.say("conversation.item.create", item=HI)
    talk.say("response.create")
    talk.run(20)
    [think] = [action for _, action in talk.actions if isinstance(action, Think)]
    assert think.tool_choice is None and len(think.tools) == 1


def test_a_commit_in_which_no_words_are_is_not_our_fault() -> None:
    talk = RealtimeTalk(audio={"input": {"turn_detection": None}})
    talk.append(500)
    talk.run(1.0)
    talk.say("input_audio_buffer.commit")
    talk.run(10)
    assert [(error["type"], error["code"]) for error in talk.errors] == [("invalid_request_error", "empty_request")]
    assert len(talk.of("conversation.item.deleted")) == 1
    check(talk)
