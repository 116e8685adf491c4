"""The live protocol, frame by frame, as older and newer clients write it."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from voice.errors import FrameTooLarge, ProtocolError
from voice.port import Pcm
from voice.protocols.live import MAX_FRAME_BYTES, LiveCodec
from voice.session.config import AudioConfig, SessionConfig
from voice.session.incoming import (
    Clear,
    ClientEvent,
    Close,
    ContainerAudio,
    EndTurn,
    Interrupt,
    Ping,
    Played,
    RawAudio,
    ToolResult,
    Update,
)
from voice.session.outgoing import (
    AudioOut,
    ErrorOut,
    Interrupted,
    Pong,
    Ready,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    StateOut,
    TextOut,
    ToolCallOut,
    TranscriptOut,
    TurnComplete,
    WakeLost,
    WakeOut,
    WakeWordRequired,
)

BYTES = bytes(range(256))
B64 = base64.b64encode(BYTES).decode()


def codec(**audio: Any) -> LiveCodec:
    return LiveCodec(SessionConfig(audio=AudioConfig(**audio)))


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"type": "audio", "audio": B64}, ContainerAudio(BYTES)),
        ({"type": "audio", "audio": B64, "transcript": "hi", "is_final": True}, ContainerAudio(BYTES, "hi", True)),
        ({"type": "audio", "audio": None, "transcript": None, "is_final": None}, ContainerAudio(b"")),
        ({"type": "audio", "audio": "data:audio/webm;codecs=opus;base64," + B64}, ContainerAudio(BYTES)),
        ({"type": "audio", "audio": base64.urlsafe_b64encode(BYTES).decode().rstrip("=")}, ContainerAudio(BYTES)),
        ({"type": "audio", "audio": B64[:76] + "\n" + B64[76:]}, ContainerAudio(BYTES)),
        ({"type": "end_turn", "transcript": "what time is it"}, EndTurn("what time is it")),
        ({"type": "end_turn"}, EndTurn()),
        ({"type": "end_turn", "transcript": None}, EndTurn()),
        ({"type": "end_turn", "transcript": "  "}, EndTurn()),
        ({"type": "interrupt", "reason": "a newer field"}, Interrupt()),
        ({"type": "ping"}, Ping()),
        ({"type": "close"}, Close()),
        ({"type": "clear"}, Clear()),
        ({"type": "played", "reply": "r1", "ms": 120}, Played("r1", 120.0)),
        ({"type": "update", "voice_config": {"speed": 2}}, Update({"voice_config": {"speed": 2}})),
        ({"type": "update", "config": {"record": True}}, Update({"record": True})),
        ({"type": "tool_result", "call_id": "c", "output": "ok"}, ToolResult("c", "ok")),
        ({"type": "tool_result", "call_id": "c", "output": {"on": True}}, ToolResult("c", '{"on": true}')),
    ],
)
def test_client_messages(message: dict[str, Any], event: ClientEvent) -> None:
    assert codec().event(json.dumps(message)) == event


def test_binary_frames_are_samples() -> None:
    assert codec().event(b"\1\2\3\4") == RawAudio(b"\1\2\3\4")
    assert codec().event(b"") == RawAudio(b"")


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "[]",
        "null",
        '"ping"',
        "{}",
        '{"type": null}',
        '{"type": 3}',
        '{"type": "sing"}',
        '{"type": ["ping"]}',
        '{"type": "audio", "audio": 5}',
        '{"type": "audio", "audio": "%%%"}',
        '{"type": "audio", "audio": "AAAAA"}',
        '{"type": "audio", "audio": "", "is_final": "yes"}',
        '{"type": "end_turn", "transcript": ["hi"]}',
        '{"type": "played", "ms": 3}',
        '{"type": "played", "reply": "r"}',
        '{"type": "played", "reply": "r", "ms": true}',
        '{"type": "played", "reply": "r", "ms": -1}',
        '{"type": "played", "reply": "r", "ms": NaN}',
        '{"type": "played", "reply": "r", "ms": 1e999}',
        '{"type": "played", "reply": "r", "ms": ' + "9" * 400 + "}",
        '{"type": "played", "reply": "r", "ms": ' + "9" * 5000 + "}",
        '{"type": "tool_result", "output": "x"}',
        '{"type": "tool_result", "call_id": "c"}',
        '{"type": "update", "config": 3}',
        "[" * 100_000,
        b"\1",
        b"123",
    ],
)
def test_ill_formed_frames_are_named_errors(frame: str | bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        codec().event(frame)
    assert caught.value.code == "invalid_message"
    assert caught.value.hint or caught.value.param


def test_giant_frames() -> None:
    with pytest.raises(FrameTooLarge):
        codec().event(bytes(MAX_FRAME_BYTES + 2))
    with pytest.raises(FrameTooLarge):
        codec().event(json.dumps({"type": "ping", "x": "y" * MAX_FRAME_BYTES}))
    with pytest.raises(FrameTooLarge):
        codec().event('{"type": "ping", "x": "' + "é" * (MAX_FRAME_BYTES // 2) + '"}')
    assert codec().event(bytes(MAX_FRAME_BYTES)) == RawAudio(bytes(MAX_FRAME_BYTES))


def test_half_a_surrogate_pair_does_not_travel_on() -> None:
    event = codec().event('{"type": "end_turn", "transcript": "a\\ud800b"}')
    assert event == EndTurn("a\ufffdb")


COMPLETE = TurnComplete("r1", "in", "out", "heard", ("lamp",), True, 7, 9, 0.25, 512.34, {"first_audio": 512.34})


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            Ready("live-x", {"audio": {}, "wake_word": {}, "voice": {}}),
            {"type": "ready", "session_token": "live-x", "config": {"audio": {}, "wake_word": {}, "voice": {}}},
        ),
        (
            TranscriptOut("hé", True),
            {"type": "transcript", "text": "hé", "is_input": True, "is_final": True, "is_request": True},
        ),
        (TextOut("r1", "ab"), {"type": "text", "text": "ab", "is_final": False, "reply": "r1"}),
        (
            COMPLETE,
            {
                "type": "turn_complete",
                "input_transcript": "in",
                "output_transcript": "out",
                "tools_called": ["lamp"],
                "interrupted": True,
                "usage": {"tokens_in": 7, "tokens_out": 9},
                "cost": 0.25,
                "latency_ms": 512.3,
                "reply": "r1",
                "heard_transcript": "heard",
                "latency": {"first_audio": 512.3},
            },
        ),
        (Interrupted("r1", "he"), {"type": "interrupted", "partial_output": "he", "reply": "r1"}),
        (WakeWordRequired("say it"), {"type": "wake_word_required", "message": "say it"}),
        (
            WakeLost("alexa", 2.5),
            {
                "type": "wake_lost",
                "word": "alexa",
                "at_s": 2.5,
                "message": "another of your devices heard the wake word better and answers",
            },
        ),
        (ErrorOut("c", "m", "h"), {"type": "error", "message": "m", "code": "c", "hint": "h"}),
        (Pong(), {"type": "pong"}),
        (SpeechStarted(1.5), {"type": "speech_started", "at_s": 1.5}),
        (SpeechStopped(2.5), {"type": "speech_stopped", "at_s": 2.5}),
        (WakeOut("alexa", 0.9, 1.0), {"type": "wake", "word": "alexa", "score": 0.9, "at_s": 1.0}),
        (StateOut("paused"), {"type": "state", "state": "paused"}),
        (
            ToolCallOut("c", "lamp", "{}", "r1"),
            {"type": "tool_call", "call_id": "c", "name": "lamp", "arguments": "{}", "reply": "r1"},
        ),
    ],
)
def test_server_messages(event: ServerEvent, message: dict[str, Any]) -> None:
    frames = codec().send(event)
    assert [json.loads(frame) for frame in frames] == [message]
    assert all(isinstance(frame, str) for frame in frames)


def tone(samples: int) -> Pcm:
    wave: Pcm = (8000 * np.sin(np.arange(samples) / 10)).astype(np.int16)
    return wave


def test_audio_is_base64_in_the_sessions_format() -> None:
    live = codec(output_format="pcm", sample_rate=24000)
    pcm = tone(480)
    (frame,) = live.send(AudioOut("r1", pcm, 24000, "Hello,", True))
    message = json.loads(frame)
    assert message["type"] == "audio"
    assert message["format"] == "pcm"
    assert message["text"] == "Hello,"
    assert message["reply"] == "r1"
    assert base64.b64decode(message["audio"]) == pcm.tobytes()


@pytest.mark.parametrize(("output_format", "magic"), [("opus", b"OggS"), ("wav", b"RIFF"), ("mp3", b"\xff")])
def test_every_message_is_a_file_of_its_own(output_format: str, magic: bytes) -> None:
    live = codec(output_format=output_format)
    for _ in range(3):
        (frame,) = live.send(AudioOut("r1", tone(2400), 24000, "Hi.", False))
        assert base64.b64decode(json.loads(frame)["audio"]).startswith(magic)
    assert live.send(AudioOut("r1", tone(0), 24000, "Hi.", False, is_last=True)) == []


def test_binary_audio_is_announced_by_clause_and_ended() -> None:
    live = codec(output_format="pcm", binary_audio=True)
    pcm = tone(100)
    mark, samples = live.send(AudioOut("r1", pcm, 24000, "Hi.", True, text_end=4))
    assert json.loads(mark) == {
        "type": "audio",
        "audio": "",
        "binary": True,
        "format": "pcm",
        "text": "Hi.",
        "reply": "r1",
        "sample_rate": 24000,
        "text_end": 4,
    }
    assert samples == pcm.tobytes()
    assert live.send(AudioOut("r1", pcm, 24000, "Hi.", False)) == [pcm.tobytes()]
    *_, end = live.send(AudioOut("r1", tone(0), 24000, "Hi.", False, is_last=True))
    assert json.loads(end)["is_last"] is True
    assert json.loads(end)["reply"] == "r1"


def test_binary_audio_needs_pcm() -> None:
    (frame,) = codec(output_format="wav", binary_audio=True).send(AudioOut("r1", tone(100), 24000, "Hi.", True))
    assert isinstance(frame, str)


def test_other_rates_are_converted_without_losing_samples() -> None:
    live = codec(output_format="pcm", sample_rate=16000, binary_audio=True)
    sent = b""
    for index in range(10):
        frames = live.send(AudioOut("r1", tone(2205), 22050, "Hi.", index == 0, is_last=index == 9))
        sent += b"".join(frame for frame in frames if isinstance(frame, bytes))
    assert abs(len(sent) // 2 - 16000) <= 1
    # The next reply is a new stream.
    assert live.send(AudioOut("r2", tone(2205), 22050, "Yo.", True))


def test_config_takes_effect_with_the_next_frame() -> None:
    live = codec(output_format="wav")
    live.config = dataclasses.replace(live.config, record=True)
    assert live.config.record
    live.config = dataclasses.replace(live.config, audio=AudioConfig(output_format="mp3"))
    (frame,) = live.send(AudioOut("r1", tone(2400), 24000, "Hi.", True))
    assert json.loads(frame)["format"] == "mp3"
