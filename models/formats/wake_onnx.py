"""openWakeWord models as ONNX: a graph whose one input is [batch, 16, 96], sixteen speech embeddings.

ONNX is a protocol-buffer message; only the path ModelProto.graph(7) -> GraphProto.input(11) ->
ValueInfoProto.type(2) -> TypeProto.tensor_type(1) -> shape(2) -> dim(1) -> dim_value(1) is followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models.errors import ModelUnreadable
from models.formats.port import Detected, FormatSpec

__all__ = ["SPEC"]

MAX_BYTES = 32 << 20
"""Wake models are a few hundred kilobytes; larger ONNX files are something else and are not read."""
EMBEDDING_WIDTH = 96


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of one message. Raises ValueError on bytes that are no message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire == 2:
            length, at = _varint(data, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError("unknown wire type")
        if at + length > len(data):
            raise ValueError("field beyond the end")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("number beyond the end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("number too long")


def _follow(data: memoryview, *numbers: int) -> Iterator[memoryview]:
    """Every sub-message reached by the path of field numbers."""
    if not numbers:
        yield data
        return
    for number, value in _fields(data):
        if number == numbers[0] and isinstance(value, memoryview):
            yield from _follow(value, *numbers[1:])


def _inputs(data: memoryview) -> list[list[int]]:
    """Shape of every graph input; 0 for a dimension with a name instead of a number."""
    shapes = []
    for info in _follow(data, 7, 11):
        dims = [dict(_fields(dim)).get(1, 0) for dim in _follow(info, 2, 1, 2, 1)]
        shapes.append([dim if isinstance(dim, int) else 0 for dim in dims])
    return shapes


def _claims(path: Path) -> bool:
    if path.suffix.lower() != ".onnx" or not path.is_file():
        return False
    return not path.with_name(path.name + ".json").exists() and path.stat().st_size <= MAX_BYTES


def _read(path: Path) -> Detected | None:
    try:
        data = path.read_bytes()
        shapes = _inputs(memoryview(data))
    except OSError as error:
        raise ModelUnreadable(f"{path.name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ModelUnreadable(f"{path.name} is not an ONNX model: {error}") from None
    if not shapes:
        raise ModelUnreadable(f"{path.name} is not an ONNX model: it has no inputs")
    if len(shapes) == 1 and len(shapes[0]) == 3 and shapes[0][2] == EMBEDDING_WIDTH:
        return Detected("wake", path.stem, len(data), len(data))
    return None


SPEC = FormatSpec("wake_onnx", "openWakeWord models, an ONNX file", _claims, _read)
