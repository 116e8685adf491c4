"""Guessing the next tokens of a reply by what followed the same tokens before, in the prompt or in the reply. Pure.

Replies often repeat what the prompt says: names, code, sentences that are quoted or corrected. The guess costs
nothing; the model then checks all of it in one step, and keeps what it would have written anyway.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Payoff", "PromptLookup"]

FIRST = 2.0
"""Tokens of the first guess."""
TRIES = 4
"""Steps with a guess before it is judged whether they pay."""
SKIP, SKIP_MOST = 32, 512
"""Tokens without a guess where they do not pay; twice as many each time in a row."""
LONGEST, SHORTEST = 4, 2
"""Tokens that must be the same: more of them are right more often, fewer are found more often."""


class Payoff:
    """Whether guesses gain time, with this model on this machine and what is written of late: a wider step takes
    longer, on CPUs much, and so does the step after it, for llama.cpp has to plan anew.
    """

    def __init__(self) -> None:
        self._plain_s: float | None = None  # what a token costs without a guess
        self._gained_s = 0.0
        self._tries = 0
        self._after_guess = False
        self._skip, self._skips = 0, SKIP

    @property
    def wanted(self) -> bool:
        return self._skip <= 0

    def ran(self, guessed: int, tokens: int, seconds: float) -> None:
        """A step of a reply that was alone, or several without a guess, gave so many tokens."""
        after, self._after_guess = self._after_guess, guessed > 0
        if not guessed and not after:
            token_s = seconds / tokens
            self._plain_s = token_s if self._plain_s is None else 0.7 * self._plain_s + 0.3 * token_s
            self._skip -= tokens
            return
        self._tries += guessed > 0
        self._gained_s += tokens * (self._plain_s or 0.0) - seconds
        if self._tries >= (4 * TRIES if guessed else TRIES):
            pays = self._gained_s > 0 and self._plain_s is not None
            self._gained_s, self._tries = 0.0, 0
            self._skip = 0 if pays else self._skips
            self._skips = SKIP if pays else min(2 * self._skips, SKIP_MOST)


class PromptLookup:
    """Of one reply. It guesses more after a guess that was right and less after one that was wrong."""

    def __init__(self, tokens: Iterable[int], most: int) -> None:
        self._most = most
        self._tokens: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        self._width = min(float(most), FIRST)
        self.add(tokens)

    def add(self, tokens: Iterable[int]) -> None:
        """What was read or written since. Numbers below zero (images) are never guessed."""
        known = self._tokens
        for token in tokens:
            end = len(known)
            for length in range(SHORTEST, LONGEST + 1):  # what comes before this token, and where it goes on
                if end >= length:
                    self._after[tuple(known[end - length :])] = end
            known.append(token)

    def guess(self, room: int) -> list[int]:
        """At most `room` tokens; none where nothing like the last ones was there before."""
        known, most = self._tokens, min(room, round(self._width))
        if most <= 0:
            return []
        for length in range(min(LONGEST, len(known)), SHORTEST - 1, -1):
            start = self._after.get(tuple(known[-length:]))
            if start is not None:
                return self._copied(start, most)
        return []

    def told(self, guessed: int, right: int) -> None:
        """How many of the last guess were right, counted from its first."""
        if not guessed:
            return
        if right == guessed:
            self._width = min(float(self._most), 2 * self._width + 1)
        else:
            self._width = max(1.0, (self._width + right) / 2)

    def _copied(self, start: int, most: int) -> list[int]:
        """What stands there; past the end it repeats what it has itself guessed."""
        found: list[int] = []
        for number in range(start, start + most):
            token = self._tokens[number] if number < len(self._tokens) else found[number - len(self._tokens)]
            if token < 0:
                break
            found.append(token)
        return found
