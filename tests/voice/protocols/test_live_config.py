"""A client's session configuration: what is forgiven, what is refused, and under which name."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from models import registry
from models.errors import BadInput
from voice.codecs import pcm
from voice.protocols.live_config import apply_update, describe, parse_config
from voice.session.config import (
    AudioConfig,
    LlmConfig,
    SessionConfig,
    TurnConfig,
    TurnDetection,
    VoiceConfig,
    WakeConfig,
)
from voice.settings import VoiceLlmSettings, VoiceSettings

SETTINGS = VoiceSettings(
    llm=VoiceLlmSettings(model="mini", system_prompt="Be brief.", temperature=0.3, max_tokens=99)
)
DEFAULT = SessionConfig(llm=LlmConfig(model="mini", system_prompt="Be brief.", temperature=0.3, max_tokens=99))


def test_an_empty_body_is_the_servers_default() -> None:
    assert parse_config({}, SETTINGS) == DEFAULT


def test_null_is_default_everywhere_but_in_turn_detection() -> None:
    sections = ("audio_config", "wake_word_config", "voice_config", "llm_config", "turn_config")
    assert parse_config(dict.fromkeys((*sections, "session_ttl_minutes", "record")), SETTINGS) == DEFAULT
    nulls = {
        "audio_config": {"input_format": None, "sample_rate": None},
        "llm_config": {"model": None, "tools": None},
    }
    assert parse_config(nulls, SETTINGS) == DEFAULT
    manual = parse_config({"turn_detection": None}, SETTINGS)
    assert manual == dataclasses.replace(DEFAULT, turn_detection=TurnDetection(type="none"))


def test_every_field() -> None:
    tool = {"type": "function", "function": {"name": "lamp", "parameters": {}}}
    body = {
        "audio_config": {
            "input_format": "PCM",
            "output_format": "mp3",
            "sample_rate": 48000,
            "allow_interrupt": False,
            "input_rate": 44100,
            "binary_audio": True,
        },
        "wake_word_config": {"enabled": True, "words": ["alexa", " alexa", "", "Hey Jarvis"], "mode": "Mid"},
        "voice_config": {"voice_id": "amy", "speed": 2, "language": "de"},
        "llm_config": {
            "model": "big",
            "system_prompt": "Sing.",
            "tools": [tool],
            "history_length": 4,
            "temperature": 0,
            "max_tokens": 5,
        },
        "turn_detection": {"type": "semantic_vad", "eagerness": "high", "threshold": 0.4, "create_response": True},
        "turn_config": {"barge_in": False, "follow_up_s": 3, "echo": "speaker"},
        "session_ttl_minutes": 20,
        "record": True,
        "a_field_of_tomorrow": {"x": 1},
    }
    assert parse_config(body, SETTINGS) == SessionConfig(
        audio=AudioConfig("pcm", "mp3", 48000, False, 44100, True),
        wake=WakeConfig(True, ("alexa", "Hey Jarvis"), "mid"),
        voice=VoiceConfig("amy", 2.0, "de"),
        llm=LlmConfig("big", "Sing.", (tool,), 4, 0.0, 5),
        turn_detection=TurnDetection("semantic_vad", 0.4, None, None, "high"),
        turn=TurnConfig(False, 3.0, "speaker"),
        ttl_minutes=20,
        record=True,
    )


def test_sloppy_clients() -> None:
    assert parse_config({"wake_word": {"enabled": True, "words": "alexa"}}, SETTINGS).wake.words == ("alexa",)
    assert parse_config({"llm_config": {"model": ""}}, SETTINGS).llm.model == "mini"
    assert parse_config({"turn_detection": {"interrupt_response": False}}, SETTINGS).turn.barge_in is False
    assert parse_config({"audio_config": {"bits": 16}}, SETTINGS) == DEFAULT


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"audio_config": {"input_format": "flac"}}, "audio_config.input_format"),
        ({"audio_config": {"output_format": "webm"}}, "audio_config.output_format"),
        ({"audio": {"sample_rate": "24000"}}, "audio.sample_rate"),
        ({"audio_config": {"sample_rate": 7999}}, "audio_config.sample_rate"),
        ({"audio_config": {"input_rate": 96000}}, "audio_config.input_rate"),
        ({"audio_config": {"allow_interrupt": 1}}, "audio_config.allow_interrupt"),
        ({"audio_config": []}, "audio_config"),
        ({"wake_word_config": {"enabled": True}}, "wake_word_config.words"),
        ({"wake_word_config": {"enabled": True, "words": ["", " "]}}, "wake_word_config.words"),
        ({"wake_word_config": {"words": [1]}}, "wake_word_config.words[0]"),
        ({"wake_word_config": {"mode": "after"}}, "wake_word_config.mode"),
        ({"voice_config": {"speed": 0}}, "voice_config.speed"),
        ({"voice_config": {"speed": float("nan")}}, "voice_config.speed"),
        ({"llm_config": {"temperature": 3}}, "llm_config.temperature"),
        ({"llm_config": {"history_length": -1}}, "llm_config.history_length"),
        ({"llm_config": {"model": 7}}, "llm_config.model"),
        ({"llm_config": "mini"}, "llm_config"),
        ({"llm_config": {"tools": [{"type": "function"}]}}, "llm_config.tools[0]"),
        ({"llm_config": {"tools": ["lamp"]}}, "llm_config.tools[0]"),
        ({"turn_detection": {"type": "psychic"}}, "turn_detection.type"),
        ({"turn_detection": "server_vad"}, "turn_detection"),
        ({"turn_detection": {"silence_duration_ms": -5}}, "turn_detection.silence_duration_ms"),
        ({"turn_config": {"echo": "loud"}}, "turn_config.echo"),
        ({"session_ttl_minutes": 4}, "session_ttl_minutes"),
        ({"session_ttl_minutes": 21}, "session_ttl_minutes"),
        ({"record": "yes"}, "record"),
    ],
)
def test_wrong_values_are_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_config(body, SETTINGS)
    assert caught.value.param == param
    assert param in str(caught.value) or caught.value.hint


def test_the_formats_are_those_of_the_codecs_that_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A codec of another package is heard and spoken without a list that names it."""
    source = Path(pcm.__file__).read_text(encoding="utf-8").replace('name="pcm"', 'name="loud_pcm"')
    (tmp_path / "loud_pcm.py").write_text(source, encoding="utf-8")
    about = tmp_path / "loud_pcm-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: loud-pcm\nVersion: 1\n", encoding="utf-8")
    (about / "entry_points.txt").write_text("[voice.codecs]\nloud_pcm = loud_pcm:SPEC\n", encoding="utf-8")
    audio = {"audio_config": {"input_format": "loud_pcm", "output_format": "loud_pcm"}}
    with pytest.raises(BadInput, match="the formats are .*webm"):
        parse_config(audio, SETTINGS)
    monkeypatch.syspath_prepend(tmp_path)
    registry._found.cache_clear()
    try:
        config = parse_config(audio, SETTINGS).audio
    finally:
        registry._found.cache_clear()
    assert (config.input_format, config.output_format) == ("loud_pcm", "loud_pcm")


