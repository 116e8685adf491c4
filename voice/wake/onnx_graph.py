"""Write a small ONNX graph as bytes for onnxruntime, without the `onnx` package (which is for development only).

The message numbers are those of onnx.proto; the encoding is protobuf's own (varint, 32-bit, length-delimited).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["OnnxGraph"]

_IR_VERSION = 8
_OPSET = 13
_FLOAT, _INT64 = 1, 7

Attribute = int | float | Sequence[int]


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


class OnnxGraph:
    """Nodes in order of use; every method that adds one returns the name of its output."""

    def __init__(self) -> None:
        self._body = bytearray()
        self._names = 0

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        """A float input; a string is the name of an open dimension."""
        self._body += _bytes(11, _value(name, shape))
        return name

    def output(self, name: str, shape: Sequence[int | str]) -> None:
        self._body += _bytes(12, _value(name, shape))

    def constant(self, values: npt.NDArray[np.float32] | Sequence[int]) -> str:
        """Floats, or integers where an operator wants a shape or a range."""
        array = np.asarray(values)
        array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
        name = self._name()
        tensor = b"".join(_number(1, size) for size in array.shape)
        tensor += _number(2, _FLOAT if array.dtype == np.float32 else _INT64)
        self._body += _bytes(5, tensor + _bytes(8, name) + _bytes(9, array.tobytes()))
        return name

    def node(self, op: str, inputs: Sequence[str], output: str | None = None, **attributes: Attribute) -> str:
        return self.split(op, inputs, 1, [output or self._name()], **attributes)[0]

    def split(
        self, op: str, inputs: Sequence[str], outputs: int, names: Sequence[str] = (), **attributes: Attribute
    ) -> list[str]:
        """A node of several outputs."""
        out = list(names) or [self._name() for _ in range(outputs)]
        body = b"".join(_bytes(1, each) for each in inputs) + b"".join(_bytes(2, each) for each in out)
        body += _bytes(4, op) + b"".join(_bytes(5, _attribute(*each)) for each in attributes.items())
        self._body += _bytes(1, body)
        return out

    def model(self) -> bytes:
        graph = _bytes(2, "parley") + bytes(self._body)
        return _number(1, _IR_VERSION) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _number(2, _OPSET))

    def _name(self) -> str:
        self._names += 1
        return f"v{self._names}"


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    dims = b"".join(_bytes(1, _bytes(2, d) if isinstance(d, str) else _number(1, d)) for d in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, _FLOAT) + _bytes(2, dims)))


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        return _bytes(1, name) + _varint(2 << 3 | 5) + struct.pack("<f", value) + _number(20, 1)
    if isinstance(value, int):
        return _bytes(1, name) + _number(3, value) + _number(20, 2)
    return _bytes(1, name) + b"".join(_number(8, each) for each in value) + _number(20, 7)
