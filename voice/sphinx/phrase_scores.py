"""How well each of a few short phrases explains a sound, all of them in one pass; numpy.

Every pronunciation of every phrase is a chain of states, silence before, between and after its words as it may be.
The chains go through the sound side by side (Viterbi). Beside them runs a loop of all phones, free to fit anything:
what a phrase scores is said relative to that loop, in nats a frame.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voice.sphinx.acoustics import BEGIN, END, INTERNAL, SINGLE, Acoustics, Floats, Phone

__all__ = ["PhraseScores", "Scores"]

SILENCE = "SIL"
MOST_VARIANTS = 8
"""Pronunciations of one phrase: its words have several each."""
PHONE_COST = 4.6
"""Nats for each phone of the loop: without a price a phone a frame would fit best."""
NEVER = -1e9

_Chain = list[tuple[Phone, bool]]


@dataclass(frozen=True, slots=True)
class Scores:
    """Log likelihoods of `frames` of 10 ms: of each phrase (-1e9 where the sound is too short for it), and of the
    loop of phones."""

    phrases: Floats
    loop: float
    frames: int


class PhraseScores:
    """Of fixed `phrases`; `sounds` are the pronunciations of their words, phones each. Read only."""

    def __init__(
        self, acoustics: Acoustics, phrases: Sequence[str], sounds: Mapping[str, Sequence[Sequence[str]]]
    ) -> None:
        chains, owners = [], []
        for number, phrase in enumerate(phrases):
            words = [sounds[word] for word in phrase.split()]
            for variant in itertools.islice(itertools.product(*words), MOST_VARIANTS):
                chains.append(_chain(variant))
                owners.append(number)
        self._owners, self._count = np.array(owners), len(phrases)
        senones = self._join(acoustics, chains)
        loop = [name for name in acoustics.names if not name.startswith("+")]
        alone = np.stack([acoustics.alone(name) for name in loop])
        self._loop_moves = np.stack([acoustics.moves(name) for name in loop])
        wanted, places = np.unique(np.concatenate((senones.ravel(), alone.ravel())), return_inverse=True)
        self._places = places[: senones.size].reshape(senones.shape)
        self._loop_places = places[senones.size :].reshape(alone.shape)
        self._fit = acoustics.of(wanted)

    def _join(self, acoustics: Acoustics, chains: Sequence[_Chain]) -> npt.NDArray[np.int64]:
        """Sets the moves of all chains, log probabilities to come to a state: by staying, from the one before, and
        past an optional phone. Gives the senones: [chains, states]."""
        states = 3 * max(map(len, chains))
        senones = np.zeros((len(chains), states), np.int64)
        moves = np.zeros((len(chains), states, 2), np.float32)
        skips = np.full((len(chains), states), NEVER, np.float32)
        self._ends = np.zeros((len(chains), 2), np.int64)
        for row, chain in enumerate(chains):
            for place, (phone, optional) in enumerate(chain):
                three = slice(3 * place, 3 * place + 3)
                senones[row, three] = acoustics.senones(phone)
                moves[row, three] = acoustics.moves(phone[0])
                if optional and 0 < place < len(chain) - 1:
                    skips[row, 3 * place + 3] = 0.0
            self._ends[row] = 3 * len(chain) - 1, 3 * len(chain) - 4  # the last phone is silence, or is not
        self._stay = moves[:, :, 0]
        self._go = moves[:, :-1, 1]
        self._skip = (skips[:, 4:] + moves[:, :-4, 1]).astype(np.float32)
        return senones

    def score(self, cepstra: Floats) -> Scores:
        """`cepstra`: [frames, 13] with a mean of zero."""
        fits = self._fit(cepstra)
        return Scores(self._phrases(fits), self._loop(fits), len(cepstra))

    def _phrases(self, fits: Floats) -> Floats:
        best = np.full(self._stay.shape, NEVER, np.float32)
        best[:, 0] = best[:, 3] = 0.0  # silence, or at once
        best += fits[0][self._places]
        for frame in fits[1:]:
            moved = best + self._stay
            np.maximum(moved[:, 1:], best[:, :-1] + self._go, out=moved[:, 1:])
            np.maximum(moved[:, 4:], best[:, :-4] + self._skip, out=moved[:, 4:])
            best = moved + frame[self._places]
        rows = np.arange(len(best))
        ends = np.maximum(best[rows, self._ends[:, 0]], best[rows, self._ends[:, 1]])
        found = np.full(self._count, NEVER, np.float32)
        np.maximum.at(found, self._owners, ends)
        return found

    def _loop(self, fits: Floats) -> float:
        stay, go = self._loop_moves[:, :, 0], self._loop_moves[:, :, 1]
        best = np.full(stay.shape, NEVER, np.float32)
        best[:, 0] = 0.0
        best += fits[0][self._loop_places]
        for frame in fits[1:]:
            moved = best + stay
            np.maximum(moved[:, 1:], (best + go)[:, :-1], out=moved[:, 1:])
            again = float((best[:, 2] + go[:, 2]).max()) - PHONE_COST
            np.maximum(moved[:, 0], again, out=moved[:, 0])
            best = moved + frame[self._loop_places]
        return float(best[:, 2].max())


def _chain(words: Sequence[Sequence[str]]) -> _Chain:
    """Its phones in their context, and which of them may be left out: the silence around words."""
    silence: Phone = (SILENCE, SILENCE, SILENCE, SINGLE)
    chain: _Chain = [(silence, True)]
    for number, word in enumerate(words):
        for place, name in enumerate(word):
            last = place == len(word) - 1
            before = word[place - 1] if place else (words[number - 1][-1] if number else SILENCE)
            after = word[place + 1] if not last else (words[number + 1][0] if number < len(words) - 1 else SILENCE)
            where = SINGLE if len(word) == 1 else BEGIN if place == 0 else END if last else INTERNAL
            chain.append(((name, before, after, where), False))
        chain.append((silence, True))
    return chain
