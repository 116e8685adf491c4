"""A synthesiser's worker process: OpenAI's endpoint, our stream, errors, and that it stops when nobody listens."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import anyio
import numpy as np
import openai
import pytest

from llm.workers import lifeline
from models.errors import BadInput
from tests.ports import free_port
from tests.speech_worker import SpeechWorker, running_worker
from voice.errors import TtsFailed
from voice.port import SpeakRequest
from voice.tts.remote import RemoteTts
from voice.worker.upload import decode

TEXT = "The capital of France is Paris."
LONG = "This is one of very many sentences that nobody wants to hear. " * 400


@pytest.fixture(scope="module")
def worker() -> Iterator[SpeechWorker]:
    with running_worker("tts", "espeak") as worker:
        yield worker


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def tts(http: aiohttp.ClientSession, worker: SpeechWorker) -> RemoteTts:
    return RemoteTts(http, worker.address, "espeak", timeout_s=60)


def test_health_names_the_engine(worker: SpeechWorker) -> None:
    assert worker.health() == {"status": "ok", "engine": "espeak", "model": None, "waiting": 0}


@pytest.mark.parametrize("response_format", ["mp3", "opus", "aac", "flac", "wav"])
def test_the_openai_client_gets_files_that_play(worker: SpeechWorker, response_format: str) -> None:
    with openai.OpenAI(base_url=worker.base_url + "/v1", api_key="any", max_retries=0) as client:
        answer = client.audio.speech.create(
            model="tts-1",
            voice="alloy",
            input=TEXT,
            response_format=response_format,  # type: ignore[arg-type]
        )
        pcm = decode(answer.content)
    assert 1.2 < len(pcm) / 16_000 < 4
    assert np.abs(pcm.astype(np.int32)).max() > 3000


async def test_pcm_is_at_24_khz(worker: SpeechWorker, http: aiohttp.ClientSession) -> None:
    body = {"input": TEXT, "model": "x", "voice": "en-gb", "response_format": "pcm"}
    async with http.post(worker.base_url + "/v1/audio/speech", json=body) as answer:
        assert answer.headers["content-type"] == "audio/pcm"
        data = await answer.read()
    assert 1.2 < len(data) / 48_000 < 4


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "hi", "voice": "nobody"}, "voice"),
        ({"voice": "alloy"}, "input"),
        ({"input": "x" * 40_000}, "input"),
        ({"input": "hi", "response_format": "midi"}, "response_format"),
        ({"input": "hi", "speed": 9}, "speed"),
        ({"input": "hi", "speed": "fast"}, "speed"),
        ({"input": "hi", "stream_format": "sse"}, "stream_format"),
        ({"input": "hi", "language": "tlh"}, "language"),
        ([], None),
    ],
)
async def test_bad_requests_are_openais_errors(
    worker: SpeechWorker, http: aiohttp.ClientSession, body: object, param: str | None
) -> None:
    async with http.post(worker.base_url + "/v1/audio/speech", json=body) as answer:
        assert answer.status == 400
        error = (await answer.json())["error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "invalid_request"
    assert error["param"] == param
    assert error["message"]


async def test_what_is_not_served_is_said_in_the_same_form(worker: SpeechWorker, http: aiohttp.ClientSession) -> None:
    async with http.get(worker.base_url + "/v1/audio/speech") as answer:
        assert answer.status == 405
        assert (await answer.json())["error"]["code"] == "not_found"
    async with http.post(worker.base_url + "/v1/audio/speech", data=b"\xff not json") as answer:
        assert answer.status == 400
    async with http.post(worker.base_url + "/v1/audio/speech", data=io.BytesIO(bytes(27 * 2**20))) as answer:
        assert answer.status == 413


async def test_the_stream_has_audio_and_the_words(tts: RemoteTts) -> None:
    chunks = [chunk async for chunk in tts.speak(SpeakRequest(TEXT))]
    seconds = sum(len(chunk.pcm) for chunk in chunks) / chunks[0].rate_hz
    words = chunks[-1].words
    assert [word.text for word in words] == TEXT.split()
    assert 0 <= words[0].start_s < words[-1].end_s <= seconds


async def test_errors_come_through_the_stream(tts: RemoteTts) -> None:
    with pytest.raises(BadInput, match="nobody") as error:
        await anext(tts.speak(SpeakRequest("hi", voice="nobody")))
    assert error.value.param == "voice"
    with pytest.raises(BadInput):
        await anext(tts.speak(SpeakRequest("hi", speed=99)))


async def test_voices(tts: RemoteTts) -> None:
    voices = {voice.id: voice for voice in await tts.voices()}
    assert voices["en-gb"].rate_hz == 22_050
    assert len(voices) > 100


async def test_a_listener_who_leaves_stops_the_synthesis(worker: SpeechWorker, tts: RemoteTts) -> None:
    """What is left of `LONG` would be ten seconds of work; the worker is idle again long before that."""
    speech = tts.speak(SpeakRequest(LONG))
    await anext(speech)
    await speech.aclose()
    before = _cpu_s(worker)
    # A request that comes after is answered, and then nothing more is computed.
    assert [chunk async for chunk in tts.speak(SpeakRequest("hi"))]
    await anyio.sleep(0.5)
    settled = _cpu_s(worker)
    await anyio.sleep(0.5)
    assert _cpu_s(worker) - settled < 0.1, (before, settled)


def _cpu_s(worker: SpeechWorker) -> float:
    import psutil

    times = psutil.Process(worker.process.pid).cpu_times()
    return float(times.user + times.system)


async def test_many_speak_at_once_and_none_hears_another(tts: RemoteTts) -> None:
    lengths: dict[int, list[float]] = {1: [], 6: []}

    async def speak(repeat: int) -> None:
        chunks = [chunk async for chunk in tts.speak(SpeakRequest("hello world " * repeat))]
        assert len(chunks[-1].words) == 2 * repeat
        lengths[repeat].append(sum(len(chunk.pcm) for chunk in chunks))

    async with anyio.create_task_group() as tasks:
        for index in range(16):
            tasks.start_soon(speak, (1, 6)[index % 2])
    assert min(lengths[6]) > 3 * max(lengths[1])


async def test_a_killed_worker_is_an_error_that_says_try_again(http: aiohttp.ClientSession) -> None:
    with running_worker("tts", "espeak") as worker:
        tts = RemoteTts(http, worker.address, "espeak", timeout_s=60)
        speech = tts.speak(SpeakRequest(LONG))
        await anext(speech)
        os.kill(worker.process.pid, signal.SIGKILL)
        with pytest.raises(TtsFailed) as error:
            async for _ in speech:
                pass
        assert error.value.retryable
        worker.process.wait(60)
        with pytest.raises(TtsFailed, match="nobody answers"):
            await anext(tts.speak(SpeakRequest("hi")))
        with pytest.raises(TtsFailed):
            await tts.voices()


async def test_what_a_killed_worker_was_saying_is_said_to_its_end_by_the_next(
    http: aiohttp.ClientSession, worker: SpeechWorker, tts: RemoteTts
) -> None:
    said = SpeakRequest(LONG[: len(LONG) // 10])  # more than the buffers of a connection hold
    whole = [chunk async for chunk in tts.speak(said)]
    with running_worker("tts", "espeak") as first:
        addresses = iter((first.base_url, worker.base_url))

        async def address() -> str:
            return next(addresses)

        speech = RemoteTts(http, address, "espeak", timeout_s=60).speak(said)
        chunks = [await anext(speech)]
        os.kill(first.process.pid, signal.SIGKILL)
        chunks += [chunk async for chunk in speech]
    assert next(addresses, None) is None, "one worker did it all"
    first_s, second_s = (sum(len(chunk.pcm) for chunk in each) / whole[0].rate_hz for each in (whole, chunks))
    assert abs(first_s - second_s) < 0.1, "espeak-ng does not say it to the sample alike each time"
    assert [word.text for word in chunks[-1].words] == said.text.split()


def test_it_ends_when_its_supervisor_is_gone() -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "voice.worker", "--kind", "tts", "--engine", "espeak", "--port", str(port)],
        cwd=Path(__file__).resolve().parents[3],
        stdin=subprocess.PIPE,
        env={**os.environ, lifeline.ENV: "1"},
    )
    assert process.stdin is not None
    process.stdin.close()
    try:
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--kind", "tts", "--engine", "piper"], 3, "needs a voice"),
        (["--kind", "stt", "--engine", "faster_whisper", "--model", "/nowhere"], 3, "CTranslate2"),
        (["--kind", "tts", "--engine", "nobody"], 2, "espeak"),
        (["--kind", "tts", "--engine", "espeak", "--option", "x"], 2, "KEY=VALUE"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_the_last_line(arguments: list[str], status: int, said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "voice.worker", *arguments, "--port", str(free_port())],
        cwd=Path(__file__).resolve().parents[3],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ended.returncode == status
    assert said in ended.stderr.strip().splitlines()[-1]


async def test_frames_are_lines_of_json_and_samples(worker: SpeechWorker, http: aiohttp.ClientSession) -> None:
    """The wire form itself, for who writes a client of their own."""
    async with http.post(worker.base_url + "/v1/parley/speech/stream", json={"text": "hi"}) as answer:
        data = await answer.read()
    header, _, rest = data.partition(b"\n")
    audio = json.loads(header)
    assert audio["type"] == "audio"
    end = json.loads(rest[2 * audio["samples"] :])
    assert (end["type"], end["words"][0][0]) == ("end", "hi")
