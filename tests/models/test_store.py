from __future__ import annotations

import json
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from gguf import GGUFWriter
from onnx import TensorProto, helper

from models.errors import ModelNotFound, ModelUnreadable
from models.store import Store


def gguf(path: Path, width: int = 8, architecture: str = "llama") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(path, architecture)
    writer.add_tensor("token_embd.weight", np.zeros((32, width), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def whisper(folder: Path, name: bytes = b"WhisperSpec") -> Path:
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(struct.pack("<IH", 6, len(name) + 1) + name + b"\0" + bytes(64))
    (folder / "config.json").write_text("{}")
    return folder


def piper(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    Path(f"{path}.json").write_text(
        json.dumps({"audio": {"sample_rate": 22050}, "phoneme_id_map": {}}), encoding="utf-8"
    )
    return path


def onnx_graph(path: Path, shape: list[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    node = helper.make_node("Identity", ["x"], ["y"])
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    onnx.save(helper.make_model(helper.make_graph([node], "g", value[:1], value[1:])), path)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, bundled=tmp_path / "bundled")


def test_nothing_installed_is_an_empty_list(store: Store) -> None:
    assert store.installed() == ()
    assert store.problems() == ()


def test_each_kind_is_recognised_by_its_content(store: Store, tmp_path: Path) -> None:
    gguf(tmp_path / "models/llm/chat.gguf")
    gguf(tmp_path / "models/anywhere/embed.gguf", architecture="bert")
    whisper(tmp_path / "models/whisper-small")
    whisper(tmp_path / "models/translator", b"TransformerSpec")
    piper(tmp_path / "models/tts/anna.onnx")
    onnx_graph(tmp_path / "models/wake/computer.onnx", ["batch", 16, 96])
    onnx_graph(tmp_path / "models/wake/melspectrogram.onnx", ["batch", "samples"])
    (tmp_path / "models/wake/jarvis.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(32))
    assert {(model.name, model.kind, model.format) for model in store.installed()} == {
        ("chat", "llm", "gguf"),
        ("embed", "embedding", "gguf"),
        ("whisper-small", "stt", "ctranslate2"),
        ("anna", "tts", "piper"),
        ("computer", "wake", "wake_onnx"),
        ("jarvis", "wake", "wake_tflite"),
    }
    assert store.problems() == ()


def test_the_best_comes_first(store: Store, tmp_path: Path) -> None:
    gguf(tmp_path / "bundled/mini.gguf", width=4096)
    gguf(tmp_path / "models/small.gguf", width=16)
    gguf(tmp_path / "models/large.gguf", width=512)
    names = [(model.name, model.bundled) for model in store.installed("llm")]
    assert names == [("large", False), ("small", False), ("mini", True)]


def test_files_that_are_not_what_they_say_are_problems_and_are_not_listed(store: Store, tmp_path: Path) -> None:
    whole = gguf(tmp_path / "models/good.gguf")
    (tmp_path / "models/cut.gguf").write_bytes(whole.read_bytes()[:-100])
    (tmp_path / "models/text.gguf").write_text("not found")
    (tmp_path / "models/page.tflite").write_text("<html>not found</html>")
    (tmp_path / "models/page.onnx").write_text("<html>not found</html>")
    (tmp_path / "models/voice.onnx").write_bytes(b"weights")
    (tmp_path / "models/voice.onnx.json").write_text("[]")
    (tmp_path / "models/w").mkdir()
    (tmp_path / "models/w/model.bin").write_bytes(b"\0" * 50)
    assert [model.name for model in store.installed()] == ["good"]
    wrong = {problem.path.name for problem in store.problems()}
    assert wrong == {"cut.gguf", "text.gguf", "page.tflite", "page.onnx", "voice.onnx", "w"}
    assert all(problem.reason for problem in store.problems())


def test_a_download_in_progress_and_hidden_files_are_not_seen(store: Store, tmp_path: Path) -> None:
    whole = gguf(tmp_path / "models/good.gguf").read_bytes()
    (tmp_path / "models/other.gguf.part").write_bytes(whole[:50])
    (tmp_path / "models/.hidden.gguf").write_bytes(whole)
    assert [model.name for model in store.installed()] == ["good"]
    assert store.problems() == ()


def test_changes_on_disk_are_seen(store: Store, tmp_path: Path) -> None:
    path = gguf(tmp_path / "models/a.gguf")
    whole = path.read_bytes()
    assert len(store.installed()) == 1
    path.write_bytes(whole[:-10])
    assert store.installed() == ()
    assert len(store.problems()) == 1
    path.write_bytes(whole)
    assert len(store.installed()) == 1
    path.unlink()
    assert store.installed() == () and store.problems() == ()


def test_it_may_be_asked_from_several_threads_while_files_come_and_go(store: Store, tmp_path: Path) -> None:
    """As by requests of a server, of which each looks in a thread of its own."""
    gguf(tmp_path / "models/good.gguf")
    (tmp_path / "models/text.gguf").write_text("hello")
    passing = [tmp_path / f"models/passing-{number}.gguf" for number in range(20)]
    store.installed()

    def come_and_go() -> None:
        for _ in range(30):
            for path in passing:
                path.write_text("half a model")
            for path in passing:
                path.unlink()

    with ThreadPoolExecutor(3) as threads:
        busy = [threads.submit(come_and_go)]
        busy += [threads.submit(lambda: [store.installed() for _ in range(60)]) for _ in range(2)]
        looked = 0
        while looked < 500 or not all(one.done() for one in busy):
            assert "text.gguf" in {problem.path.name for problem in store.problems()}
            looked += 1
        for one in busy:
            one.result()
    assert [model.name for model in store.installed()] == ["good"]
    assert [problem.path.name for problem in store.problems()] == ["text.gguf"]


def test_two_files_of_one_name_stay_apart(store: Store, tmp_path: Path) -> None:
    gguf(tmp_path / "models/a/chat.gguf", width=64)
    gguf(tmp_path / "models/b/chat.gguf", width=16)
    assert [model.name for model in store.installed()] == ["chat", "b/chat"]


def test_links_and_loops(store: Store, tmp_path: Path) -> None:
    real = gguf(tmp_path / "elsewhere/chat.gguf")
    (tmp_path / "models").mkdir()
    os.symlink(real, tmp_path / "models/linked.gguf")
    os.symlink(tmp_path / "models", tmp_path / "models/loop")
    os.symlink(tmp_path / "gone.gguf", tmp_path / "models/broken.gguf")
    assert [model.path for model in store.installed()] == [real]


def test_find_by_name_by_path_and_with_a_hint(store: Store, tmp_path: Path) -> None:
    inside = gguf(tmp_path / "models/parley-mini.gguf")
    outside = gguf(tmp_path / "elsewhere/other.gguf")
    assert store.find("parley-mini").path == inside
    assert store.find(str(outside)).name == "other"
    with pytest.raises(ModelNotFound) as caught:
        store.find("parlay-mini")
    assert "parley-mini" in caught.value.hint
    with pytest.raises(ModelNotFound):
        store.find("parley-mini", "tts")
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(ModelUnreadable):
        store.find(str(tmp_path / "readme.txt"))
    with pytest.raises(ModelUnreadable, match="not for tts"):
        store.find(str(outside), "tts")
