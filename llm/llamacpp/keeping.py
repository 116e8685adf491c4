"""KV states in files: saving, restoring and erasing them, and telling the batcher. Called in the engine's thread.

When a model leaves its slot, what its sequences hold is put away; when it is loaded again and a prompt comes that
begins like one of them, that one is read back before the prompt is placed. All others stay where they are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from llm.batching import events as batch
from llm.batching.batcher import Batcher
from llm.batching.sequences import SHARE_AT_LEAST, common_prefix
from llm.engine import SlotAction
from llm.errors import BackendFailed, Overloaded
from llm.llamacpp.loaded import Loaded
from llm.llamacpp.state_store import mark_of
from models.clock import Clock
from models.errors import BadInput, ParleyError

__all__ = ["fetch", "keep_sequence", "put_away"]

PUT_AWAY_WITHIN_S = 1.5
"""The supervisor waits three seconds for the process to end, and it has more to do."""
BYTES_PER_S = 400e6
"""What a disk is thought to write until the first file has been timed."""

log = structlog.get_logger(__name__)


def put_away(loaded: Loaded, batcher: Batcher, clock: Clock) -> int:
    """Write what the sequences hold, the last used first, as far as time and disk reach; how many were written."""
    state_store = loaded.state_store
    if state_store is None:
        return 0
    until, rate, count = clock.now() + PUT_AWAY_WITHIN_S, BYTES_PER_S, 0
    rows = [row for row in batcher.sequences.all if row.holder is None and not row.extra]
    rows = [row for row in rows if len(row.tokens) >= SHARE_AT_LEAST]
    for row in sorted(rows, key=lambda row: -row.last_used):
        if row.offloaded and not loaded.offloaded.reload(row.id, row.id):
            continue
        size, began = loaded.state_size(row.id), clock.now()
        if not size or began + size / rate > until:
            continue

        def save(file: Path, sequence: int = row.id, tokens: list[int] = row.tokens) -> bool:
            return loaded.save_state(sequence, tokens, file)

        used_at = clock.wall().timestamp() - (began - row.last_used)
        if not state_store.put(row.tokens, row.conversation, row.adapters, size, save, used_at):
            break
        rate = size / max(clock.now() - began, 1e-6)
        loaded.decoder.clear(row.id)  # makes room for one that is offloaded
        count += 1
    log.info("states.kept", sequences=count, of=len(rows))
    return count


def fetch(loaded: Loaded, batcher: Batcher, job: batch.Job, now: float) -> None:
    """Read back the state that begins like this prompt, if it holds more of it than any sequence and there is room.

    Whatever is wrong with the file, the prompt is computed instead.
    """
    state_store = loaded.state_store
    if not state_store:
        return
    entry = state_store.best(job.tokens, job.conversation, job.adapters, whole=not batcher.limits.rewind)
    if entry is None:
        return
    head = job.tokens[:-1]
    rows = batcher.sequences.all
    here = max((common_prefix(row.tokens, head) for row in rows if row.adapters == job.adapters), default=0)
    free = next((row for row in rows if row.holder is None and not row.tokens), None)
    room = batcher.limits.pool - batcher.reserved - batcher.sequences.idle_tokens
    if free is None or len(entry.tokens) > room or common_prefix(entry.tokens, head) < here + SHARE_AT_LEAST:
        return

    def load(file: Path) -> bool:
        return loaded.load_state(free.id, file, len(entry.tokens)) == entry.tokens

    if state_store.take(entry, load):
        own = job.conversation if entry.conversation == mark_of(job.conversation) else None
        batcher.step(batch.Restored(free.id, entry.tokens, own, job.adapters), now)


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

        def save() -> int | ParleyError:
            if row.offloaded or not row.tokens:
                return Overloaded(f"there is no room for slot {row.id} in the cache", hint="try again later")
            saved = loaded.save_state(row.id, row.tokens, file)
            return count if saved else BackendFailed("the state could not be written", hint="is the disk full?")

        return batcher.step(batch.Wanted(row.id), now), save
    actions = batcher.step(batch.Emptied(row.id), now)
    if action == "erase":
        return actions, count

    def restore() -> int | ParleyError:
        assert file is not None
        room = batcher.limits.pool - batcher.reserved - batcher.sequences.idle_tokens
        tokens = loaded.load_state(row.id, file, min(room, batcher.limits.context))
        if tokens is None:
            return BadInput(f"{file.name} is not a state of this model, or there is no room for it", param="filename")
        batcher.step(batch.Restored(row.id, tokens, None), now)
        return len(tokens)

    return actions, restore
