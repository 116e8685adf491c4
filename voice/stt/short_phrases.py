"""Which of a few short phrases a sound is: pocketsphinx with a grammar of these, against a loop of phones.

The ordinary decoder hears a lone "stop" as "open" about every other time: a language model of requests has little
to say about a single word, and 3,400 words are many to choose from. Here the whole sound has to be one of the
phrases. It is decoded twice: once with the phrases alone, once as any sequence of phones. A phrase is believed when
it explains the sound nearly as well as the phones do, which are free to fit anything.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog

from voice.errors import SttFailed
from voice.port import Pcm
from voice.stt.speech_span import speech_span
from voice.stt.sphinx_features import features

__all__ = ["ShortPhrases"]

RATE_HZ = 16_000
LONGEST_S = 1.9
"""Of the sound with its margins: what lasts longer is no short phrase."""
SHORTEST_S = 0.25
MARGIN = -0.02
"""How much better the phones may fit, as a difference of the decoders' log scores; docs/performance.md, barge_in."""
WARPS = (0.96, 1.04)
PHONE_WEIGHT = 0.01
"""Of each phone in the loop: without a price for it a phone a frame would fit best."""
PHONES = (
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z"
).split()  # fmt: skip
SEARCH = {"beam": 1e-64, "pbeam": 1e-64, "wbeam": 1e-40, "maxhmmpf": -1, "lw": 1.0, "bestpath": False}
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
    "shut": ("SH AH T",),
}  # fmt: skip
"""Pronunciations of what people put in, beside those that the dictionary has: a synthesiser spells "mm" out."""

log = structlog.get_logger(__name__)

Cepstra = npt.NDArray[np.float32]


class ShortPhrases:
    """Confined to one thread; a decoder of 25 MB. Raises SttFailed when pocketsphinx refuses the files."""

    def __init__(self, dictionary: Path) -> None:
        import pocketsphinx

        lines = dictionary.read_text("utf-8").splitlines()
        self._words = {line.split(None, 1)[0] for line in lines if line}
        lines += self._more_sounds(lines)
        lines += [f"{_phone_word(phone)} {phone}" for phone in PHONES]
        self._words |= set(SOUNDS)
        with tempfile.NamedTemporaryFile("w", suffix=".dic", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            try:
                self._decoder: Any = pocketsphinx.Decoder(
                    pocketsphinx.Config(dict=file.name, loglevel="FATAL", lm=None, **SEARCH)
                )
            except (RuntimeError, ValueError) as error:
                raise SttFailed(f"pocketsphinx cannot start with {dictionary.name}: {error}") from error
        self._phrases: tuple[str, ...] = ()
        self._known = 0
        self._active = ""
        """The decoder crashes when it is asked for its search while it has none."""
        loop = [(at, 1, PHONE_WEIGHT, _phone_word(phone)) for phone in PHONES for at in (0, 1)]
        self._add("phones", loop)

    def _more_sounds(self, lines: Sequence[str]) -> list[str]:
        """What the dictionary lacks of `SOUNDS`, in its own form: "yeah", "yeah(2)"."""
        known: dict[str, list[str]] = {}
        for line in lines:
            word, *phones = line.split()
            known.setdefault(word.split("(")[0], []).append(" ".join(phones))
        more = []
        for word, sounds in SOUNDS.items():
            there = known.get(word, [])
            for count, sound in enumerate((each for each in sounds if each not in there), len(there) + 1):
                more.append(f"{word}({count}) {sound}" if count > 1 else f"{word} {sound}")
        return more

    def spot(self, audio: Pcm, phrases: Sequence[str]) -> str:
        """The phrase that `audio` ([samples], 16 kHz) is, silence around it aside; "" for none.

        Phrases with words that have no pronunciation are left out; the log says so once.
        """
        if tuple(phrases) != self._phrases:
            self._learn(tuple(phrases))
        span = speech_span(audio)
        if not self._known or span is None or not SHORTEST_S <= (span[1] - span[0]) / RATE_HZ <= LONGEST_S:
            return ""
        cepstra = features(audio, *span, WARPS)
        found = [self._search("phrases", each) for each in cepstra]
        best = max(range(len(found)), key=lambda index: found[index][1])
        phrase, score = found[best]
        if score == -math.inf or score - self._search("phones", cepstra[best])[1] < MARGIN:
            return ""
        return phrase

    def _learn(self, phrases: tuple[str, ...]) -> None:
        """A grammar of the phrases: from state 0 to state 1, a chain of words each."""
        self._phrases = phrases
        arcs: list[tuple[int, int, float, str]] = []
        states, unknown = 2, []
        spoken = [words for phrase in phrases if (words := phrase.lower().split())]
        for words in spoken:
            if any(word not in self._words for word in words):
                unknown.append(" ".join(words))
                continue
            chain = [0, *range(states, states + len(words) - 1), 1]
            states += len(words) - 1
            arcs += [(start, end, 1.0, word) for start, end, word in zip(chain, chain[1:], words, strict=False)]
        self._known = len(spoken) - len(unknown)
        if unknown:
            log.warning("stt.phrases_unknown", phrases=unknown, hint="their words are not in the dictionary")
        if self._known:
            self._add("phrases", arcs)

    def _add(self, name: str, arcs: list[tuple[int, int, float, str]]) -> None:
        """From state 0 to state 1."""
        self._active = ""
        self._decoder.add_fsg(name, self._decoder.create_fsg(name, 0, 1, arcs))

    def _search(self, name: str, cepstra: Cepstra) -> tuple[str, float]:
        """What was found, and its log score; minus infinity where the sound has no path through the grammar."""
        decoder = self._decoder
        if self._active != name:
            decoder.activate_search(name)
            self._active = name
        decoder.start_utt()
        decoder.process_cep(cepstra.tobytes(), no_search=False, full_utt=True)
        decoder.end_utt()
        best = decoder.hyp()
        if best is None or best.score <= 0.0:
            return "", -math.inf
        words = (word.split("(")[0] for word in best.hypstr.split())
        return " ".join(words), math.log(best.score)


def _phone_word(phone: str) -> str:
    return f"+{phone}+one"
