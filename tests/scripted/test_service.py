"""The scripted service is a real OpenAI-compatible one: the stock SDK gets along with it, faults included."""

from __future__ import annotations

import io
import time
import urllib.error
import wave

import anyio
import httpx2
import openai
import pytest

from tests.scripted.process import ScriptedProcess


@pytest.fixture(name="service")
def _service(scripted_service: ScriptedProcess) -> ScriptedProcess:
    scripted_service.reset()
    return scripted_service


def _client(service: ScriptedProcess, timeout: float = 20.0) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=service.base_url, api_key="none", max_retries=0, timeout=timeout)


def _wav(seconds: float) -> io.BytesIO:
    data = io.BytesIO()
    with wave.open(data, "wb") as out:
        out.setparams((1, 2, 16000, 0, "NONE", ""))
        out.writeframes(b"\0\0" * round(16000 * seconds))
    data.name = "clip.wav"
    data.seek(0)
    return data


async def test_transcribes_in_turn(service: ScriptedProcess) -> None:
    service.script(transcripts=["one", "two"])
    async with _client(service) as client:
        heard = [
            (await client.audio.transcriptions.create(file=_wav(1), model="whisper-1", language="en")).text
            for _ in range(3)
        ]
    assert heard == ["one", "two", "two"]
    asked = service.requests("stt")[0]["request"]
    assert asked["bytes"] == 32044
    assert asked["language"] == "en"


async def test_transcribes_by_the_length_of_the_audio(service: ScriptedProcess) -> None:
    service.script(transcripts_by_length=[[1.5, "short"], [4, "long"]])
    async with _client(service) as client:
        heard = [
            (await client.audio.transcriptions.create(file=_wav(seconds), model="whisper-1")).text
            for seconds in (3, 1, 1, 9)
        ]
    assert heard == ["long", "short", "short", "long"]


async def test_streams_tokens_on_the_timetable(service: ScriptedProcess) -> None:
    service.script(replies=["one two three four"], first_token_ms=100, tokens_per_s=20)
    async with _client(service) as client:
        stream = await client.chat.completions.create(
            model="any",
            messages=[{"role": "user", "content": "count"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "one two three four"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 4
    [record] = service.requests("llm")
    # The timetable is a lower bound; how late a busy machine gets is nothing to assert.
    assert record["first_byte_s"] - record["at_s"] >= 0.0999
    assert record["end_s"] - record["at_s"] >= 0.2499


async def test_calls_a_tool_then_answers(service: ScriptedProcess) -> None:
    service.script(tool_calls=[["lamp", '{"on": true}']], replies=["It is on."])
    tools = [{"type": "function", "function": {"name": "lamp", "parameters": {"type": "object"}}}]
    messages: list = [{"role": "user", "content": "light please"}]
    async with _client(service) as client:
        first = (await client.chat.completions.create(model="any", messages=messages, tools=tools)).choices[0]
        assert first.finish_reason == "tool_calls"
        call = first.message.tool_calls[0]
        assert (call.function.name, call.function.arguments) == ("lamp", '{"on": true}')
        messages += [first.message, {"role": "tool", "tool_call_id": call.id, "content": "ok"}]
        second = (await client.chat.completions.create(model="any", messages=messages, tools=tools)).choices[0]
    assert second.message.content == "It is on."


async def test_speaks_wav_as_long_as_the_text(service: ScriptedProcess) -> None:
    service.script(tts_ms_per_character=50)
    async with _client(service) as client:
        answer = await client.audio.speech.create(model="tts-1", voice="alloy", input="x" * 20, response_format="wav")
    with wave.open(io.BytesIO(answer.content)) as clip:
        assert (clip.getframerate(), clip.getnchannels(), clip.getsampwidth()) == (24000, 1, 2)
        assert clip.getnframes() == 24000


async def test_notices_who_hangs_up(service: ScriptedProcess) -> None:
    service.script(replies=["word " * 200], tokens_per_s=20, first_token_ms=0)
    async with _client(service) as client:
        stream = await client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": "go on"}], stream=True
        )
        async for _ in stream:
            break
        await stream.close()
    with anyio.fail_after(60):
        while not service.requests("llm")[0]["hung_up"]:
            await anyio.sleep(0.02)
    assert service.requests("llm")[0]["pieces"] < 200


async def test_error_fault_counts_down(service: ScriptedProcess) -> None:
    service.script(stt_fault={"kind": "error", "status": 503, "times": 1})
    async with _client(service) as client:
        with pytest.raises(openai.InternalServerError, match="script says so"):
            await client.audio.transcriptions.create(file=_wav(0.1), model="whisper-1")
        again = await client.audio.transcriptions.create(file=_wav(0.1), model="whisper-1")
    assert again.text


async def test_reset_breaks_a_stream_in_the_middle(service: ScriptedProcess) -> None:
    service.script(replies=["one two three four"], llm_fault={"kind": "reset", "after": 2})
    got = []
    async with _client(service) as client:
        stream = await client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": "count"}], stream=True
        )
        with pytest.raises((openai.APIError, httpx2.HTTPError)):
            async for chunk in stream:
                got += [chunk]
    assert len(got) == 2


async def test_hang_never_answers(service: ScriptedProcess) -> None:
    service.script(tts_fault={"kind": "hang"})
    async with _client(service, timeout=0.5) as client:
        with pytest.raises(openai.APITimeoutError):
            await client.audio.speech.create(model="tts-1", voice="alloy", input="hello", response_format="pcm")


def test_wrong_script_is_refused(service: ScriptedProcess) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        service.script(stt_deley_ms=1)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        service.script(stt_fault={"kind": "explode"})


def test_clock_is_the_machine_s(service: ScriptedProcess) -> None:
    """The bench subtracts the service's times from its own."""
    before = time.monotonic()
    with pytest.raises(urllib.error.HTTPError):
        service._call("POST", "/v1/chat/completions", {})
    service._call("POST", "/v1/chat/completions", {"messages": []})
    [record] = service.requests("llm")
    assert before <= record["at_s"] <= time.monotonic()
