"""Wake words in a transcript: whether one was said where the mode wants it, and what the request is. Pure.

A word is recognised by its letters: case, accents, punctuation, apostrophes and spaces inside it do not count ("Hey,
Jarvis!", "hey-jarvis", "HeyJarvis" are all "hey jarvis", "Let’s go" is "lets go"); it has to begin and end where a
word does. An umlaut may be written with or without its dots, or with an e ("Hör zu", "Hoer zu", "Hor zu"), "ß" as
"ss", "okay" as "OK". No other letter may differ: a wake word that fires on its neighbours is worse than one that must
be said again.

The normal form of a text (`_letters`): of each character the letters and digits of its case-folded NFKD form, nothing
else, and SOFT_E behind an a, o or u with two dots. A phrase becomes a pattern over it (`_pattern`), in which an e
also stands for a SOFT_E, and a SOFT_E for an e, or for nothing. So what is written with an umlaut is what is written
with its e and what is written without its dots, but the latter two are not each other ("Hoer" is not "Hor").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from voice.session.config import WakeMode

__all__ = ["WakeCut", "cut"]

# What people say before they get to the point, in the transcripts of recognisers.
# fmt: off
_FILLERS = frozenset((
    "so", "okay", "ok", "please", "well", "and", "hey", "hi", "hello", "yo", "oh", "ah", "eh", "er", "uh", "um", "hm",
    "mm", "huh", "yeah", "yes", "now", "right", "alright", "like", "äh", "ähm", "öh", "ach", "also", "hallo", "bitte",
    "na", "ja", "und", "euh", "bon", "alors", "salut", "bonjour", "hola", "pues", "bueno", "ciao", "allora",
))
# fmt: on
_HESITATION = re.compile(r"[aeouäö]*h*m*h*|[aeouäö]+r+m*", re.IGNORECASE)
_MAX_FILLERS = 4
_MAX_FILLER_CHARS = 80
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SPACELESS = re.compile("[\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_APOSTROPHES = "'’‘ʼʹ′＇`´"
_DOTS = "\u0308"
SOFT_E = "\0"
"""In a normal form: the dots of an umlaut, which may be an e, or be left out."""
_MOST_SOFT = 2
"""Letters by which a match may be longer than it has to be, at its end."""
_SPELT = {"ø": f"o{SOFT_E}", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
"""Letters that NFKD leaves whole, as recognisers write them elsewhere."""
_PARTS = re.compile(r"[^\s_\-–—]+")
_EDGE = " \t\r\n,;:.!?…-–—，、；：。！？"
_EDGE_END = " \t\r\n,;:-–—，、；："
_JOIN_BEFORE = frozenset(",.;:!?…，。！？")


@dataclass(frozen=True, slots=True)
class WakeCut:
    """`found`: the word was said where the mode wants it. `request`: the rest, "" if there is none."""

    found: bool
    request: str


@dataclass(frozen=True, slots=True)
class _Hit:
    start: int
    end: int


def cut(text: str, words: Sequence[str], mode: WakeMode) -> WakeCut:
    """Look for one of `words` in `text`.

    pre: it stands at the start, fillers aside; what follows is the request.
    post: what precedes its last mention is the request.
    mid: it may stand anywhere; the text without it is the request.
    """
    hits = _hits(text, words)
    if not hits:
        return WakeCut(False, "")
    match mode:
        case "pre":
            end = 0
            for hit in hits:
                # Said twice, as one does when nothing happened at first, is said once.
                if not _is_filler(text[end : hit.start]):
                    break
                end = hit.end
            if end == 0:
                return WakeCut(False, "")
            request = text[end:]
        case "post":
            request = text[: hits[-1].start].rstrip(_EDGE_END)
        case "mid":
            request = _without(text, hits)
    return WakeCut(True, _trimmed(request))


def _hits(text: str, words: Sequence[str]) -> list[_Hit]:
    """Where the words stand, without overlaps, in order; of two that begin together the longer one."""
    letters, places = _letters(text)
    found: list[_Hit] = []
    taken = bytearray(len(text))
    for word in sorted({word for word in words if _letters(word)[0]}, key=_length, reverse=True):
        pattern, at = _pattern(word), 0
        while (match := pattern.search(letters, at)) is not None:
            at = match.start() + 1
            for end in range(match.end(), max(match.start(), match.end() - 1 - _MOST_SOFT), -1):
                if pattern.fullmatch(letters, match.start(), end) is None:
                    continue
                hit = _Hit(places[match.start()], _past_marks(text, places[end - 1] + 1))
                if _is_whole(text, hit) and not any(taken[hit.start : hit.end]):
                    found.append(hit)
                    taken[hit.start : hit.end] = b"\1" * (hit.end - hit.start)
                    break
    return sorted(found, key=lambda hit: hit.start)


def _length(word: str) -> int:
    return len(_letters(word)[0])


def _letters(text: str) -> tuple[str, list[int]]:
    """The normal form of a text, and for each of its letters the index that it comes from."""
    letters: list[str] = []
    places: list[int] = []
    for index, char in enumerate(text):
        if char in _APOSTROPHES:
            continue
        folded = char.casefold()
        for part in _SPELT.get(folded) or unicodedata.normalize("NFKD", folded):
            dotted = part == _DOTS and bool(letters) and letters[-1] in "aou"
            if dotted or part.isalnum() or (part == SOFT_E and folded in _SPELT):
                letters.append(SOFT_E if dotted else part)
                places.append(index)
    return "".join(letters), places


@lru_cache(256)
def _pattern(word: str) -> re.Pattern[str]:
    """What of a normal form the word is."""
    found = []
    for part in _PARTS.findall(word):
        letters = _letters(part)[0]
        if letters in ("ok", "okay"):
            found.append("ok(?:ay)?")
            continue
        for letter in letters:
            if letter == SOFT_E:
                found.append(f"[e{SOFT_E}]?")
            elif letter == "e":
                found.append(f"[e{SOFT_E}]")
            else:
                found.append(re.escape(letter) + (f"{SOFT_E}?" if letter in "aou" else ""))
    return re.compile("".join(found))


def _is_whole(text: str, hit: _Hit) -> bool:
    """Begins and ends at the border of a word; scripts without spaces have one everywhere."""
    return _is_border(text, hit.start) and _is_border(text, hit.end)


def _is_border(text: str, at: int) -> bool:
    before, after = text[at - 1 : at], text[at : at + 1]
    if _SPACELESS.match(before) or _SPACELESS.match(after):
        return True
    # An apostrophe inside a word is part of it: "Alexa's" does not call Alexa.
    if after and after in _APOSTROPHES and text[at + 1 : at + 2].isalnum():
        return False
    return not (before.isalnum() and after.isalnum())


def _past_marks(text: str, at: int) -> int:
    """Combining accents belong to the letter before them."""
    while at < len(text) and unicodedata.combining(text[at]):
        at += 1
    return at


def _is_filler(text: str) -> bool:
    # Longer than any few fillers: do not look for words in a page of text.
    if len(text) > _MAX_FILLER_CHARS:
        return False
    spoken = _WORD.findall(text)
    return len(spoken) <= _MAX_FILLERS and all(
        word.casefold() in _FILLERS or _HESITATION.fullmatch(word) for word in spoken
    )


def _without(text: str, hits: Sequence[_Hit]) -> str:
    """The text with its hits taken out and the gaps closed."""
    pieces: list[str] = []
    at = 0
    for start, end in [*((hit.start, hit.end) for hit in hits), (len(text), len(text))]:
        piece = text[at:start]
        if at:
            piece = piece.lstrip(" ,;:-–—") if pieces else piece.lstrip(_EDGE)
        at = end
        if not piece.strip():
            continue
        if pieces:
            joins = piece[0] in _JOIN_BEFORE
            pieces[-1] = pieces[-1].rstrip(_EDGE_END) if joins else pieces[-1].rstrip()
            piece = piece if joins else f" {piece}"
        if piece.strip(_EDGE) or pieces:
            pieces.append(piece)
    return "".join(pieces)


def _trimmed(request: str) -> str:
    """Without marks that hung on the wake word; a request of marks alone is none."""
    request = request.lstrip(_EDGE).rstrip(_EDGE_END)
    return request if any(char.isalnum() for char in request) else ""
