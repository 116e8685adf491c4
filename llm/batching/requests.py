"""What the batcher keeps of a request that waits and of one that is being answered, and its counters. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from llm.batching.drafting import PromptLookup
from llm.batching.events import Job, Media, Row
from llm.batching.sequences import KvSequence
from llm.messages import Priority

__all__ = ["Active", "Statistics", "Waiting", "next_row", "rank"]

AGED_AFTER_S = 30.0
"""Batch work that has waited this long is treated as interactive, so that it is not starved."""


@dataclass(slots=True)
class Statistics:
    """Counted since the start. `widths[n]`: decode steps that carried n sequences."""

    steps: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cancelled: int = 0
    refused: int = 0
    guessed_tokens: int = 0
    right_tokens: int = 0
    """Of the guessed ones."""
    offloaded: int = 0
    reloaded: int = 0
    preempted: int = 0
    """Steps that were broken off for a voice turn, or because nobody wanted them any more."""
    widths: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Waiting:
    job: Job
    since: float
    behind: tuple[int, int] | None = None
    """(job, tokens): it waits until that request has computed that many, which they have in common."""


@dataclass(slots=True)
class Active:
    job: Job
    row: KvSequence
    cached: int
    limit: int
    """Tokens it may write."""
    written: int = 0
    pending: int | None = None
    """Sampled, not yet in the KV cache."""
    sampling: bool = False
    """Its token is being computed."""
    lookup: PromptLookup | None = None

    @property
    def unread(self) -> int:
        """Prompt tokens not yet in the KV cache."""
        return 0 if self.written else max(0, len(self.job.tokens) - len(self.row.tokens))

    def next_media(self, at: int) -> tuple[int, Media | None]:
        """The image or recording at this position or after it, with its number."""
        for number, media in enumerate(self.job.media):
            if at < media.start + media.count:
                return number, media
        return 0, None


def rank(waiting: Waiting, now: float) -> int:
    aged = waiting.job.priority is Priority.BATCH and now - waiting.since > AGED_AFTER_S
    return Priority.INTERACTIVE.value if aged else waiting.job.priority.value


def next_row(active: Active, tokens: list[int], sample: bool, media: int | None = None, guessed: int = 0) -> Row:
    """Tokens for the next step. They count as held from now on: the step is going to put them there."""
    made = Row(active.job.id, active.row.id, len(active.row.tokens), tokens, sample, media, guessed)
    active.row.tokens.extend(tokens)
    active.sampling = sample
    return made
