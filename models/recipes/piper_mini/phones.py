"""The phonemes: what espeak-ng calls them, what Piper's ids stand for, and what is mark or pause."""

from __future__ import annotations

__all__ = [
    "CONSONANTS",
    "LONG",
    "MARKS",
    "PAUSES",
    "SILENCE",
    "STRESS",
    "SYMBOLS",
    "VOWELS",
    "nearest",
    "symbols_of",
]

# espeak-ng's mnemonics of its en-us phonemes.
VOWELS = "a aa A: 0 V I i: i E 3: O: U u: @ eI aI OI oU aU 3 I2".split()
CONSONANTS = "p b t d k g tS dZ f v T D s z S Z h m n N l r w j t# ?".split()

SILENCE = "_"
SYMBOLS = (SILENCE, *"iɪeɛæaɑɒʌəɐɜɔoʊuɚᵻpbtdkɡfvθðszʃʒhmnŋlɹwjɾʔ")
"""What has a sound of its own: one code point of IPA each, as Piper takes phonemes apart."""
STRESS = {"ˈ": 1.0, "ˌ": 0.5}
"""Marks of a stressed syllable, and how much of the accent it gets."""
LONG = "ː"
PAUSES = {",": 0.16, ";": 0.2, ":": 0.2, ".": 0.3, "!": 0.3, "?": 0.3, "^": 0.02, "$": 0.06}
"""Seconds of silence."""
MARKS = frozenset(" _-'\"()̩̯̪̃ʰʲʷ˞")
"""No time at all (Piper's id 0 stands between any two phonemes)."""

_LIKE = {
    "g": "ɡ", "ɫ": "l", "r": "ɹ", "ʁ": "ɹ", "ɻ": "ɹ", "x": "h", "ç": "ʃ", "χ": "h", "ɦ": "h", "y": "i", "ʏ": "ɪ",
    "ø": "ɜ", "œ": "ɛ", "ɨ": "ᵻ", "ɯ": "u", "ɤ": "ʌ", "ɘ": "ə", "ɵ": "ə", "ʉ": "u", "ɶ": "æ", "ɲ": "n", "ɳ": "n",
    "ɱ": "m", "ʎ": "l", "ɭ": "l", "ɬ": "l", "ɸ": "f", "β": "v", "ʋ": "v", "ɕ": "ʃ", "ʑ": "ʒ", "ʂ": "ʃ", "ʐ": "ʒ",
    "ɣ": "ɡ", "q": "k", "c": "k", "ɟ": "d", "ʈ": "t", "ɖ": "d", "ɢ": "ɡ", "ʍ": "w", "ɥ": "j", "ʝ": "j", "ɽ": "ɾ",
    "ʀ": "ɹ", "ɝ": "ɚ", "ε": "ɛ", "ʦ": "s",
}  # fmt: skip


def nearest(phoneme: str) -> str:
    """The symbol that sounds for a phoneme of Piper's table that we have not recorded; a schwa for the strange."""
    if phoneme in SYMBOLS:
        return phoneme
    return _LIKE.get(phoneme[:1], phoneme[:1] if phoneme[:1] in SYMBOLS else "ə")


def symbols_of(name: str) -> list[str]:
    """An espeak phoneme's IPA name as symbols, with its length mark as one more of the same: "ˈɜː" is ɜ ɜ."""
    found: list[str] = []
    for char in name:
        if char == LONG and found:
            found.append(found[-1])
        elif char in SYMBOLS and char != SILENCE:
            found.append(char)
    return found
