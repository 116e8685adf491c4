"""`kill -9` of each worker while it is at work: the client is told, the worker comes back, the next turn works."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import anyio
import psutil
import pytest

from tests.bench.live_client import LiveClient, live_client
from tests.parley_process import ParleyProcess, running_parley
from tests.voice.session.test_live_end_to_end import spoken

FAST = {"voice_config": {"speed": 4.0}}
"""A story is over in seconds."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ParleyProcess]:
    with running_parley(tmp_path_factory.mktemp("killed")) as server:
        yield server


def kill(server: ParleyProcess, what: str) -> int:
    """SIGKILL to the worker whose command line holds `what`; its process id."""
    for child in psutil.Process(server.pid).children(recursive=True):
        if what in " ".join(child.cmdline()):
            os.kill(child.pid, signal.SIGKILL)
            return child.pid
    raise AssertionError(f"no {what} worker")


async def typed(client: LiveClient, text: str) -> float:
    now = client.heard[-1].at_s
    await client.socket.send(json.dumps({"type": "end_turn", "transcript": text}))
    return now


async def wait_quietly(client: LiveClient, kind: str, after_s: float) -> dict[str, object]:
    """As `LiveClient.wait`, but an error message is not the end."""
    with anyio.fail_after(60):
        while True:
            for message in client.heard:
                if message.type == kind and message.at_s > after_s:
                    return message.body
            await anyio.sleep(0.05)


async def test_the_language_model_in_the_middle_of_an_answer(server: ParleyProcess) -> None:
    async with live_client(server, FAST) as client:
        asked_at = await typed(client, "tell me a story")
        await wait_quietly(client, "text", asked_at)
        kill(server, "llm.worker")
        ended = await wait_quietly(client, "turn_complete", asked_at)
        errors = [message.body for message in client.heard if message.type == "error"]
        complete = str(ended["output_transcript"]).rstrip().endswith((".", "!", "?"))
        assert errors or complete, "cut short and not told"
        assert all(error["code"] and error["hint"] for error in errors)
        asked_at = client.heard[-1].at_s
        await typed(client, "hello")
        again = await wait_quietly(client, "turn_complete", asked_at)
        assert again["output_transcript"]


async def test_the_voice_in_the_middle_of_an_answer(server: ParleyProcess) -> None:
    async with live_client(server, FAST) as client:
        asked_at = await typed(client, "tell me a story")
        await wait_quietly(client, "audio", asked_at)
        kill(server, "--kind tts")
        await wait_quietly(client, "turn_complete", asked_at)
        asked_at = client.heard[-1].at_s
        await typed(client, "hello")
        await wait_quietly(client, "audio", asked_at)
        await wait_quietly(client, "turn_complete", asked_at)


async def test_the_recogniser_in_the_middle_of_a_sentence(server: ParleyProcess) -> None:
    """The audio is kept, so not a word is lost."""
    async with live_client(server) as client:
        said_at, _ = client.say(spoken("what is the capital of france"))
        await wait_quietly(client, "speech_started", said_at)
        kill(server, "--kind stt")
        done = await wait_quietly(client, "turn_complete", said_at)
        assert "capital" in str(done["input_transcript"])


def test_no_half_file_is_left(server: ParleyProcess) -> None:
    assert not list(Path(server.home).rglob("*.part"))
