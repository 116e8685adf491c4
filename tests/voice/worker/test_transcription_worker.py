"""A recogniser's worker process: OpenAI's endpoint, live streams, and clients that vanish."""

from __future__ import annotations

import io
import json
import os
import signal
import wave
from collections.abc import AsyncIterator, Iterator

import aiohttp
import anyio
import numpy as np
import openai
import pytest

from models.errors import BadInput
from models.recipes.whisper_mini.fit import spoken
from tests.speech_models import PARTIALS, whisper_mini
from tests.speech_worker import SpeechWorker, running_worker
from voice.errors import AudioError, SttFailed
from voice.port import Pcm
from voice.stt.remote import RemoteStt


@pytest.fixture(scope="module")
def worker() -> Iterator[SpeechWorker]:
    options = {"word_times": "true"} | PARTIALS
    given = [part for name, value in options.items() for part in ("--option", f"{name}={value}")]
    with running_worker("stt", "faster_whisper", whisper_mini(), *given) as worker:
        yield worker


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def stt(http: aiohttp.ClientSession, worker: SpeechWorker) -> RemoteStt:
    return RemoteStt(http, worker.address, "faster_whisper", streaming=True, timeout_s=60)


def said(word: str) -> Pcm:
    pad = np.zeros(8000, np.float32)
    return (np.concatenate([pad, spoken(word, "en-us", 165, 45), pad]) * 32_000).astype(np.int16)


def wav(pcm: Pcm) -> bytes:
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(pcm.tobytes())
    return sink.getvalue()


def test_the_openai_client_gets_transcripts(worker: SpeechWorker) -> None:
    file = ("a.wav", wav(said("music")))
    with openai.OpenAI(base_url=worker.base_url + "/v1", api_key="any", max_retries=0) as client:
        assert client.audio.transcriptions.create(model="whisper-1", file=file).text == "music"
        text = client.audio.transcriptions.create(model="whisper-1", file=file, response_format="text")
        assert str(text).strip() == "music"
        full = client.audio.transcriptions.create(model="whisper-1", file=file, response_format="verbose_json")
    assert (full.text, full.language) == ("music", "english")
    assert full.words is not None
    assert full.words[0].word == "music"
    assert 0 <= full.words[0].start < full.words[0].end <= float(full.duration)


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example:4821"}]
)
async def test_web_pages_are_kept_away(
    worker: SpeechWorker, http: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    """Which a browser on this machine lets open WebSockets to any port, and posts for."""
    async with http.get(worker.base_url + "/health", headers=headers) as answer:
        assert answer.status == 403 and (await answer.json())["error"]["code"] == "forbidden"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(worker.base_url + "/v1/audio/transcriptions/stream", headers=headers)
    assert refused.value.status == 403


async def test_a_long_file_is_heard_in_windows_with_the_times_of_the_whole(
    worker: SpeechWorker, http: aiohttp.ClientSession
) -> None:
    quiet = np.zeros(33 * 16_000, np.int16)
    form = aiohttp.FormData()
    data = io.BytesIO(wav(np.concatenate([said("music"), quiet, said("seven")])))
    form.add_field("file", data, filename="a.wav")
    form.add_field("response_format", "verbose_json")
    async with http.post(worker.base_url + "/v1/audio/transcriptions", data=form) as answer:
        body = await answer.json()
    assert body["text"] == "music seven"
    assert [word["word"] for word in body["words"]] == ["music", "seven"]
    assert body["words"][1]["start"] > 28
    assert body["segments"][-1]["end"] == pytest.approx(body["duration"], abs=0.01)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({}, "invalid_request", "file"),
        ({"file": "text"}, "invalid_request", "file"),
        ({"file": b"no audio"}, "invalid_audio", "file"),
        ({"file": b"", "response_format": "sung"}, "invalid_request", "response_format"),
        ({"file": wav(np.zeros(16_000, np.int16)), "language": "klingon"}, "invalid_request", "language"),
    ],
)
async def test_bad_requests_are_openais_errors(
    worker: SpeechWorker, http: aiohttp.ClientSession, fields: dict[str, str | bytes], code: str, param: str
) -> None:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("model", "whisper-1")
    for name, value in fields.items():
        if isinstance(value, bytes):
            form.add_field(name, value, filename="a.wav")
        else:
            form.add_field(name, value)
    async with http.post(worker.base_url + "/v1/audio/transcriptions", data=form) as answer:
        assert answer.status == 400
        error = (await answer.json())["error"]
    assert (error["code"], error["param"]) == (code, param)


