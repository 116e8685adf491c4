"""The header reader on files written by the gguf package and on damaged ones."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import ModelUnreadable
from models.formats.gguf import SPEC, read_header

TEMPLATES = {"default": "{{ messages }}", "tool_use": "{{ tools }}"}


def write(path: Path, architecture: str = "llama", *, pooling: int | None = None, tensors: bool = True) -> Path:
    writer = GGUFWriter(path, architecture)
    writer.add_context_length(512)
    writer.add_name("tiny")
    writer.add_token_list([f"token{n}" for n in range(300)])
    writer.add_token_scores([0.5] * 300)
    writer.add_chat_template([{"name": name, "template": text} for name, text in TEMPLATES.items()])
    if pooling is not None:
        writer.add_uint32(f"{architecture}.pooling_type", pooling)
    if tensors:
        writer.add_tensor("token_embd.weight", np.zeros((300, 16), np.float32))
        writer.add_tensor("output.weight", np.zeros((300, 32), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_header_tells_what_the_model_is(tmp_path: Path) -> None:
    header = read_header(write(tmp_path / "a.gguf"))
    assert header.architecture == "llama"
    assert header.context_length == 512
    assert header.vocabulary == 300
    assert "tokenizer.ggml.tokens" not in header.metadata
    assert header.chat_template == TEMPLATES["default"] and header.tool_use_template == TEMPLATES["tool_use"]
    assert header.parameters == 300 * 16 + 300 * 32
    assert header.kind == "llm"
    assert {tensor.name: tensor.shape for tensor in header.tensors} == {
        "token_embd.weight": (16, 300),
        "output.weight": (32, 300),
    }


@pytest.mark.parametrize(
    ("architecture", "pooling", "tensors", "kind"),
    [
        ("llama", None, True, "llm"),
        ("qwen3", 3, True, "embedding"),
        ("qwen3", 4, True, "rerank"),
        ("bert", 1, True, "embedding"),
        ("nomic-bert", None, True, "embedding"),
        ("clip", None, True, "projector"),
        ("llama", None, False, None),
    ],
)
def test_the_kind_comes_from_the_content(
    tmp_path: Path, architecture: str, pooling: int | None, tensors: bool, kind: str | None
) -> None:
    path = write(tmp_path / "a.gguf", architecture, pooling=pooling, tensors=tensors)
    assert read_header(path).kind == kind


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.gguf").read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in [*range(0, 200), *range(200, len(whole) - 1, 997), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        with pytest.raises(ModelUnreadable):
            read_header(cut)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GGUF",
        b"GGML" + bytes(40),
        b"GGUF" + struct.pack("<IQQ", 1, 0, 0) + bytes(16),
        b"GGUF" + struct.pack(">IQQ", 3, 0, 0) + bytes(16),
        b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0) + bytes(16),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60) + bytes(16),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 62) + bytes(16),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<I", 99) + bytes(16),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 9, 3) + bytes(16),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 4, 1 << 61) + bytes(16),
    ],
)
def test_hostile_headers_cost_an_error_and_no_memory(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(head)
    with pytest.raises(ModelUnreadable):
        read_header(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("llama.block_count", 2**32 - 1),
        ("llama.block_count", 2**62),
        ("llama.embedding_length", 2**40),
        ("llama.context_length", -(2**31)),
    ],
)
def test_counts_that_cannot_be_are_refused_and_not_counted_up_to(tmp_path: Path, key: str, value: int) -> None:
    writer = GGUFWriter(tmp_path / "lie.gguf", "llama")
    writer.add_int64(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelUnreadable, match=f"{key} = {value} cannot be"):
        read_header(tmp_path / "lie.gguf")


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_damage_is_an_error_or_a_header(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "base.gguf"
    if not path.exists():
        write(path)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, min(len(raw), 9000) - 1))] = data.draw(st.integers(0, 255))
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(raw)
    try:
        read_header(damaged)
    except ModelUnreadable as error:
        assert error.message


def test_a_split_model_is_listed_once_and_only_when_whole(tmp_path: Path) -> None:
    first = write(tmp_path / "big-00001-of-00002.gguf")
    with pytest.raises(ModelUnreadable, match="00002"):
        SPEC.read(first)
    second = write(tmp_path / "big-00002-of-00002.gguf")
    detected = SPEC.read(first)
    assert detected is not None and detected.name == "big"
    assert detected.size_bytes == first.stat().st_size + second.stat().st_size
    assert SPEC.read(second) is None
