"""Folders of the Hugging Face kind: what they are is read from config.json and from the weights' own header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llm.engine_choice import choose_engine
from models.errors import ModelUnreadable
from models.formats.safetensors import SPEC, read_config
from models.store import Store
from tests.llm.tiny_folder import make_folder


def change(folder: Path, **fields: Any) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))
    return folder


def test_kind_context_and_size_come_from_the_files(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "models" / "tiny", context=640)
    config = read_config(folder)
    assert config.context == 640 and config.writes and not config.sees
    assert config.kv_bytes == 2 * 2 * 8 * 4, "layers, kv heads, head, two times 16 bit"
    (model,) = [model for model in Store(tmp_path).installed("llm") if not model.bundled]
    assert (model.name, model.format, model.path) == ("tiny", "safetensors", folder)
    assert model.size_bytes == (folder / "model.safetensors").stat().st_size


def test_a_vision_model_has_its_numbers_in_text_config(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "m")
    text = json.loads((folder / "config.json").read_text())
    body = {"architectures": ["Qwen2VLForConditionalGeneration"], "vision_config": {}, "text_config": text}
    (folder / "config.json").write_text(json.dumps(body))
    config = read_config(folder)
    assert config.sees and config.writes and config.context == 512


@pytest.mark.parametrize("name", ["WhisperForConditionalGeneration", "BertModel", "LlamaForSequenceClassification"])
def test_what_writes_no_text_is_not_listed(tmp_path: Path, name: str) -> None:
    assert SPEC.read(change(make_folder(tmp_path / "m"), architectures=[name])) is None


def test_half_a_model_is_never_used(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "models" / "m")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for broken in (whole[:-100], whole[:50], b"", b"\xff" * 200):
        weights.write_bytes(broken)
        with pytest.raises(ModelUnreadable):
            SPEC.read(folder)
    weights.write_bytes(whole)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00002-of-00002.safetensors"}}')
    with pytest.raises(ModelUnreadable, match="missing"):
        SPEC.read(folder)


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"architectures": 5}', '{"text_config": 3}'])
def test_a_wrong_config_is_told(tmp_path: Path, text: str) -> None:
    folder = make_folder(tmp_path / "m")
    (folder / "config.json").write_text(text)
    try:
        assert SPEC.read(folder) is None
    except ModelUnreadable:
        pass


def test_an_engine_that_reads_the_format_is_chosen(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "m")
    assert choose_engine("gguf", tmp_path / "x.gguf", "auto").name == "llama_cpp"
    with pytest.raises(ModelUnreadable, match="loads no gguf"):
        choose_engine("gguf", tmp_path / "x.gguf", "transformers")
    with pytest.raises(ModelUnreadable, match="no engine 'nobody'"):
        choose_engine("safetensors", folder, "nobody")
    with pytest.raises(ModelUnreadable, match=r"parley-voice\[vllm\]"):
        choose_engine("safetensors", folder, "vllm")
