"""A model that hears: input_audio parts through mtmd into the KV cache, over a real worker and through the pool."""

from __future__ import annotations

import base64
import shutil
import struct
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from llm.messages import AudioPart, GenerateRequest, ImagePart, Message, Sampling
from llm.settings import EngineSettings
from llm.stream import Finish, TextDelta
from models.errors import ParleyError
from tests.llm.slot_house import slot_house
from tests.llm.tiny_ears import tone, write_ears
from tests.llm.tiny_parts import png
from tests.llm.worker_process import RunningWorker, model_path, running_worker

CHAT = "/v1/chat/completions"
WIDTH = 256


@pytest.fixture(scope="module")
def ears(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ears(tmp_path_factory.mktemp("ears") / "mmproj-ears.gguf", WIDTH)


@pytest.fixture(scope="module")
def worker(ears: Path) -> Iterator[RunningWorker]:
    with running_worker("--mmproj", str(ears), "--ctx-size", "1024") as running:
        yield running


def heard(data: bytes, text: str = "what is this", kind: str = "wav") -> dict[str, Any]:
    audio = {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": kind}}
    content = [{"type": "text", "text": text}, audio]
    return {"messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": 8, "logprobs": True}


def test_a_recording_is_part_of_the_prompt(worker: RunningWorker) -> None:
    assert worker.ask("/props").body["modalities"] == {"vision": False, "audio": True}
    plain = worker.ask(CHAT, heard(tone(440.0)))
    assert plain.status == 200
    tokens = plain.body["usage"]["prompt_tokens"]
    assert tokens > 150, "1500 frames, ten in a vector"
    again = worker.ask(CHAT, heard(tone(440.0)))
    assert again.body["choices"][0]["message"] == plain.body["choices"][0]["message"]
    assert again.body["usage"]["prompt_tokens_details"]["cached_tokens"] == tokens - 1, "not computed again"
    other = worker.ask(CHAT, heard(tone(2000.0)))
    assert other.body["usage"]["prompt_tokens_details"]["cached_tokens"] < tokens - 150
    assert other.body["choices"][0]["logprobs"] != plain.body["choices"][0]["logprobs"], "it is heard"


@pytest.mark.parametrize("data", [b"", b"RIFF", b"no wav at all" * 100, tone(440.0)[:30]])
def test_what_is_no_recording_is_refused(worker: RunningWorker, data: bytes) -> None:
    answer = worker.ask(CHAT, heard(data))
    assert answer.status == 400 and answer.body["error"]["message"]
    assert worker.ask(CHAT, heard(tone(440.0))).status == 200, "and it goes on"


def _wav(rate: int, samples: int) -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate, 1, 8)
    return struct.pack("<4sI4s", b"RIFF", 36 + samples, b"WAVE") + form + b"data" + bytes(4) + bytes(samples)


@pytest.mark.parametrize(
    "data",
    [
        _wav(1, 400_000),
        b"fLaC" + bytes(14) + struct.pack(">Q", 8000 << 44 | 2**35),
        (b"\xff\xf3\x14\x00" + bytes(20)) * 200_000,  # frames of 24 ms in 24 bytes
    ],
    ids=["wav", "flac", "mp3"],
)
def test_hours_in_a_small_file_are_refused_before_they_are_unpacked(worker: RunningWorker, data: bytes) -> None:
    answer = worker.ask(CHAT, heard(data))
    assert answer.status == 400 and "longer than 60 minutes" in answer.body["error"]["message"]
    assert worker.ask(CHAT, heard(tone(440.0))).status == 200, "and it goes on"


def test_many_recordings_that_are_hours_together_are_refused(worker: RunningWorker) -> None:
    body = heard(_wav(1000, 3_000_000))  # 50 minutes
    body["messages"][0]["content"] += body["messages"][0]["content"][1:]
    answer = worker.ask(CHAT, body)
    assert answer.status == 400 and "longer than 60 minutes" in answer.body["error"]["message"]


def test_a_recording_beyond_the_context_costs_no_minutes(worker: RunningWorker) -> None:
    body = {**heard(b""), "max_tokens": 1}
    wave = struct.pack("<I", 300_000)
    data = _wav(1000, 300_000).replace(b"data" + bytes(4), b"data" + wave)  # five minutes
    body["messages"][0]["content"][1] = heard(data)["messages"][0]["content"][1]
    answer = worker.ask(CHAT, body)
    assert answer.status == 400 and answer.body["error"]["code"] == "context_length_exceeded"


def test_it_sees_nothing(worker: RunningWorker) -> None:
    url = "data:image/png;base64," + base64.b64encode(png(1, 2, 3)).decode()
    content = [{"type": "image_url", "image_url": {"url": url}}]
    answer = worker.ask(CHAT, {"messages": [{"role": "user", "content": content}]})
    assert answer.status == 400 and "cannot handle images" in answer.body["error"]["message"]


async def test_the_pool_finds_the_model_that_hears(ears: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "listener"
    folder.mkdir(parents=True)
    shutil.copyfile(model_path(), folder / "listener.gguf")
    shutil.copyfile(ears, folder / "mmproj-listener.gguf")
    engine = EngineSettings(ctx_size=1024, parallel=2, voice_places=1, threads=1)
    async with slot_house(tmp_path, ("talker",), engine=engine) as house:
        message = Message("user", "what is this", parts=(AudioPart(tone(440.0), "wav"),))
        request = GenerateRequest((message,), sampling=Sampling(temperature=0.0, max_tokens=4))
        async with aclosing(house.router.generate(request)) as events:
            found = [event async for event in events]
        assert isinstance(found[-1], Finish) and any(isinstance(event, TextDelta) for event in found)
        slot = house.slot("listener")
        assert slot is not None and slot.plan.type == "omni"
        shown = GenerateRequest((Message("user", "look", parts=(ImagePart(png(1, 2, 3)),)),), "listener")
        with pytest.raises(ParleyError) as caught:
            async for _ in house.router.generate(shown):
                pass
        assert caught.value.code == "invalid_request"
