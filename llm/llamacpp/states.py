"""KV sequences in files: one by name, or all conversations over a restart of the worker.

llama.cpp writes a sequence's tokens and its keys and values; it refuses a file of another model or cache type. An
index beside them says which conversation they belong to. A conversation's name may be what opens its live session,
and its keys and values are what was said: the folder is for its owner alone.
"""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm.batching.events import Adapters
from llm.batching.sequences import KvSequence
from llm.llamacpp.library import native

__all__ = ["Kept", "clear", "load_sequence", "park", "save_sequence", "unpark"]

MOST_PARKED_BYTES = 1 << 30
"""The newest conversations first; what does not fit is computed anew when its next turn comes."""
_INDEX = "index.json"


@dataclass(frozen=True, slots=True)
class Kept:
    file: Path
    conversation: str
    adapters: Adapters


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


def park(context: Any, folder: Path, model: str, sequences: Iterable[KvSequence]) -> int:
    """Save what conversations hold; how many were."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    clear(folder)
    rows: list[dict[str, Any]] = []
    total = 0
    mine = [row for row in sequences if row.conversation is not None and row.tokens and not row.extra]
    for row in sorted(mine, key=lambda row: -row.last_used):
        size: int = native.llama_state_seq_get_size(context, row.id)
        if total + size > MOST_PARKED_BYTES:
            break
        file = folder / f"conversation-{len(rows)}.kv"
        if save_sequence(context, row.id, row.tokens, file):
            total += size
            rows.append({"file": file.name, "conversation": row.conversation, "adapters": row.adapters})
    index = folder / _INDEX
    part = index.with_name("index.part")
    part.write_text(json.dumps({"model": model, "kept": rows}), encoding="utf-8")
    part.chmod(0o600)
    part.replace(index)
    return len(rows)


def unpark(folder: Path, model: str) -> list[Kept]:
    """What was parked by the same model, the newest first; nothing where the index cannot be read."""
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        if index["model"] != model:
            return []
        return [
            Kept(
                folder / Path(str(row["file"])).name,
                str(row["conversation"]),
                tuple((int(number), float(scale)) for number, scale in row["adapters"]),
            )
            for row in index["kept"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def clear(folder: Path) -> None:
    """Remove what an earlier life has parked: a conversation that is forgotten shall be nowhere."""
    for file in folder.glob("conversation-*.kv*"):
        file.unlink(missing_ok=True)
    (folder / _INDEX).unlink(missing_ok=True)
