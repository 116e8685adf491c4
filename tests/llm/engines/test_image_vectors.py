"""Vectors of images and texts in one space, beside transformers with the same weights. Real workers."""

from __future__ import annotations

import base64
import io
import json
import struct
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import uvicorn

from llm.convert.vectors import normalised
from llm.engine import EngineConfig
from llm.engine_choice import choose_engine, format_of
from llm.engines.dual_encoder import DualEncoder
from llm.errors import UnknownModel
from llm.local_vectors import ask_vectors
from llm.settings import EngineSettings
from llm.worker import about, chat, status, vectors
from llm.worker.server import ModelServer, create_app
from llm.workers.launch import quick_type
from models.clock import SystemClock
from models.errors import ModelUnreadable, ParleyError
from models.store import Store
from tests.llm.slot_house import slot_house
from tests.llm.tiny_clip import CONTEXT, DIMENSIONS, make_dual_encoder, picture
from tests.llm.tiny_folder import make_folder
from tests.llm.worker_process import Answer
from tests.ports import free_port

TEXTS = ["a red house", "two lamps in the kitchen, and a cat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dual_encoder(tmp_path_factory.mktemp("models") / "clip")


@pytest.fixture(scope="module")
def worker(folder: Path) -> Iterator[WorkerHere]:
    """In this process, which has PyTorch already; the slot below has a process of its own."""
    config = EngineConfig(folder, folder.name, EngineSettings(), SystemClock())
    failed: list[str] = []
    model = ModelServer(choose_engine("dual_encoder", folder, "auto"), config, failed.append)
    app = create_app(model, [*status.ROUTES, *about.ROUTES, *chat.ROUTES, *vectors.ROUTES])
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, ws="none", log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    running = WorkerHere(port)
    try:
        deadline = time.monotonic() + 60.0
        while not model.ready:
            assert not failed and time.monotonic() < deadline, failed
            time.sleep(0.02)
        yield running
    finally:
        server.should_exit = True
        thread.join()


@dataclass(frozen=True, slots=True)
class WorkerHere:
    port: int

    def ask(self, path: str, body: Any = None) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data, timeout=60) as answer:
                return Answer(answer.status, json.loads(answer.read()), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, json.loads(error.read()), dict(error.headers))


def url(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def embed(worker: WorkerHere, given: Any, **more: Any) -> list[Any]:
    answer = worker.ask("/v1/embeddings", {"input": given, **more})
    assert answer.status == 200, answer.body
    return [row["embedding"] for row in answer.body["data"]]


def expected(folder: Path, texts: list[str], files: list[bytes], filled: bool) -> Any:
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(str(folder)).eval()
    processor, tokenizer = AutoImageProcessor.from_pretrained(str(folder)), AutoTokenizer.from_pretrained(str(folder))
    fill = {"padding": "max_length", "max_length": CONTEXT} if filled else {"padding": True}
    names = ["input_ids"] if filled else ["input_ids", "attention_mask"]
    with torch.inference_mode():
        given = tokenizer(texts, return_tensors="pt", **fill)
        words = model.get_text_features(**{name: given[name] for name in names}).pooler_output
        shown = [Image.open(io.BytesIO(file)).convert("RGB") for file in files]
        images = model.get_image_features(**processor(images=shown, return_tensors="pt")).pooler_output
    wanted = torch.nn.functional.normalize(torch.cat([words, images]), dim=-1).numpy()
    assert (np.abs(wanted @ wanted.T) - np.eye(len(wanted))).max() < 0.9999, "they are told apart"
    return wanted


def test_vectors_are_those_of_transformers(worker: WorkerHere, folder: Path) -> None:
    files = [picture(1), picture(2, "JPEG"), picture(3, "WEBP", (90, 33))]
    mixed = [TEXTS[0], {"image": url(files[0])}, {"image": url(files[1], "jpeg")}, {"text": TEXTS[1]}]
    mixed.append({"image": base64.b64encode(files[2]).decode()})
    found = np.array(embed(worker, mixed))[[0, 3, 1, 2, 4]]
    assert np.allclose(found, expected(folder, TEXTS, files, filled=False), atol=1e-4)


def test_siglips_texts_are_filled_up(tmp_path: Path) -> None:
    folder = make_dual_encoder(tmp_path / "siglip", "siglip")
    model, files = DualEncoder(folder, "cpu"), [picture(1), picture(2, "GIF")]
    found = model.texts([model.tokenize(text, add_special=True) for text in TEXTS]) + model.pictures(files)
    wanted = expected(folder, TEXTS, files, filled=True)
    assert np.allclose(np.array([normalised(vector) for vector in found]), wanted, atol=1e-4)


def test_every_way_to_write_an_image_is_the_same_image(worker: WorkerHere) -> None:
    at = url(picture(7))
    part = {"type": "image_url", "image_url": {"url": at}}
    ways = [{"image": at}, part, {"type": "image_url", "image_url": at}, {"content": [part]}]
    found = [embed(worker, way)[0] for way in ways] + embed(worker, ways)
    assert all(vector == pytest.approx(found[0], abs=1e-5) for vector in found)
    text = embed(worker, TEXTS[0])[0]
    assert embed(worker, [{"type": "text", "text": TEXTS[0]}])[0] == pytest.approx(text, abs=1e-5)
    (packed,) = embed(worker, {"image": at}, encoding_format="base64", dimensions=8)
    assert len(struct.unpack("<8f", base64.b64decode(packed))) == 8


def test_many_at_once_and_in_any_order(worker: WorkerHere) -> None:
    given: list[Any] = [{"image": url(picture(n % 5))} if n % 3 else f"text {n % 5}" for n in range(40)]
    found = embed(worker, given)
    assert len(found) == 40 and found[1] == pytest.approx(found[16], abs=1e-4)
    assert found[0] == pytest.approx(found[15], abs=1e-4)


def bomb() -> bytes:
    """A PNG of 30000 by 30000."""
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"image": url(b"no picture")}, "cannot be read"),
        ({"image": url(picture(1)[:200])}, "cannot be read"),
        ({"image": url(b"GIF89a" + bytes(40))}, "cannot be read"),
        ({"image": "data:image/png;base64,????"}, "not base64"),
        ({"image": "data:text/html;base64,aaaa"}, "data URL"),
        ({"image": "file:///etc/passwd"}, "not base64"),
        ({"image": ""}, "it is empty"),
        ({"image": "https://example.org/a.png"}, "by its address"),
        ({"image": url(bomb())}, "million pixels"),
        ({"image": "aaaa", "text": "b"}, "one text or one image"),
        ({}, "one text or one image"),
        ({"content": []}, "one text or one image"),
        ([{"text": ""}], "nothing to embed"),
        ([], "nothing to embed"),
        ([{"image": url(picture(1))}] * 33, "33 images"),
        ("word " * 200, "tokens"),
    ],
)
def test_what_is_wrong_is_said(worker: WorkerHere, given: Any, said: str) -> None:
    answer = worker.ask("/v1/embeddings", {"input": given})
    assert answer.status == 400 and said in answer.body["error"]["message"], answer.body
    assert len(embed(worker, "still there")[0])