def test_a_secret_in_a_wrong_field_stays_out_of_the_message() -> None:
    with pytest.raises(BadInput) as caught:
        parse_config({"audio_config": {"sample_rate": "sk-very-secret"}}, SETTINGS)
    assert "secret" not in str(caught.value)


def test_the_body_must_be_an_object() -> None:
    with pytest.raises(BadInput):
        parse_config([1], SETTINGS)  # type: ignore[arg-type]


def test_update_changes_what_it_names() -> None:
    config = parse_config(
        {"voice_config": {"voice_id": "amy", "speed": 1.5}, "llm_config": {"model": "big"}}, SETTINGS
    )
    config = dataclasses.replace(config, record=True)
    changed = apply_update(config, {"voice_config": {"speed": 2.0}, "record": True})
    assert changed == dataclasses.replace(config, voice=VoiceConfig("amy", 2.0, "auto"))
    assert apply_update(changed, {"voice": None}).voice == VoiceConfig()
    silent = apply_update(changed, {"record": None})
    assert silent.record is False
    with pytest.raises(BadInput, match="middle of a session"):
        apply_update(silent, {"record": True})


def test_update_of_turn_detection() -> None:
    config = parse_config({"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}, SETTINGS)
    manual = apply_update(config, {"turn_detection": None})
    assert manual.turn_detection == TurnDetection(type="none")
    back = apply_update(manual, {"turn_detection": {"type": "server_vad"}})
    assert back.turn_detection == TurnDetection()
    tuned = apply_update(config, {"turn_detection": {"threshold": 0.7}})
    assert tuned.turn_detection == TurnDetection(threshold=0.7, silence_duration_ms=300)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"voice_speed": 2},
        {"voice_config": {"speed": "fast"}},
        {"voice_config": 3},
        {"wake_word": {"enabled": True}},
    ],
)
def test_bad_updates_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        apply_update(DEFAULT, fields)


def test_describe_can_be_sent_back() -> None:
    body = {"wake_word_config": {"enabled": True, "words": ["alexa"]}, "turn_detection": None}
    config = parse_config(body, SETTINGS)
    told = describe(config)
    assert told["audio"]["output_format"] == "opus"
    assert told["wake_word"] == {"enabled": True, "words": ["alexa"], "mode": "pre"}
    assert told["turn_detection"] is None
    assert "Be brief." not in str(told)
    assert parse_config(told, SETTINGS) == config
