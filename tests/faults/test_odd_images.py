"""Images that are none, for a model that sees: they are refused, and no program is started to read them."""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.llm.tiny_parts import png, write_projector
from tests.llm.worker_process import RunningWorker, model_path, running_worker

RED = png(255, 0, 0)
ODD = {
    "a film": struct.pack(">I", 24) + b"ftypisom" + bytes(4000),
    "a playlist": b"#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1/part.ts\n#EXT-X-ENDLIST\n",
    "half an image": RED[: len(RED) // 2],
    "a header alone": RED[:33],
    "an image without a size": b"\xff\xd8\xff\xe0\x00\x04ab" + bytes(40),
    "a map of pixels as large as memory": b"P6 26000 26000 255\n" + bytes(100),
    "a recording that is none": b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
    "text": b"hello",
}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs called ffmpeg and ffprobe that only note that they were started."""
    folder = tmp_path_factory.mktemp("bin")
    for name in ("ffmpeg", "ffprobe"):
        (folder / name).write_text(f'#!/bin/sh\necho {name} "$@" >> "{folder}/started"\n', encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def worker(started: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorker]:
    projector = write_projector(tmp_path_factory.mktemp("parts") / "projector.gguf", 256)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{started}{os.pathsep}{os.environ['PATH']}")
        with running_worker("--mmproj", str(projector), model=model_path()) as running:
            yield running


def ask(worker: RunningWorker, data: bytes) -> Any:
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    content = [{"type": "text", "text": "what is it"}, {"type": "image_url", "image_url": {"url": url}}]
    return worker.ask("/v1/chat/completions", {"messages": [{"role": "user", "content": content}], "max_tokens": 2})


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_image_is_refused_and_given_to_nobody(worker: RunningWorker, started: Path, name: str) -> None:
    answer = ask(worker, ODD[name])
    assert answer.status == 400 and answer.body["error"]["code"] == "invalid_request"
    assert "PNG, JPEG, GIF or BMP" in answer.body["error"]["message"]
    assert not (started / "started").exists()
    assert psutil.Process(worker.process.pid).children() == []
    assert ask(worker, RED).status == 200


def test_many_images_that_are_too_much_together_are_refused_before_one_is_unpacked(worker: RunningWorker) -> None:
    large = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 7000, 7000) + bytes(9)
    url = "data:image/png;base64," + base64.b64encode(large).decode()
    content = [{"type": "image_url", "image_url": {"url": url}}] * 5
    answer = worker.ask("/v1/chat/completions", {"messages": [{"role": "user", "content": content}], "max_tokens": 2})
    assert answer.status == 400 and "200 million pixels together" in answer.body["error"]["message"]
    assert ask(worker, RED).status == 200
