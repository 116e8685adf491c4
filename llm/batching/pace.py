"""How long a decode step may take, so that those who write, and those who speak, hardly wait for it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llm.batching.events import Limits, Row
from llm.batching.requests import Active
from llm.messages import Priority

__all__ = ["Pace"]

FIRST_CHUNK = 64
"""Prompt tokens in a step while the machine's speed is not yet known."""
SMALLEST_CHUNK = 16
WIDE = 64
"""From so many tokens a step on, llama.cpp's attention on CPUs works in tiles, several times faster a token: a model
of 120 M parameters with 600 tokens of history took 98 ms for 8 tokens, 364 for 63, and 141 for 64."""
STRETCH = 2.0
"""So much longer than wanted may a step take to be wide."""
VOICE_LATELY_S = 30.0
"""So long after a voice turn the next one is expected, and steps with the prompts of others stay shorter yet: the
turn has to wait for the end of the step it comes in."""
QUICK_S = 0.01
QUICK_CHUNK = 8
PAUSE_S = 0.3
GUESSING_S, BURST_S = 0.01, 0.05
"""Steps of a small model take a fraction of this; between them the batcher is not asked for so long, or, where it may
have a guess what comes next, for less."""


class Pace:
    """Times are seconds of one clock."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._token_s: float | None = None  # what one prompt token costs in a wide step, or in any that was seen
        self._narrow_s: float | None = None  # and in others
        self._voice_at = -VOICE_LATELY_S
        self._step_s: float | None = None  # of a step of replies only
        self._paused_at: float | None = None  # since then steps have been for voice turns only

    def voice(self, now: float) -> None:
        """A voice turn has come or gone."""
        self._voice_at = now

    def makes_way(self, requests: Iterable[Active], now: float) -> bool:
        """Whether the next step is for voice turns only: while a voice prompt is read. Others wait no longer than
        PAUSE_S in a row."""
        if not any(active.job.priority is Priority.VOICE and active.unread for active in requests):
            self._paused_at = None
        elif self._paused_at is None:
            self._paused_at = now
        elif now > self._paused_at + PAUSE_S:
            self._paused_at = None
        return self._paused_at is not None

    def chunks(self, replies: int, now: float) -> tuple[int, int]:
        """Prompt tokens in a step beside so many replies: at most, and of requests that are no voice turns."""
        most = self._chunk(replies, self._limits.step_s, SMALLEST_CHUNK)
        lately = now < self._voice_at + VOICE_LATELY_S
        return most, self._chunk(replies, QUICK_S, QUICK_CHUNK) if lately else most

    def burst(self, guessing: bool) -> int:
        """Steps of replies only that may follow each other at once."""
        longest_s = GUESSING_S if guessing else BURST_S
        return 1 if self._step_s is None else max(1, int(longest_s / max(self._step_s, 1e-6)))

    def ran(self, rows: Sequence[Row], seconds: float, steps: int = 1) -> int:
        """Learn what a prompt token costs; the prompt tokens of the step. A lone token is a reply (or costs as much)
        and says little about prompts; an image less. After the first of several steps each row had one token."""
        tokens = sum(len(row.tokens) for row in rows)
        if tokens == len(rows):
            self._step_s = _learned(self._step_s, seconds / steps)
        prompt = sum(len(row.tokens) for row in rows if len(row.tokens) > 1 and not row.guessed)
        if prompt >= QUICK_CHUNK and all(row.media is None for row in rows):
            cost = seconds / tokens
            if tokens < WIDE:
                self._narrow_s = _learned(self._narrow_s, cost)
            if tokens >= WIDE or (self._token_s is None and prompt >= SMALLEST_CHUNK):
                self._token_s = _learned(self._token_s, cost)
        return prompt

    def _chunk(self, replies: int, step_s: float, smallest: int) -> int:
        if self._token_s is None:
            wanted = FIRST_CHUNK
        else:
            wanted = int(step_s / max(self._token_s, 1e-9))
            if wanted + replies < WIDE:
                wanted = self._narrow_or_wide(replies, step_s, smallest, self._token_s)
        return max(0, min(self._limits.step_tokens - replies, max(smallest, wanted)))

    def _narrow_or_wide(self, replies: int, step_s: float, smallest: int, wide_s: float) -> int:
        """A wide step where it is short enough, or hardly longer than the narrow one."""
        narrow_s = wide_s if self._narrow_s is None else self._narrow_s
        narrow = max(smallest, int(step_s / max(narrow_s, 1e-9)))
        longest = STRETCH * max(step_s, (narrow + replies) * narrow_s)
        return WIDE - replies if WIDE * wide_s <= longest else narrow


def _learned(before: float | None, cost: float) -> float:
    return cost if before is None else 0.7 * before + 0.3 * cost