def test_it_says_what_it_is_and_writes_nothing(worker: WorkerHere) -> None:
    assert worker.ask("/props").body["embedding_dimensions"] == DIMENSIONS
    chat = worker.ask("/v1/chat/completions", {"messages": [{"role": "user", "content": "hello"}]})
    assert chat.status == 400 and "writes no text" in chat.body["error"]["message"]
    ranks = worker.ask("/v1/rerank", {"query": "a red house", "documents": ["a red house", "lamps"]}).body["results"]
    assert ranks[0]["index"] == 0 and ranks[0]["relevance_score"] == pytest.approx(1.0, abs=1e-4)


def test_it_is_told_from_its_config(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / folder.name).symlink_to(folder)
    make_folder(tmp_path / "models" / "writes")
    store = Store(tmp_path)
    for _ in range(2):  # also from what it remembers
        kinds = {model.name: (model.kind, model.format, quick_type(model)) for model in store.installed()}
        assert kinds[folder.name] == ("embedding", "dual_encoder", "vision-embedding")
        assert kinds["writes"] == ("llm", "safetensors", "text")
    assert format_of(folder) == "dual_encoder"
    with pytest.raises(ModelUnreadable, match="dual_encoder"):
        choose_engine("dual_encoder", folder, "llama_cpp")
    bare = tmp_path / "models" / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (bare / name).symlink_to(folder / name)
    assert "bare" not in {model.name for model in store.installed()}
    (problem,) = store.problems()
    assert "preprocessor" in problem.reason
    config = json.loads((folder / "config.json").read_text())
    (bare / "config.json").unlink()
    (bare / "config.json").write_text(json.dumps({**config, "architectures": ["CLIPVisionModel"]}))
    assert "bare" not in {model.name for model in store.installed()}


async def test_a_slot_loads_it_for_images_and_the_text_model_stays_for_texts(tmp_path: Path) -> None:
    shown = {"input": {"image": url(picture(1))}}
    async with slot_house(tmp_path, ("talker",)) as house, aiohttp.ClientSession() as http:
        with pytest.raises(UnknownModel, match="vision-embedding"):
            await ask_vectors(house.pool, http, "embeddings", shown, "u")
        with pytest.raises(ParleyError, match="embeds no images"):
            await house.router.vectors("embeddings", {**shown, "model": "talker"})
        make_dual_encoder(house.models / "clip")
        await house.router.refresh()
        answer = await house.router.vectors("embeddings", shown)
        assert answer["model"] == "clip" and len(answer["data"][0]["embedding"]) == DIMENSIONS
        (slot,) = (slot for slot in house.pool.slots if slot.model.name == "clip")
        assert slot.plan.type == "vision-embedding" and slot.plan.able == {"embedding": True, "vision": True}
        texts = await house.router.vectors("embeddings", {"input": "a red house", "model": "clip"})
        assert len(texts["data"][0]["embedding"]) == DIMENSIONS
