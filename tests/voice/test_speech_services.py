"""OpenAI-compatible speech services, by the scripted service over real HTTP: right, wrong, slow and gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import anyio
import numpy as np
import pytest

from models.errors import BadInput
from tests.ports import free_port
from tests.scripted.process import ScriptedProcess
from voice.errors import AudioError, SttFailed, TtsFailed
from voice.port import SpeakRequest, SpeechChunk, Transcript
from voice.settings import SpeechServiceSettings
from voice.stt.openai import OpenAiStt
from voice.tts.openai import OpenAiTts

SPEECH = np.random.default_rng(0).integers(-9000, 9000, 24_000).astype(np.int16)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def settings(scripted_service: ScriptedProcess) -> SpeechServiceSettings:
    scripted_service.reset()
    scripted_service.script(stt_delay_ms=5, tts_delay_ms=5)
    return SpeechServiceSettings(
        engine="openai", base_url=scripted_service.base_url, model="m-1", voice="nova", timeout_s=60, api_key="sk-x"
    )


async def transcribe(http: aiohttp.ClientSession, settings: SpeechServiceSettings) -> Transcript:
    stream = await OpenAiStt(http, settings).open("en")
    await stream.feed(SPEECH[:10_000])
    await stream.feed(SPEECH[10_000:])
    try:
        return await stream.transcribe()
    finally:
        await stream.aclose()


async def speak(http: aiohttp.ClientSession, settings: SpeechServiceSettings, text: str = "hi") -> list[SpeechChunk]:
    return [chunk async for chunk in OpenAiTts(http, settings).speak(SpeakRequest(text))]


async def test_a_recording_is_sent_and_its_text_comes_back(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings, scripted_service: ScriptedProcess
) -> None:
    assert (await transcribe(http, settings)).text == "what is the capital of france"
    [asked] = scripted_service.requests("stt")
    assert asked["request"]["model"] == "m-1"
    assert asked["request"]["language"] == "en"
    assert asked["request"]["bytes"] == 44 + 2 * len(SPEECH)


async def test_a_stream_can_be_asked_twice_and_goes_on(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings, scripted_service: ScriptedProcess
) -> None:
    scripted_service.script(transcripts=["one", "one two"])
    stream = await OpenAiStt(http, settings).open(None)
    await stream.feed(SPEECH)
    assert (await stream.transcribe()).text == "one"
    await stream.feed(SPEECH)
    assert (await stream.transcribe()).text == "one two"
    assert await stream.partial() is None
    first, second = scripted_service.requests("stt")
    assert second["request"]["bytes"] - first["request"]["bytes"] == 2 * len(SPEECH)
    assert "language" not in first["request"]


async def test_less_than_a_word_is_not_sent(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings, scripted_service: ScriptedProcess
) -> None:
    stream = await OpenAiStt(http, settings).open(None)
    await stream.feed(SPEECH[:1000])
    assert (await stream.transcribe()).text == ""
    assert scripted_service.requests("stt") == []
    with pytest.raises(AudioError):
        await stream.feed(np.zeros(3, np.float64))


async def test_a_long_turn_is_sent_whole(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings, scripted_service: ScriptedProcess
) -> None:
    stream = await OpenAiStt(http, settings).open(None)
    for _ in range(60):
        await stream.feed(SPEECH)
    assert (await stream.transcribe()).text
    assert scripted_service.requests("stt")[0]["request"]["bytes"] == 44 + 120 * len(SPEECH)


@pytest.mark.parametrize("kind", ["error", "reset", "garbage", "hang", "trickle"])
async def test_a_failing_recogniser_is_an_error_with_a_hint(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings, scripted_service: ScriptedProcess, kind: str
) -> None:
    scripted_service.script(stt_fault={"kind": kind})
    with pytest.raises(SttFailed) as error:
        await transcribe(http, replace(settings, timeout_s=0.5))
    assert error.value.hint
    assert error.value.retryable


@pytest.mark.parametrize(("status", "kind"), [(401, SttFailed), (429, SttFailed), (400, BadInput), (404, SttFailed)])
async def test_what_the_status_means(
    http: aiohttp.ClientSession,
    settings: SpeechServiceSettings,
    scripted_service: ScriptedProcess,
    status: int,
    kind: type[Exception],
) -> None:
    scripted_service.script(stt_fault={"kind": "error", "status": status})
    with pytest.raises(kind, match="the script says so"):
        await transcribe(http, settings)


async def test_nobody_there(http: aiohttp.ClientSession, settings: SpeechServiceSettings) -> None:
    gone = replace(settings, base_url=f"http://127.0.0.1:{free_port()}/v1")
    with pytest.raises(SttFailed, match="nobody answers") as stt_error:
        await transcribe(http, gone)
    assert gone.base_url in stt_error.value.hint
    with pytest.raises(TtsFailed, match="nobody answers"):
        await speak(http, gone)


async def test_speech_comes_while_it_is_made(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings, scripted_service: ScriptedProcess
) -> None:
    scripted_service.script(tts_ms_per_character=100)
    chunks = await speak(http, settings, "twenty characters ok")
    assert sum(len(chunk.pcm) for chunk in chunks) == 48_000
    assert {chunk.rate_hz for chunk in chunks} == {24_000}
    [asked] = scripted_service.requests("tts")
    assert asked["request"] == {
        "model": "m-1",
        "input": "twenty characters ok",
        "voice": "nova",
        "response_format": "pcm",
        "speed": 1.0,
    }


async def test_the_voice_of_the_request_wins_and_speed_is_kept_in_range(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings, scripted_service: ScriptedProcess
) -> None:
    async for _ in OpenAiTts(http, settings).speak(SpeakRequest("hi", voice="echo", speed=99)):
        pass
    asked = scripted_service.requests("tts")[0]["request"]
    assert (asked["voice"], asked["speed"]) == ("echo", 4.0)


async def test_nothing_to_say_asks_nobody(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings, scripted_service: ScriptedProcess
) -> None:
    [chunk] = await speak(http, settings, " \n")
    assert len(chunk.pcm) == 0
    assert scripted_service.requests("tts") == []


@pytest.mark.parametrize("kind", ["error", "reset", "hang", "trickle"])
async def test_a_failing_voice_is_an_error_with_a_hint(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings, scripted_service: ScriptedProcess, kind: str
) -> None:
    scripted_service.script(tts_fault={"kind": kind})
    with pytest.raises(TtsFailed) as error:
        await speak(http, replace(settings, timeout_s=0.5), "a sentence of some length")
    assert error.value.hint
    assert error.value.retryable


async def test_a_voice_that_breaks_off_is_an_error_after_what_it_said(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings, scripted_service: ScriptedProcess
) -> None:
    scripted_service.script(tts_fault={"kind": "reset", "after": 2}, tts_ms_per_character=200)
    heard = 0
    with pytest.raises(TtsFailed):
        async for chunk in OpenAiTts(http, settings).speak(SpeakRequest("a sentence")):
            heard += len(chunk.pcm)
    assert 0 <= heard < 48_000


async def test_a_listener_who_leaves_hangs_up(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings, scripted_service: ScriptedProcess
) -> None:
    scripted_service.script(tts_ms_per_character=10_000)  # more than fits into the buffers between us
    speech = OpenAiTts(http, settings).speak(SpeakRequest("quite a long sentence"))
    assert len((await anext(speech)).pcm)
    await speech.aclose()
    with anyio.fail_after(60):
        while not scripted_service.requests("tts")[0]["hung_up"]:
            await anyio.sleep(0.02)


# ---- services with habits of their own ----------------------------------------------------------------------


@asynccontextmanager
async def answering(*answers: bytes, close_after_each: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server of raw bytes: the nth request gets the nth answer. Gives its base URL and the requests it got."""
    seen: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while len(seen) < len(answers):
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if b"content-length" in x), 0
                )
                seen.append(await reader.readexactly(length))
                writer.write(answers[len(seen) - 1])
                await writer.drain()
                if close_after_each:
                    await reader.read(1)  # the next request has begun: hang up on it
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", seen
    finally:
        server.close()
        for writer in writers:
            writer.close()


