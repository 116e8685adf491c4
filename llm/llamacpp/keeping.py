"""What is done with states in files, and what the batcher is told of it. The engine's thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from llm.batching import events as batch
from llm.batching.batcher import Batcher
from llm.engine import SlotAction
from llm.errors import BackendFailed, Overloaded
from llm.llamacpp.loaded import Loaded
from models.errors import BadInput, ParleyError

__all__ = ["keep_sequence", "restore_parked"]


def restore_parked(loaded: Loaded, batcher: Batcher, now: float) -> int:
    """Read what the last life of this worker has parked, the newest first, as far as there is room."""
    count = 0
    for kept in loaded.parked():
        row = next((row for row in batcher.sequences.all if row.holder is None and not row.tokens), None)
        room = batcher.limits.pool - batcher.reserved - batcher.sequences.idle_tokens
        if row is None or (tokens := loaded.load_state(row.id, kept.file, room)) is None:
            break
        batcher.step(batch.Restored(row.id, tokens, kept.conversation, kept.adapters), now)
        count += 1
    loaded.clear_parked()
    return count


def keep_sequence(
    loaded: Loaded, batcher: Batcher, action: SlotAction, sequence: int, file: Path | None, now: float
) -> tuple[list[batch.Action], Callable[[], int | ParleyError] | int | ParleyError]:
    """What is to be done first, and then the answer: a number of tokens, or what was wrong."""
    rows = batcher.sequences.all
    if not 0 <= sequence < len(rows):
        return [], BadInput(f"there is no slot {sequence} (0 to {len(rows) - 1})", param="id")
    row = rows[sequence]
    if row.holder is not None:
        return [], Overloaded(f"slot {row.id} is in use", hint="wait for the end of its reply")
    count = len(row.tokens)
    if action == "save":
        if not row.tokens or file is None or row.extra:
            return [], BadInput(f"slot {row.id} holds nothing that can be saved", param="id")
        saved = loaded.save_state(row.id, row.tokens, file)
        return [], count if saved else BackendFailed("the state could not be written", hint="is the disk full?")
    actions = batcher.step(batch.Emptied(row.id), now)
    if action == "erase":
        return actions, count

    def restore() -> int | ParleyError:
        assert file is not None
        room = batcher.limits.pool - batcher.reserved - batcher.sequences.idle_tokens
        tokens = loaded.load_state(row.id, file, min(room, batcher.limits.context))
        if tokens is None:
            return BadInput(f"{file.name} is no state of this model, or there is no room for it", param="filename")
        batcher.step(batch.Restored(row.id, tokens, None), now)
        return len(tokens)

    return actions, restore
