"""Which of a few short phrases a sound is.

The ordinary decoder hears a lone "stop" as "open" about every other time: a language model of requests has little
to say about a single word, and 3,400 words are many to choose from. Here the whole sound has to be one of the
phrases. Each is scored by itself (phrase_scores.py), and the phrases of a kind speak for each other: what sounds a
little like "mm", "mm-hm" and "hm" is a murmur, whichever it is. Three kinds compete: what stops us, what says "go
on", and everything else, a loop of phones among it. The kinds are weighed by a table of a few hundred numbers that
was fitted to synthetic voices (models/bundled/short-phrases.md); the sounds themselves are judged by pocketsphinx's
model, which learned from people.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog

from voice.errors import SttFailed
from voice.port import Pcm
from voice.sphinx.acoustics import Acoustics, Floats
from voice.sphinx.features import ENERGY_OFFSET, features
from voice.sphinx.phrase_scores import PhraseScores, Scores
from voice.sphinx.speech_span import speech_span

__all__ = ["KINDS", "Heard", "PhraseTable", "ShortPhrases", "hear", "pronunciations"]

RATE_HZ = 16_000
LONGEST_S = 1.9
"""Of the sound with its margins: what lasts longer is no short phrase."""
SHORTEST_S = 0.25
WARPS = (0.96, 1.04)
KINDS = ("stop", "murmur", "else")
FLOOR = -400.0
WORST = -4.0
FRAMES = 50.0
"""Scales, so that what is fitted is near one."""
SOUNDS = {
    "mm": ("M", "EH M EH M"),
    "mm-hm": ("M HH M", "AH M HH AH M", "M HH AH M", "M N M", "M AH M", "EH M EH M EY CH EH M"),
    "hm": ("HH M", "HH AH M", "HH UH M"), "uh-huh": ("AH HH AH", "AH HH AA"),
    "aha": ("AA HH AA", "AH HH AA", "AH HH AE", "AA HH AH", "AO HH AO"), "oh": ("OW",), "ah": ("AA",),
    "wow": ("W AW",), "yeah": ("Y EH", "Y EH AH", "Y AE AH"), "yep": ("Y EH P",), "right": ("R AO T",),
    "cool": ("K UW AH L", "K UH L", "K UW AO L", "K AH L"), "good": ("G UW D", "G UH T"), "of": ("AH F", "AO F"),
    "course": ("K AO S",), "exactly": ("IH G Z AE K T L IY",), "really": ("R IH L IY",),
    "pause": ("P AA Z", "P AO S"),
    "halt": ("HH AO L T",), "hush": ("HH AH SH",), "silence": ("S AY L AH N S",), "enough": ("IH N AH F",),
    "shut": ("SH AH T",), "absolutely": ("AE B S AH L UW T L IY",), "yup": ("Y AH P",),
}  # fmt: skip
"""Pronunciations of what people put in, beside those that the dictionary has: a synthesiser spells "mm" out."""

log = structlog.get_logger(__name__)

Pronunciations = dict[str, list[tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class PhraseTable:
    """What was fitted. `kinds` are indices of KINDS. `biases` [phrases]; `weights` [3, phrases + 2] and `offsets` [3]
    are of how the phrases stand to one another."""

    phrases: tuple[str, ...]
    kinds: npt.NDArray[np.int64]
    biases: Floats
    per_nat: float
    per_nat_a_frame: float
    loop: tuple[float, float]
    weights: Floats
    offsets: Floats

    @classmethod
    def read(cls, path: Path) -> PhraseTable:
        found = json.loads(path.read_text("utf-8"))
        return cls(
            tuple(found["phrases"]),
            np.array([KINDS.index(each) for each in found["kinds"]]),
            np.array(found["biases"], np.float32),
            float(found["per_nat"]),
            float(found["per_nat_a_frame"]),
            (float(found["loop"][0]), float(found["loop"][1])),
            np.array(found["weights"], np.float32),
            np.array(found["offsets"], np.float32),
        )

    def with_stops(self, phrases: Sequence[str]) -> PhraseTable:
        """With more phrases that stop us; how they stand to the others is not known."""
        more = len(phrases)
        if not more:
            return self
        usual = float(self.biases[self.kinds == 0].mean())
        known = len(self.phrases)
        none = np.zeros((len(KINDS), more), np.float32)
        return PhraseTable(
            (*self.phrases, *phrases),
            np.concatenate((self.kinds, np.zeros(more, np.int64))),
            np.concatenate((self.biases, np.full(more, usual, np.float32))),
            self.per_nat,
            self.per_nat_a_frame,
            self.loop,
            np.concatenate((self.weights[:, :known], none, self.weights[:, known:]), axis=1),
            self.offsets,
        )

    def weigh(self, scores: Scores) -> Heard:
        """Softmax over the kinds."""
        over = np.maximum(scores.phrases - scores.loop, FLOOR)
        each = over * self.per_nat + over / scores.frames * self.per_nat_a_frame + self.biases
        kinds = np.array([_sum(each[self.kinds == kind]) for kind in range(len(KINDS))])
        kinds[2] = _sum(np.array([kinds[2], self.loop[0] + self.loop[1] * scores.frames / FRAMES]))
        a_frame = over / scores.frames
        best = a_frame.max()
        shape = np.concatenate((np.maximum(a_frame, WORST) - best, [best, scores.frames / FRAMES]))
        kinds += self.weights @ shape + self.offsets
        likely = np.exp(kinds - _sum(kinds))
        kind = int(likely.argmax())
        phrase = self.phrases[int(np.where(self.kinds == kind, each, -np.inf).argmax())]
        return Heard(KINDS[kind], phrase, float(likely[kind]))


@dataclass(frozen=True, slots=True)
class Heard:
    kind: str
    phrase: str
    """The likeliest of its kind."""
    probability: float
    """Of the kind."""


def hear(audio: Pcm, phrases: PhraseScores) -> Scores | None:
    """The scores of `audio` ([samples], 16 kHz) for the vocal tract that fits best; None: too short, too long, or
    nothing stands out."""
    span = speech_span(audio)
    if span is None or not SHORTEST_S <= (span[1] - span[0]) / RATE_HZ <= LONGEST_S:
        return None
    cepstra = features(audio, *span, WARPS)
    cepstra[:, :, 0] -= ENERGY_OFFSET
    return max((phrases.score(each) for each in cepstra), key=lambda scores: scores.loop)


def pronunciations(dictionary: Path) -> Pronunciations:
    """Of the dictionary's words and of SOUNDS, phones each."""
    found: Pronunciations = {}
    lines = dictionary.read_text("utf-8").splitlines()
    for word, *phones in (line.split() for line in lines if line):
        found.setdefault(word.split("(")[0], []).append(tuple(phones))
    for word, sounds in SOUNDS.items():
        known = found.setdefault(word, [])
        known += [each for sound in sounds if (each := tuple(sound.split())) not in known]
    return found


