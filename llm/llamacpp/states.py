"""KV sequences in files, one by one. llama.cpp writes a sequence's tokens and its keys and values; it refuses a file
of another model or cache type. Which file belongs to what is known to state_store.py.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

from llm.llamacpp.library import native

__all__ = ["load_sequence", "save_sequence", "size_of"]


def size_of(context: Any, sequence: int) -> int:
    """Bytes that its file would have, nearly."""
    size: int = native.llama_state_seq_get_size(context, sequence)
    return size


def save_sequence(context: Any, sequence: int, tokens: list[int], file: Path) -> bool:
    """Whole or not at all."""
    part = file.with_name(file.name + ".part")
    array = (ctypes.c_int32 * len(tokens))(*tokens)
    written = native.llama_state_seq_save_file(context, os.fsencode(part), sequence, array, len(tokens))
    if not written:
        part.unlink(missing_ok=True)
        return False
    part.chmod(0o600)
    part.replace(file)
    return True


def load_sequence(context: Any, sequence: int, file: Path, most: int) -> list[int] | None:
    """The tokens that are now in `sequence`, which must be empty. None: the file does not fit this model."""
    array = (ctypes.c_int32 * most)()
    count = ctypes.c_size_t(0)
    read = native.llama_state_seq_load_file(context, os.fsencode(file), sequence, array, most, ctypes.byref(count))
    if not read or not count.value:
        native.llama_memory_seq_rm(native.llama_get_memory(context), sequence, -1, -1)
        return None
    return list(array[: count.value])
