"""What is said of an adapter by its header is what llama.cpp says when it loads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFWriter

from llm.llamacpp.adapter_fit import why_not
from llm.llamacpp.adapters import LoraSet
from llm.llamacpp.library import native, prepare
from models.errors import ModelUnreadable
from models.formats.gguf import read_header
from tests.llm.slot_house import small_model

WIDTH, WORDS = read_header(small_model()).metadata["llama.embedding_length"], read_header(small_model()).vocabulary
assert isinstance(WIDTH, int) and isinstance(WORDS, int)
ATTENTION, EMBEDDING = "blk.0.attn_output.weight", "token_embd.weight"
RANK = 4

Shapes = dict[str, tuple[int, ...]]
FITS: dict[str, Shapes] = {
    "attention": {f"{ATTENTION}.lora_a": (RANK, WIDTH), f"{ATTENTION}.lora_b": (WIDTH, RANK)},
    "embedding": {f"{EMBEDDING}.lora_a": (WORDS, RANK), f"{EMBEDDING}.lora_b": (WIDTH, RANK)},
}
ODD: dict[str, Shapes] = {
    "of_a_wider_model": {f"{ATTENTION}.lora_a": (RANK, 2 * WIDTH), f"{ATTENTION}.lora_b": (2 * WIDTH, RANK)},
    "of_more_layers": {f"blk.99.attn_output.weight.lora_{end}": (RANK, RANK) for end in "ab"},
    "of_two_ranks": {f"{ATTENTION}.lora_a": (RANK, WIDTH), f"{ATTENTION}.lora_b": (WIDTH, RANK + 1)},
    "of_other_words": {f"{EMBEDDING}.lora_a": (WORDS + 1, RANK), f"{EMBEDDING}.lora_b": (WIDTH, RANK)},
    "one_half": {f"{ATTENTION}.lora_a": (RANK, WIDTH)},
}


@pytest.fixture(scope="module")
def model() -> Iterator[Any]:
    prepare()
    params = native.llama_model_default_params()
    params.n_gpu_layers = 0
    loaded = native.llama_model_load_from_file(str(small_model()).encode(), params)
    yield loaded
    native.llama_model_free(loaded)


def write(path: Path, tensors: Shapes, kind: str = "lora") -> Path:
    writer = GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", kind)
    writer.add_float32("adapter.lora.alpha", 4.0)
    for name, shape in tensors.items():
        writer.add_tensor(name, np.zeros(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("name", FITS)
def test_one_of_this_model_fits(name: str, model: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "lora.gguf", FITS[name])
    assert why_not(read_header(file), [read_header(small_model())]) == ""
    assert len(LoraSet(model, str(file)).cards) == 1


@pytest.mark.parametrize("name", ODD)
def test_one_of_another_model_does_not(name: str, model: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "lora.gguf", ODD[name])
    assert why_not(read_header(file), [read_header(small_model())])
    with pytest.raises(ModelUnreadable):
        LoraSet(model, str(file))


def test_another_kind_of_adapter_is_none(tmp_path: Path) -> None:
    file = write(tmp_path / "other.gguf", FITS["attention"], "control_vector")
    assert "control_vector" in why_not(read_header(file), [read_header(small_model())])


def test_the_tensors_of_a_model_in_parts_lie_in_all_of_them(tmp_path: Path) -> None:
    file = write(tmp_path / "lora.gguf", FITS["attention"])
    empty = read_header(write(tmp_path / "first-part.gguf", {}))
    assert why_not(read_header(file), [empty, read_header(small_model())]) == ""
    assert why_not(read_header(file), [empty])