class ShortPhrases:
    """Confined to one thread. Raises SttFailed when the files are not what they should be."""

    def __init__(self, model: Path, dictionary: Path, table: Path) -> None:
        try:
            self._acoustics = Acoustics(model)
            self._sounds = pronunciations(dictionary)
            self._fitted = PhraseTable.read(table)
        except (OSError, ValueError, KeyError) as error:
            raise SttFailed(f"short phrases cannot be told apart with {model.name}: {error}") from error
        self._asked: tuple[str, ...] = ()
        self._known: frozenset[str] = frozenset()
        self._learn(())

    def spot(self, audio: Pcm, phrases: Sequence[str]) -> str:
        """The phrase that `audio` ([samples], 16 kHz) is, silence around it aside; "" for none.

        Phrases with words that have no pronunciation are left out; the log says so once.
        """
        if tuple(phrases) != self._asked:
            self._learn(tuple(phrases))
        scores = hear(audio, self._scores) if self._known else None
        if scores is None:
            return ""
        found = self._table.weigh(scores)
        return found.phrase if found.kind != "else" and found.phrase in self._known else ""

    def _learn(self, phrases: tuple[str, ...]) -> None:
        self._asked = phrases
        wanted = dict.fromkeys(" ".join(phrase.lower().split()) for phrase in phrases)
        unknown = [phrase for phrase in wanted if not all(word in self._sounds for word in phrase.split())]
        if unknown:
            log.warning("stt.phrases_unknown", phrases=unknown, hint="their words are not in the dictionary")
        self._known = frozenset(phrase for phrase in wanted if phrase and phrase not in unknown)
        fitted = frozenset(self._fitted.phrases)
        self._table = self._fitted.with_stops(sorted(self._known - fitted))
        self._scores = PhraseScores(self._acoustics, self._table.phrases, self._sounds)


def _sum(logs: npt.NDArray[np.floating]) -> float:
    """Of probabilities, in logarithms."""
    most = float(logs.max())
    return most + float(np.log(np.exp(logs - most).sum()))
