"""OpenAI's own Python client against /v1/audio/speech and /v1/audio/transcriptions."""

from __future__ import annotations

import base64
import io
import json
import wave

import av
import numpy as np
import openai
import pytest
from openai import OpenAI
from openai.types.audio import TranscriptionSegment

from tests.bench.utterances import RATE_HZ, utterances
from tests.scripted.process import ScriptedProcess
from voice.worker.encode import FORMATS


@pytest.fixture
def service(scripted_service: ScriptedProcess) -> ScriptedProcess:
    scripted_service.reset()
    scripted_service.script(stt_delay_ms=10, tts_delay_ms=10)
    return scripted_service


def _wav() -> bytes:
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(utterances(1)[0].pcm.astype("<i2").tobytes())
    return sink.getvalue()


@pytest.mark.parametrize("shape", FORMATS)
def test_speech_in_every_format(client: OpenAI, service: ScriptedProcess, shape: str) -> None:
    data = client.audio.speech.create(
        model="tts-1",
        voice="alloy",
        input="Twenty letters are it",
        response_format=shape,  # type: ignore[arg-type]
        speed=1.5,
    ).read()
    if shape == "pcm":
        seconds = len(data) / 2 / 24000
    else:
        with av.open(io.BytesIO(data)) as container:
            frames = list(container.decode(audio=0))
        seconds = sum(frame.samples for frame in frames) / frames[0].sample_rate
        assert max(float(np.abs(frame.to_ndarray()).max()) for frame in frames) > 0
    assert seconds == pytest.approx(21 * 0.06, abs=0.15)
    asked = service.requests("tts")[-1]["request"]
    assert asked["input"] == "Twenty letters are it" and asked["speed"] == 1.5


def test_a_voice_of_ones_own_and_what_is_left_open(client: OpenAI, service: ScriptedProcess) -> None:
    """OpenAI's form for such a voice is an object; null is the default."""
    open_fields = {"voice": {"id": "nova-of-mine"}, "speed": None, "language": None}
    client.audio.speech.create(model="tts-1", voice="alloy", input="hi", extra_body=open_fields).read()
    assert service.requests("tts")[-1]["request"]["voice"] == "nova-of-mine"


def test_speech_can_be_streamed(client: OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="default", input="hello " * 50, response_format="pcm"
    ) as response:
        pieces = list(response.iter_bytes(4096))
    assert sum(map(len, pieces)) > 24000


def test_speech_as_events(client: OpenAI) -> None:
    """LiveKit's default; who asks for it decodes what comes as it."""
    asked = {"model": "gpt-4o-mini-tts", "voice": "ash", "input": "Twenty letters are it", "response_format": "pcm"}
    with client.audio.speech.with_streaming_response.create(**asked, stream_format="sse") as response:  # type: ignore[arg-type]
        assert response.headers["content-type"].startswith("text/event-stream")
        *deltas, done = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    samples = sum(len(base64.b64decode(event["audio"])) for event in deltas) / 2
    assert samples / 24000 == pytest.approx(21 * 0.06, abs=0.15)
    assert done["type"] == "speech.audio.done" and done["usage"]["total_tokens"] == 0


def test_speech_as_events_that_cannot_be_made(client: OpenAI, service: ScriptedProcess) -> None:
    service.script(tts_fault={"kind": "error", "status": 500})
    with pytest.raises(openai.InternalServerError) as caught:
        client.audio.speech.create(model="tts-1", voice="alloy", input="hi", stream_format="sse")
    assert caught.value.code == "tts_failed"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": "a" * 5000}, "input"),
        ({"response_format": "vorbis"}, "response_format"),
        ({"speed": 9.0}, "speed"),
        ({"stream_format": "morse"}, "stream_format"),
        ({"extra_body": {"voice": 7}}, "voice"),
    ],
)
def test_what_cannot_be_spoken_names_its_field(client: OpenAI, fields: dict[str, object], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.speech.create(**{"model": "tts-1", "voice": "alloy", "input": "hi", **fields})  # type: ignore[arg-type]
    assert caught.value.param == param


def test_a_voice_that_fails_is_a_status(client: OpenAI, service: ScriptedProcess) -> None:
    service.script(tts_fault={"kind": "error", "status": 500})
    with pytest.raises(openai.InternalServerError) as caught:
        client.audio.speech.create(model="tts-1", voice="alloy", input="hi")
    assert caught.value.code == "tts_failed"


def test_transcripts(client: OpenAI, service: ScriptedProcess) -> None:
    heard = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", _wav()), language="en")
    assert heard.text == "what is the capital of france"
    text = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", _wav()), response_format="text")
    assert str(text).strip() == "what is the capital of france"
    verbose = client.audio.transcriptions.create(
        model="whisper-1", file=("a.wav", _wav()), response_format="verbose_json"
    )
    assert verbose.text == "what is the capital of france" and verbose.duration > 0.5
    assert verbose.segments and verbose.segments[0].start == 0.0
    TranscriptionSegment.model_validate(verbose.segments[0].to_dict())  # other clients refuse one that lacks a field


def test_times_of_words_alone(client: OpenAI) -> None:
    verbose = client.audio.transcriptions.create(
        model="whisper-1",
        file=("a.wav", _wav()),
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    assert verbose.segments is None and verbose.words is not None


def test_subtitles(client: OpenAI) -> None:
    lines = str(client.audio.transcriptions.create(model="whisper-1", file=("a.wav", _wav()), response_format="srt"))
    assert lines.startswith("1\n00:00:00,000 --> 00:00:0") and "what is the capital of france" in lines
    lines = str(client.audio.transcriptions.create(model="whisper-1", file=("a.wav", _wav()), response_format="vtt"))
    assert lines.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:0") and "what is the capital of france" in lines


def test_a_transcript_in_events(client: OpenAI) -> None:
    events = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", _wav()), stream=True)
    *deltas, done = events
    assert done.type == "transcript.text.done" and done.text == "what is the capital of france"
    assert "".join(event.delta for event in deltas if event.type == "transcript.text.delta") == done.text
    assert len(deltas) >= 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"file": ("a.wav", b"no sound")}, "file"),
        ({"file": ("a.m3u8", b"#EXTM3U\nfile:///etc/passwd\n")}, "file"),
        ({"response_format": "sung"}, "response_format"),
        ({"response_format": "srt", "stream": True}, "stream"),
        ({"timestamp_granularities": ["syllable"]}, "timestamp_granularities"),
    ],
)
def test_what_cannot_be_heard_names_its_field(client: OpenAI, fields: dict[str, object], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.transcriptions.create(**{"model": "whisper-1", "file": ("a.wav", _wav()), **fields})  # type: ignore[call-overload]
    assert caught.value.param == param


def test_a_recogniser_that_fails_is_a_status(client: OpenAI, service: ScriptedProcess) -> None:
    service.script(stt_fault={"kind": "error", "status": 500})
    with pytest.raises(openai.InternalServerError) as caught:
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", _wav()))
    assert caught.value.code == "stt_failed"
