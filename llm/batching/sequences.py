"""Which tokens each KV sequence of a model holds, and which of them a new prompt can keep. Pure.

A sequence is a numbered row of the KV cache. While a request is answered it *holds* one; afterwards the
sequence stays as it is, idle, until somebody continues it or needs its room. A conversation's next turn finds
its own sequence and pays only for the tokens that are new; other prompts that begin alike (a common system
prompt) copy that beginning, which in a unified KV cache copies no data.

What lies idle in the cache is not free: every step passes over its cells. So more than some of it is *offloaded*:
its keys and values go into ordinary memory, and come back when somebody continues it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

__all__ = ["KvSequence", "Placement", "SequenceTable", "common_prefix"]

SHARE_AT_LEAST = 16
"""Fewer common tokens than this are not worth another sequence's attention."""


@dataclass(slots=True)
class KvSequence:
    id: int
    tokens: list[int] = field(default_factory=list)
    """Token at every position that is in the KV cache (or in the batch that is about to run)."""
    conversation: str | None = None
    holder: int | None = None
    """The request that uses it now."""
    last_used: float = 0.0
    adapters: tuple[tuple[int, float], ...] = ()
    """The LoRA adapters its tokens were computed with; with others they mean something else."""
    extra: int = 0
    """Cells it takes beside one for every token (images)."""
    offloaded: bool = False
    """Its keys and values lie beside the cache; only ever while it is idle."""

    @property
    def size(self) -> int:
        """Cells it takes when it is in the cache."""
        return len(self.tokens) + self.extra if self.tokens else 0

    @property
    def cells(self) -> int:
        return 0 if self.offloaded else self.size


@dataclass(frozen=True, slots=True)
class Placement:
    """Use `sequence`: clear it if `clear`, else cut it to `keep`; then copy `keep` tokens of `donor`, if any."""

    sequence: KvSequence
    keep: int
    donor: KvSequence | None = None
    clear: bool = False


def common_prefix(a: list[int], b: list[int]) -> int:
    """Length of the common beginning. Slices are compared in C, so it is fast where it counts."""
    limit = min(len(a), len(b))
    if limit == 0 or a[0] != b[0]:
        return 0
    if a[:limit] == b[:limit]:
        return limit
    return bisect_left(range(1, limit + 1), True, key=lambda n: a[:n] != b[:n])


class SequenceTable:
    """`rewind` False is for models whose state cannot be cut back (recurrent ones): only whole states are reused."""

    def __init__(self, count: int, rewind: bool = True) -> None:
        self.all = tuple(KvSequence(number) for number in range(count))
        self.rewind = rewind

    @property
    def idle_tokens(self) -> int:
        return sum(len(row.tokens) + row.extra for row in self._resident())

    def surplus(self, resident: int, unowned: int, most: int) -> KvSequence | None:
        """The idle sequence to offload, where more than `resident` idle tokens are in the cache, or more than
        `unowned` of no conversation. Not one with images, nor one of more than `most` tokens: it would have to be
        given up, and is better where it is, although it costs every step some time."""
        idle = self._resident()
        if sum(len(row.tokens) + row.extra for row in idle) <= resident and (
            sum(len(row.tokens) for row in idle if row.conversation is None and not row.extra) <= unowned
        ):
            return None
        able = (row for row in idle if not row.extra and len(row.tokens) <= most)
        return min(able, key=_missed, default=None)

    def too_many(self, row: KvSequence | None, most: int) -> list[KvSequence]:
        """Those to empty so that no more than `most` tokens are offloaded when `row` is, too; maybe `row` itself."""
        new = () if row is None else (row,)
        offloaded = sorted((*(other for other in self.all if other.offloaded), *new), key=_missed)
        total = sum(other.size for other in offloaded)
        gone = 0
        while total > most:
            total -= offloaded[gone].size
            gone += 1
        return offloaded[:gone]

    def place(
        self, prompt: list[int], conversation: str | None, adapters: tuple[tuple[int, float], ...] = ()
    ) -> Placement | None:
        """Where to run this prompt. At least its last token is always computed anew: its logits are needed.

        The sequence: 1. the conversation's own, if idle; 2. an idle one that belongs to nobody and of which the
        prompt keeps at least half; 3. an empty one; 4. the idle one that is missed least. None: all are held.
        The beginning: 5. a donor, held or idle, if it has SHARE_AT_LEAST tokens more; 6. else what it has itself.
        """
        head = prompt[:-1]
        matches = {row.id: self._usable(row, head) for row in self.all if row.tokens and row.adapters == adapters}
        row = self._own(conversation) or self._alike(matches) or self._empty() or self._least_missed()
        if row is None:
            return None
        own = matches.get(row.id, 0)
        if self.rewind and matches:
            donor = max(self.all, key=lambda candidate: matches.get(candidate.id, 0))
            if donor is not row and matches.get(donor.id, 0) >= own + SHARE_AT_LEAST:  # 5
                return Placement(row, matches[donor.id], donor, clear=True)
        return Placement(row, own, clear=own == 0)  # 6

    def hold(
        self,
        row: KvSequence,
        holder: int,
        conversation: str | None,
        keep: int,
        prompt: list[int],
        adapters: tuple[tuple[int, float], ...] = (),
        extra: int = 0,
    ) -> None:
        """Begin to use a placed sequence. A conversation has one sequence: the newest."""
        if conversation is not None:
            for other in self.all:
                if other.conversation == conversation:
                    other.conversation = None
        row.tokens = prompt[:keep]
        row.conversation = conversation
        row.holder = holder
        row.adapters = adapters
        row.extra = extra
        row.offloaded = False

    def release(self, row: KvSequence, now: float) -> None:
        row.holder = None
        row.last_used = now

    def of(self, conversation: str) -> KvSequence | None:
        return next((row for row in self.all if row.conversation == conversation), None)

    def victim(self, spare: tuple[KvSequence | None, ...]) -> KvSequence | None:
        """The idle sequence to empty when room is short; never one of `spare`."""
        idle = (row for row in self._resident() if row not in spare)
        return min(idle, key=_missed, default=None)

    def _usable(self, row: KvSequence, head: list[int]) -> int:
        match = common_prefix(row.tokens, head)
        if not self.rewind and (match < len(row.tokens) or row.holder is not None):
            return 0
        return match

    def _own(self, conversation: str | None) -> KvSequence | None:  # 1
        row = None if conversation is None else self.of(conversation)
        return row if row is not None and row.holder is None else None

    def _alike(self, matches: dict[int, int]) -> KvSequence | None:  # 2
        free = [row for row in self.all if row.holder is None and row.conversation is None and row.id in matches]
        best = max(free, key=lambda row: matches[row.id], default=None)
        if best is None or matches[best.id] < SHARE_AT_LEAST or 2 * matches[best.id] < len(best.tokens):
            return None
        return best

    def _empty(self) -> KvSequence | None:  # 3
        return next((row for row in self.all if row.holder is None and not row.tokens), None)

    def _least_missed(self) -> KvSequence | None:  # 4
        return min(self._idle(), key=_missed, default=None)

    def _idle(self) -> list[KvSequence]:
        return [row for row in self.all if row.holder is None and row.tokens]

    def _resident(self) -> list[KvSequence]:
        """Idle ones that are in the cache."""
        return [row for row in self.all if row.holder is None and row.tokens and not row.offloaded]


def _missed(row: KvSequence) -> tuple[bool, float]:
    """Nobody's is missed less than a conversation's, then the one unused for longest."""
    return row.conversation is not None, row.last_used
