"""Speculative decoding in the batcher: when tokens are guessed, and what becomes of a guess. Pure.

Only a reply that is alone is guessed ahead: beside others the step is better used for theirs. What the model says
after each guessed token is sampled in turn, so the reply is the one it would have been; only the first token that was
guessed wrongly, and what comes after it, has to leave the cache again.
"""

from __future__ import annotations

from llm.batching.drafting import Payoff, PromptLookup
from llm.batching.events import Action, Limits, Row, Sampled, Trim
from llm.batching.requests import Active, Statistics

__all__ = ["guess", "judge"]


def guess(
    active: Active, pending: int, limits: Limits, counted: Statistics, payoff: Payoff, alone: bool
) -> list[int]:
    """What may come after `pending`, which is about to be read; never more than the reply may still have."""
    if not (alone and limits.draft and limits.rewind and active.job.draft):
        active.lookup = None
        return []
    if active.lookup is None:
        active.lookup = PromptLookup((*active.row.tokens, pending), limits.draft)
    if not payoff.wanted:
        return []
    found = active.lookup.guess(min(active.limit - active.written, limits.step_tokens) - 1)
    counted.guessed_tokens += len(found)
    return found


def judge(
    active: Active, rows: tuple[Row, ...], sampled: Sampled, counted: Statistics, payoff: Payoff, seconds: float
) -> list[Action]:
    """After the step, or several, of so many seconds: learn what is certain now, and what the guess was worth."""
    row = next((row for row in rows if row.job_id == active.job.id), None)
    if active.lookup is None or row is None:
        return []
    counted.right_tokens += sampled.right
    payoff.ran(row.guessed, 1 + sampled.right + len(sampled.read), seconds)
    active.lookup.told(row.guessed, sampled.right)
    active.lookup.add((*row.tokens[1 : 1 + sampled.right], *sampled.read, sampled.token))
    if wrong := row.guessed - sampled.right:
        del active.row.tokens[-wrong:]
        return [Trim(active.row.id, len(active.row.tokens))]
    return []
