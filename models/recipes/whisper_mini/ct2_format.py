"""CTranslate2's model.bin, written without the library's converters (those import torch).

The layout is that of `ctranslate2/specs/model_spec.py`, binary version 6: little-endian; the spec's name and
revision, then every variable by name with its shape, type and bytes, then aliases.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["quantized_rows", "write_model"]

_VERSION = 6
_TYPES = {"float32": 0, "int8": 1, "int16": 2, "int32": 3}


def write_model(path: Path, spec: str, revision: int, variables: Mapping[str, npt.NDArray[np.generic]]) -> None:
    with path.open("wb") as file:
        file.write(struct.pack("<I", _VERSION) + _name(spec))
        file.write(struct.pack("<II", revision, len(variables)))
        for name, value in sorted(variables.items()):
            file.write(_name(name) + struct.pack("<B", value.ndim))
            file.write(struct.pack(f"<{value.ndim}I", *value.shape))
            file.write(struct.pack("<BI", _TYPES[value.dtype.name], value.nbytes))
            file.write(np.ascontiguousarray(value).tobytes())
        file.write(struct.pack("<I", 0))


def quantized_rows(weight: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """int8 rows and the factor each row was multiplied with, as CTranslate2 stores them."""
    largest = np.maximum(np.abs(weight).max(axis=1), 1e-9)
    scale = (127.0 / largest).astype(np.float32)
    return np.round(weight * scale[:, None]).astype(np.int8), scale


def _name(text: str) -> bytes:
    data = text.encode() + b"\0"
    return struct.pack("<H", len(data)) + data
