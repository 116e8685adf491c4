"""GGUF headers: metadata and tensor list, without loading the model.

Layout after the GGUF specification (ggml-org/ggml, docs/gguf.md), versions 2 and 3, little-endian. Every
length is checked against the bytes that are there, so that a damaged or hostile file costs a ModelUnreadable
and no memory.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

from models.errors import ModelUnreadable
from models.formats.port import Detected, FormatSpec, Kind

__all__ = ["SPEC", "GgufHeader", "GgufTensor", "parts_of", "read_header"]

Value = int | float | bool | str | tuple["Value", ...]

KEPT_ITEMS = 64
"""Longer arrays (vocabularies, merges) are skipped; `GgufHeader.lengths` still has their length."""
MAX_KEYS = 65_536
MAX_TENSORS = 1_000_000
MAX_DIMS = 8
MAX_TEXT_BYTES = 4 << 20
MAX_LAYERS = 4096
"""llama.cpp itself ends at 512 (LLAMA_MAX_LAYERS)."""

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING = 8
_ARRAY = 9

_BLOCKS = {
    0: (1, 4),  # F32
    1: (1, 2),  # F16
    2: (32, 18),  # Q4_0
    3: (32, 20),  # Q4_1
    6: (32, 22),  # Q5_0
    7: (32, 24),  # Q5_1
    8: (32, 34),  # Q8_0
    10: (256, 84),  # Q2_K
    11: (256, 110),  # Q3_K
    12: (256, 144),  # Q4_K
    13: (256, 176),  # Q5_K
    14: (256, 210),  # Q6_K
    30: (1, 2),  # BF16
}
"""ggml type -> (elements, bytes) of a block, from ggml-common.h; types not listed are only checked by offset."""

_EMBEDDING_ARCHITECTURES = frozenset(
    "bert modern-bert nomic-bert nomic-bert-moe neo-bert jina-bert-v2 jina-bert-v3 eurobert gemma-embedding "
    "t5encoder".split()
)
_RERANK_POOLING = 4
_SPLIT_NAME = re.compile(r"-(\d{5})-of-(\d{5})$")


@dataclass(frozen=True, slots=True)
class GgufTensor:
    name: str
    shape: tuple[int, ...]
    """Fastest dimension first, as in the file."""
    type: int
    offset: int
    """From the start of the tensor data."""

    @property
    def elements(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class GgufHeader:
    version: int
    metadata: Mapping[str, Value]
    lengths: Mapping[str, int]
    """Number of items of every array of the metadata, kept or not."""
    tensors: tuple[GgufTensor, ...]
    size_bytes: int

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    @property
    def parameters(self) -> int:
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def context_length(self) -> int | None:
        """Tokens the model was trained on."""
        value = self.metadata.get(f"{self.architecture}.context_length")
        return value if isinstance(value, int) else None

    @property
    def vocabulary(self) -> int | None:
        return self.lengths.get("tokenizer.ggml.tokens")

    @property
    def chat_template(self) -> str | None:
        value = self.metadata.get("tokenizer.chat_template")
        return value if isinstance(value, str) else None

    @property
    def tool_use_template(self) -> str:
        """For conversations with tools; "" where they have none of their own."""
        value = self.metadata.get("tokenizer.chat_template.tool_use")
        return value if isinstance(value, str) else ""

    @property
    def kind(self) -> Kind | None:
        """1. No model of its own. 2. Embedding or rerank by pooling or architecture. 3. Vocabulary only. 4. LLM."""
        role = self.metadata.get("general.type")
        if role == "adapter":  # 1
            return "adapter"
        if role == "mmproj" or self.architecture == "clip":
            return "projector"
        pooling = self.metadata.get(f"{self.architecture}.pooling_type")
        if pooling == _RERANK_POOLING:  # 2
            return "rerank"
        if pooling or self.architecture in _EMBEDDING_ARCHITECTURES:
            return "embedding"
        if not self.tensors or role == "imatrix":  # 3
            return None
        return "llm"  # 4


def read_header(path: Path) -> GgufHeader:
    """Raises ModelUnreadable: no GGUF, another version, cut short, or lengths that cannot be."""
    try:
        size = path.stat().st_size
        with path.open("rb", buffering=1 << 20) as file:
            return _header(_Cursor(file, size), size)
    except OSError as error:
        raise ModelUnreadable(f"{path.name} cannot be read: {error.strerror}") from error
    except _Bad as error:
        raise ModelUnreadable(f"{path.name} is not a usable GGUF file: {error}") from None


def parts_of(path: Path) -> tuple[Path, ...]:
    """All files of a model: `x-00001-of-00003.gguf` has three. Raises ModelUnreadable where one is missing."""
    part = _SPLIT_NAME.search(path.stem)
    if part is None:
        return (path,)
    head, count = path.stem[: part.start()], part[2]
    files = tuple(
        path.with_name(f"{head}-{number:05d}-of-{count}{path.suffix}") for number in range(1, int(count) + 1)
    )
    for file in files:
        if not file.is_file():
            raise ModelUnreadable(f"{path.name} is split and {file.name} is missing")
    return files


class _Bad(Exception):
    """What is wrong, in words; never leaves this file."""


class _Cursor:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size
        self.at = 0

    def take(self, count: int) -> bytes:
        self._claim(count)
        return self._file.read(count)

    def skip(self, count: int) -> None:
        self._claim(count)
        self._file.seek(count, 1)

    def number(self, form: str) -> int:
        value: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def text(self) -> str:
        length = self.number("<Q")
        if length > MAX_TEXT_BYTES:
            raise _Bad(f"a text of {length} bytes cannot be")
        return self.take(length).decode("utf-8", "replace")

    def _claim(self, count: int) -> None:
        if count > self._left:
            raise _Bad("it ends too early")
        self._left -= count
        self.at += count


def _header(cursor: _Cursor, size: int) -> GgufHeader:
    if size < 24 or cursor.take(4) != b"GGUF":
        raise _Bad("it does not begin with GGUF")
    version = cursor.number("<I")
    if version not in (2, 3):
        raise _Bad(f"version {version} is not supported" if version < 1 << 16 else "it is big-endian")
    tensor_count, key_count = cursor.number("<Q"), cursor.number("<Q")
    if tensor_count > MAX_TENSORS or key_count > MAX_KEYS:
        raise _Bad(f"{tensor_count} tensors and {key_count} keys cannot be")
    metadata: dict[str, Value] = {}
    lengths: dict[str, int] = {}
    for _ in range(key_count):
        key = cursor.text()
        value = _value(cursor, cursor.number("<I"), key, lengths)
        if value is not None:
            metadata[key] = value
    _check_numbers(metadata)
    tensors = tuple(_tensor(cursor) for _ in range(tensor_count))
    _check_extent(tensors, metadata.get("general.alignment", 32), cursor.at, size)
    return GgufHeader(version, metadata, lengths, tensors, size)


def _value(cursor: _Cursor, kind: int, key: str, lengths: dict[str, int]) -> Value | None:
    if kind in _SCALARS:
        return cursor.number(_SCALARS[kind])
    if kind == _STRING:
        return cursor.text()
    if kind != _ARRAY:
        raise _Bad(f"{key} has the unknown type {kind}")
    item, count = cursor.number("<I"), cursor.number("<Q")
    lengths[key] = count
    keep = count <= KEPT_ITEMS
    if item in _SCALARS:
        if keep:
            return tuple(cursor.number(_SCALARS[item]) for _ in range(count))
        cursor.skip(count * struct.calcsize(_SCALARS[item]))
        return None
    if item != _STRING:
        raise _Bad(f"{key} is an array of the unsupported type {item}")
    if keep:
        return tuple(cursor.text() for _ in range(count))
    for _ in range(count):
        cursor.skip(cursor.number("<Q"))
    return None


def _tensor(cursor: _Cursor) -> GgufTensor:
    name, dims = cursor.text(), cursor.number("<I")
    if dims > MAX_DIMS:
        raise _Bad(f"tensor {name[:80]} has {dims} dimensions")
    shape = tuple(cursor.number("<Q") for _ in range(dims))
    return GgufTensor(name, shape, cursor.number("<I"), cursor.number("<Q"))


def _check_numbers(metadata: Mapping[str, Value]) -> None:
    """Whoever adds up a model counts its layers one by one and trusts its widths: both are 32-bit counts."""
    architecture = str(metadata.get("general.architecture", ""))
    for key, value in metadata.items():
        if not key.startswith(f"{architecture}."):
            continue
        most = MAX_LAYERS if key == f"{architecture}.block_count" else (1 << 32) - 1
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, int) and not -1 <= item <= most:
                raise _Bad(f"{key[:80]} = {item} cannot be")


def _check_extent(tensors: tuple[GgufTensor, ...], alignment: Value, header_end: int, size: int) -> None:
    """A download that was cut has a whole header and half its weights."""
    if not isinstance(alignment, int) or alignment < 1:
        raise _Bad("its alignment is no positive number")
    start = -(-header_end // alignment) * alignment
    for tensor in tensors:
        block, width = _BLOCKS.get(tensor.type, (0, 0))
        bytes_of = tensor.elements // block * width if block else 0
        if start + tensor.offset + bytes_of > size:
            raise _Bad(f"it ends too early: tensor {tensor.name[:80]} is not whole")


def _claims(path: Path) -> bool:
    return path.suffix.lower() == ".gguf" and path.is_file()


def _read(path: Path) -> Detected | None:
    header = read_header(path)
    part = _SPLIT_NAME.search(path.stem)
    if part is None:
        return header.kind and Detected(header.kind, path.stem, header.size_bytes, header.parameters)
    if int(part[1]) != 1:
        return None
    size = sum(file.stat().st_size for file in parts_of(path))
    return header.kind and Detected(header.kind, path.stem[: part.start()], size, size)


SPEC = FormatSpec("gguf", "llama.cpp models, one file", _claims, _read)
