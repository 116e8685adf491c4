"""Which words the recogniser knows, how they sound, and how often general English uses them.

Words and pronunciations come from the wheel's CMU dictionary, unigram probabilities from its general language
model; `PRONOUNCED` adds words that the dictionary lacks, written by hand in its phone set (ARPAbet, no stress).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

PRONOUNCED = """
abuja AH B UW JH AH
audiobook AO D IY OW B UH K
bratislava B R AA T IH S L AA V AH
chatbot CH AE T B AA T
coldplay K OW L D P L EY
cortana K AO R T AE N AH
eilish AY L IH SH
enya EH N Y AH
extractor IH K S T R AE K T ER
favourites F EY V ER IH T S
favourites(2) F EY V R IH T S
haha HH AA HH AA
hdmi EY CH D IY EH M AY
kathmandu K AE T M AE N D UW
kodi K OW D IY
kyiv K IY V
kyiv(2) K IY IH V
linkin L IH NG K IH N
lune L UW N
machu M AA CH UW
marrakesh M EH R AH K EH SH
mia's M IY AH Z
parley P AA R L IY
picchu P IY CH UW
preheat P R IY HH IY T
priya P R IY AH
rabat R AH B AA T
radiohead R EY D IY OW HH EH D
soundbar S AW N D B AA R
tallinn T AE L IH N
unmute AH N M Y UW T
unpause AH N P AO Z
valletta V AH L EH T AH
vientiane V Y EH N T Y AA N
winehouse W AY N HH AW S
wonderwall W AH N D ER W AO L
yara Y AA R AH
yuki Y UW K IY
"""
_VARIANT = re.compile(r"\(\d+\)$")
RARE = 1e-7
"""Probability of a word that the general model does not know."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """`entries[word]`: dictionary lines "word P R", variants numbered; `general[word]`: a unigram probability."""

    entries: dict[str, tuple[str, ...]]
    general: dict[str, float]

    def common(self, number: int) -> tuple[str, ...]:
        """The words of general English that are used most."""
        return tuple(sorted(self.general, key=lambda word: (-self.general[word], word))[:number])

    def write(self, words: Collection[str], path: Path) -> None:
        lines = (line for word in sorted(words) for line in self.entries[word])
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def load() -> Lexicon:
    """Read the wheel's dictionary and general model. Raises ImportError without pocketsphinx."""
    import pocketsphinx

    config = pocketsphinx.Config(loglevel="FATAL")
    entries: dict[str, list[str]] = {}
    text = Path(config["dict"]).read_text(encoding="utf-8") + PRONOUNCED
    for line in text.splitlines():
        if line.strip():
            head = line.split()[0]
            entries.setdefault(_VARIANT.sub("", head), []).append(" ".join(line.split()))
    log = pocketsphinx.LogMath()
    model = pocketsphinx.NGramModel(config, log, config["lm"])
    # An unknown word gives log zero, which exp() turns into zero.
    general = {word: log.exp(model.prob([word])) for word in entries}
    return Lexicon(
        {word: tuple(lines) for word, lines in entries.items()},
        {word: probability for word, probability in general.items() if probability > RARE},
    )
