"""Pure: make a Piper voice tell how long each phoneme lasts.

A VITS voice rounds the frames of its phonemes up in its one Ceil node, and does not hand them out. Declaring that
tensor an output of the graph is enough, and needs no onnx package: an ONNX file is a protobuf message, in which a
message field that comes twice is merged, so the declaration is simply appended. Field numbers are from onnx.proto:
ModelProto.graph 7; GraphProto.node 1, .output 12; NodeProto.output 2, .op_type 4; ValueInfoProto.name 1.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["with_durations"]

_LENGTH_DELIMITED = 2


def with_durations(model: bytes) -> bytes | None:
    """The model with its durations as one more output, or unchanged if it has that.

    None if there is not exactly one Ceil node. Raises ValueError if `model` is no protobuf message.
    """
    ceils: set[bytes] = set()
    outputs: set[bytes] = set()
    for number, graph in _fields(memoryview(model)):
        if number != 7:
            continue
        for part, value in _fields(graph):
            if part == 12:
                outputs |= {bytes(name) for field, name in _fields(value) if field == 1}
            elif part == 1:
                node = list(_fields(value))
                if any(field == 4 and bytes(value) == b"Ceil" for field, value in node):
                    ceils |= {bytes(name) for field, name in node if field == 2}
    if len(ceils) != 1:
        return None
    (name,) = ceils
    if name in outputs:
        return model
    return model + _message(7, _message(12, _message(1, name)))


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(number, content) of the length-delimited fields of a message; numbers and fixed fields are passed over."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        match key & 7:
            case 0:
                _, at = _varint(data, at)
            case 1:
                at += 8
            case 5:
                at += 4
            case 2:
                length, at = _varint(data, at)
                if at + length > len(data):
                    raise ValueError("a field is longer than its message")
                yield key >> 3, data[at : at + length]
                at += length
            case kind:
                raise ValueError(f"wire type {kind} is not used by protobuf 3")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number without an end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _message(number: int, content: bytes) -> bytes:
    return _encoded(number << 3 | _LENGTH_DELIMITED) + _encoded(len(content)) + content


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
