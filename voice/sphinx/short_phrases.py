"""Which of a few short phrases a sound is.

The ordinary decoder hears a lone "stop" as "open" about every other time: a language model of requests has little
to say about a single word, and 3,400 words are many to choose from. Here the whole sound has to be one of the
phrases. Each is scored by itself (phrase_scores.py), and a small network weighs all of the scores: four kinds
compete, what stops us, what says "go on", what asks, and everything else. It was fitted to synthetic voices in
synthetic rooms (models/bundled/short-phrases.md); the sounds themselves are judged by pocketsphinx's model, which
learned from people. Google's speech embedding, where its files are there (they come with wake words), has as much to
say on the kind as these scores (sound_kinds.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog

from voice.errors import SttFailed
from voice.port import Pcm
from voice.sphinx.acoustics import Acoustics, Floats
from voice.sphinx.features import ENERGY_OFFSET, features
from voice.sphinx.kind_network import likely_kinds
from voice.sphinx.phrase_scores import PhraseScores, Scores
from voice.sphinx.sound_kinds import SoundKinds
from voice.sphinx.speech_span import speech_span

__all__ = ["KINDS", "Heard", "PhraseTable", "ShortPhrases", "evidence", "hear", "pronunciations", "short_span"]

RATE_HZ = 16_000
LONGEST_S = 1.9
"""Of the sound with its margins: what lasts longer is no short phrase."""
SHORTEST_S = 0.25
WARPS = (0.96, 1.04)
KINDS = ("stop", "murmur", "question", "else")
INTERRUPTING = (0, 2)
SURE = 0.65
"""Probability from which on a sound interrupts: a reply that goes on can still be stopped, by the transcript, but one
that was stopped for an "okay" is lost."""
AGREES = 0.5
"""Probability of a murmur from which on nobody waits for the transcript."""
SECOND_SHARE = 0.5
"""Of the second opinion, of the logarithm of a probability."""
UNLIKELY = 1e-6
WORST = -4.0
NATS = 8.0
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
    """What was fitted: a network of one hidden layer. `kinds` are indices of KINDS, of `phrases`; `more` are phrases
    that stop us and were not fitted. `hidden` [evidence + 1, units] and `out` [units + 1, KINDS] have the biases in
    their last rows."""

    phrases: tuple[str, ...]
    kinds: npt.NDArray[np.int64]
    hidden: Floats
    out: Floats
    more: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> PhraseTable:
        found = json.loads(path.read_text("utf-8"))
        return cls(
            tuple(found["phrases"]),
            np.array([KINDS.index(each) for each in found["kinds"]]),
            np.array(found["hidden"], np.float32),
            np.array(found["out"], np.float32),
        )

    def with_stops(self, phrases: Sequence[str]) -> PhraseTable:
        return replace(self, more=tuple(phrases))

    def weigh(self, scores: Scores, second: Floats | None = None) -> Heard:
        """`scores`: of the phrases, and of those that are `more`; `second`: probabilities of the KINDS by another way
        of hearing, which knows nothing of what is `more`."""
        over, frames = scores.phrases - scores.loop, scores.frames
        kinds = np.concatenate((self.kinds, np.zeros(len(self.more), np.int64)))
        likely = likely_kinds(evidence(over, frames, kinds, len(self.phrases)), self.hidden, self.out)
        if second is not None and int(over.argmax()) < len(self.phrases):
            likely = (likely + UNLIKELY) ** (1 - SECOND_SHARE) * (second + UNLIKELY) ** SECOND_SHARE
            likely /= likely.sum()
        if sum(likely[kind] for kind in INTERRUPTING) >= SURE:
            kind = max(INTERRUPTING, key=lambda each: likely[each])
        else:
            kind = 1 if likely[1] >= AGREES else 3
        among = np.where(kinds == kind, over, -np.inf)
        phrase = (*self.phrases, *self.more)[int(among.argmax())] if (kinds == kind).any() else ""
        return Heard(KINDS[kind], phrase, float(likely[kind]))


def evidence(over: Floats, frames: int, kinds: npt.NDArray[np.int64], fitted: int) -> Floats:
    """What the network sees: [2 * fitted + 6] for `over`, how much better each phrase explains `frames` of a sound
    than any phones do, in nats: how the `fitted` first ones stand to the best, a frame and altogether, the best of
    each kind, the best, and how long it was."""
    a_frame = over / frames
    best, most = a_frame.max(), over.max()
    each = [a_frame[kinds == kind] for kind in range(len(KINDS) - 1)]
    found: Floats = np.concatenate(
        (
            np.maximum(a_frame[:fitted] - best, WORST),
            np.exp(np.maximum(over[:fitted] - most, -60.0) / NATS),
            np.array([max(WORST, some.max(initial=-np.inf) - best) for some in each]),
            np.array([max(best, WORST), frames / FRAMES, max(best, WORST) * frames / FRAMES]),
        ),
        dtype=np.float32,
    )
    return found


@dataclass(frozen=True, slots=True)
class Heard:
    kind: str
    phrase: str
    """The likeliest of its kind."""
    probability: float
    """Of the kind."""


def short_span(audio: Pcm) -> tuple[int, int] | None:
    """(first, last) sample of the sound in `audio`, 16 kHz; None: too short, too long, or nothing stands out."""
    span = speech_span(audio)
    return span if span is not None and SHORTEST_S <= (span[1] - span[0]) / RATE_HZ <= LONGEST_S else None


def hear(audio: Pcm, span: tuple[int, int], phrases: PhraseScores) -> Scores:
    """The scores of the sound at `span` of `audio` ([samples], 16 kHz) for the vocal tract that fits best."""
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
    """Confined to one thread. Raises SttFailed when the files are not what they should be.

    `sounds` weighs the speech embedding; without it, or without the embedding's own files, the phrases' scores are
    all that is heard.
    """

    def __init__(self, model: Path, dictionary: Path, table: Path, sounds: Path | None = None) -> None:
        try:
            self._acoustics = Acoustics(model)
            self._sounds = pronunciations(dictionary)
            self._fitted = PhraseTable.read(table)
            self._kinds = SoundKinds.load(sounds) if sounds is not None else None
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
        span = short_span(audio) if self._known else None
        if span is None:
            return ""
        second = self._kinds.likely(audio, span) if self._kinds is not None else None
        found = self._table.weigh(hear(audio, span, self._scores), second)
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
        self._scores = PhraseScores(self._acoustics, (*self._table.phrases, *self._table.more), self._sounds)