def http_answer(body: bytes, kind: str = "application/json", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def wav_of(pcm: np.ndarray, rate_hz: int) -> bytes:  # type: ignore[type-arg]
    header = b"RIFF\xff\xff\xff\xffWAVEfmt " + (16).to_bytes(4, "little") + b"\x01\x00\x01\x00"
    header += rate_hz.to_bytes(4, "little") + (2 * rate_hz).to_bytes(4, "little") + b"\x02\x00\x10\x00"
    return header + b"data\xff\xff\xff\xff" + pcm.astype("<i2").tobytes()


async def test_a_kept_connection_that_closes_is_replaced(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings
) -> None:
    body = http_answer(b'{"text":"yes"}')
    async with answering(body, body, body, close_after_each=True) as (url, seen):
        stream = await OpenAiStt(http, replace(settings, base_url=url)).open(None)
        await stream.feed(SPEECH)
        assert (await stream.transcribe()).text == "yes"
        assert (await stream.transcribe()).text == "yes"  # over a connection the server has just left
        assert len(seen) == 2


async def test_a_service_without_pcm_is_asked_for_wav_from_then_on(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings
) -> None:
    refusal = http_answer(b'{"error":{"message":"pcm is not supported"}}', status="400 Bad Request")
    song = http_answer(wav_of(SPEECH, 22_050), "audio/wav")
    async with answering(refusal, song, song) as (url, seen):
        tts = OpenAiTts(http, replace(settings, base_url=url))
        for _ in range(2):
            chunks = [chunk async for chunk in tts.speak(SpeakRequest("hi"))]
            assert {chunk.rate_hz for chunk in chunks} == {22_050}
            assert np.array_equal(np.concatenate([chunk.pcm for chunk in chunks]), SPEECH)
        assert [b'"pcm"' in body for body in seen] == [True, False, False]


async def test_wav_that_comes_for_pcm_is_understood(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings
) -> None:
    async with answering(http_answer(wav_of(SPEECH, 16_000), "audio/pcm")) as (url, _):
        chunks = await speak(http, replace(settings, base_url=url))
    assert chunks[0].rate_hz == 16_000


@pytest.mark.parametrize("head", [b"ID3\x04", b"OggS", b"fLaC"])
async def test_other_files_are_an_error_and_not_noise(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings, head: bytes
) -> None:
    async with answering(http_answer(head + bytes(5000), "audio/mpeg")) as (url, _):
        with pytest.raises(TtsFailed, match="cannot be used"):
            await speak(http, replace(settings, base_url=url))


async def test_mp3_without_a_head_is_known_by_its_type_and_first_frame(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings
) -> None:
    frame = b"\xff\xfb\x90\x00" + bytes(5000)
    async with answering(http_answer(frame, "audio/mpeg"), http_answer(frame, "audio/pcm")) as (url, _):
        with pytest.raises(TtsFailed, match="cannot be used"):
            await speak(http, replace(settings, base_url=url))
        assert await speak(http, replace(settings, base_url=url)), "PCM may begin with any bytes"


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/json", "application/problem+json"])
async def test_a_page_is_an_error_and_not_noise(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings, kind: str
) -> None:
    async with answering(http_answer(b"<html>sign in, please</html>", kind)) as (url, _):
        with pytest.raises(TtsFailed, match="and no audio"):
            await speak(http, replace(settings, base_url=url))


async def test_half_a_sample_at_the_end_is_left_out(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings
) -> None:
    async with answering(http_answer(SPEECH.astype("<i2").tobytes()[:-1], "audio/pcm")) as (url, _):
        chunks = await speak(http, replace(settings, base_url=url))
    assert sum(len(chunk.pcm) for chunk in chunks) == len(SPEECH) - 1


@pytest.mark.parametrize("body", [b"hello", b"[]", b"{}", b'{"text":5}', b"null", b""])
async def test_answers_without_a_text_are_an_error(
    http: aiohttp.ClientSession, settings: SpeechServiceSettings, body: bytes
) -> None:
    async with answering(http_answer(body)) as (url, _):
        with pytest.raises(SttFailed, match="no text"):
            await transcribe(http, replace(settings, base_url=url))
