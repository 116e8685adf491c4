"""A GGUF file quantised by llama.cpp itself."""

from __future__ import annotations

import ctypes
from pathlib import Path

from llm.llamacpp.library import native

__all__ = ["FILE_TYPES", "quantise"]

FILE_TYPES = {"q8_0": native.LLAMA_FTYPE_MOSTLY_Q8_0, "q4_K_M": native.LLAMA_FTYPE_MOSTLY_Q4_K_M}


def quantise(source: Path, target: Path, file_type: str) -> Path:
    """Of FILE_TYPES. Returns `target`."""
    params = native.llama_model_quantize_default_params()
    params.ftype = FILE_TYPES[file_type]
    failed = native.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params))
    assert failed == 0, f"{source} could not be quantised"
    return target