async def test_a_live_stream_is_asked_again_and_again(stt: RemoteStt) -> None:
    stream = await stt.open("en")
    audio = said("music")
    for start in range(0, len(audio), 320):
        await stream.feed(audio[start : start + 320])
    first = await stream.transcribe()
    assert (first.text, first.words[0].text) == ("music", "music")
    await stream.feed(np.zeros(320, np.int16))
    assert (await stream.transcribe()).text == "music"
    await stream.aclose()


async def test_an_answer_nobody_waits_for_is_not_given_to_the_next_question(stt: RemoteStt) -> None:
    stream = await stt.open("en")
    await stream.feed(said("yes"))
    for _ in range(5):
        with anyio.move_on_after(0.005):
            await stream.transcribe()
    assert await stream.partial() == ""
    assert (await stream.transcribe()).text == "yes"
    await stream.aclose()


async def test_partial_transcripts_come_while_somebody_speaks(stt: RemoteStt) -> None:
    """Of two at once, each its own."""

    async def listen(word: str) -> None:
        stream = await stt.open("en")
        audio = np.concatenate([np.zeros(8000, np.int16), said(word)])
        now = np.flatnonzero(np.abs(audio) > 6000)[-1] - 160
        await stream.feed(audio[:now])
        with anyio.fail_after(60):
            while not (text := await stream.partial()):
                await stream.feed(audio[now : now + 1])  # a partial one is made when more comes
                now += 1
                await anyio.sleep(0.01)
        assert text == word
        await stream.feed(audio[now:])
        assert (await stream.transcribe()).text == word
        await stream.aclose()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen, "music")
        tasks.start_soon(listen, "hello")


async def test_streams_at_once_hear_their_own(stt: RemoteStt) -> None:
    async def listen(word: str) -> None:
        stream = await stt.open("en")
        await stream.feed(said(word))
        assert (await stream.transcribe()).text == word
        await stream.aclose()

    async with anyio.create_task_group() as tasks:
        for word in ("yes", "lights", "music", "seven", "hello", "yes", "lights", "music"):
            tasks.start_soon(listen, word)


async def test_a_language_that_is_not_there_is_the_callers_error(stt: RemoteStt) -> None:
    stream = await stt.open("klingon")
    with pytest.raises((BadInput, SttFailed)) as error:
        await stream.transcribe()
    assert isinstance(error.value, BadInput)
    await stream.aclose()


async def test_wrong_audio_is_refused_before_it_is_sent(stt: RemoteStt) -> None:
    stream = await stt.open("en")
    with pytest.raises(AudioError):
        await stream.feed(np.zeros(10, np.float32))
    await stream.aclose()


async def test_ill_formed_frames_are_told_and_do_no_harm(worker: SpeechWorker, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(worker.base_url + "/v1/audio/transcriptions/stream?language=en") as socket:
        for frame in ("", "nonsense", "[]", '{"type":"sing"}', '{"type":"partial","id":"x"}'):
            await socket.send_str(frame)
            assert json.loads((await socket.receive()).data)["code"] == "invalid_message"
        await socket.send_bytes(b"abc")
        assert json.loads((await socket.receive()).data)["code"] == "invalid_audio"
        await socket.send_bytes(said("music").tobytes())
        await socket.send_str('{"type":"transcribe","id":7}')
        answer = json.loads((await socket.receive()).data)
        assert (answer["type"], answer["id"], answer["text"]) == ("final", 7, "music")


async def test_clients_that_vanish_leave_nothing_behind(
    worker: SpeechWorker, stt: RemoteStt, http: aiohttp.ClientSession
) -> None:
    for _ in range(20):
        socket = await http.ws_connect(worker.base_url + "/v1/audio/transcriptions/stream")
        await socket.send_bytes(said("stop").tobytes())
        await socket.send_str('{"type":"transcribe","id":1}')
        # Gone without a word, as a process that was killed is.
        socket._writer.transport.abort()  # type: ignore[union-attr]
        await socket.close()
    stream = await stt.open("en")
    await stream.feed(said("yes"))
    assert (await stream.transcribe()).text == "yes"
    await stream.aclose()
    with anyio.fail_after(60):
        while worker.health()["waiting"]:
            await anyio.sleep(0.05)


async def test_a_killed_worker_is_an_error_that_says_try_again(http: aiohttp.ClientSession) -> None:
    with running_worker("stt", "faster_whisper", whisper_mini()) as worker:
        stt = RemoteStt(http, worker.address, "faster_whisper", streaming=True, timeout_s=60)
        stream = await stt.open("en")
        await stream.feed(said("yes"))
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.wait(60)
        with pytest.raises(SttFailed) as error:
            await stream.transcribe()
        assert error.value.retryable
        await stream.aclose()
        with pytest.raises(SttFailed):
            await stt.open("en")
