"""Pure: a transcript in the forms that OpenAI's API gives it: text, verbose_json, subtitles.

What our recognisers do not tell is filled in, for clients check that every field of a segment is there: no tokens,
and 0 for what would be the probability of silence.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.errors import BadInput
from voice.languages import name_of
from voice.port import Transcript, Word

__all__ = ["FORMATS", "Part", "check_format", "full_text", "part_of", "subtitles", "verbose", "wanted_times"]

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
_TIMES = ("segment", "word")
_LONGEST_S, _LONGEST_CHARACTERS, _PAUSE_S = 6.0, 80, 0.8
"""Of a subtitle; after a pause a new one begins."""


@dataclass(frozen=True, slots=True)
class Part:
    """What was heard in a piece of the audio. All times count from the beginning of the whole."""

    start_s: float
    end_s: float
    heard: Transcript


def part_of(start_s: float, end_s: float, heard: Transcript) -> Part:
    """`heard` has the times of its words from the beginning of the piece."""
    words = tuple(replace(w, start_s=w.start_s + start_s, end_s=w.end_s + start_s) for w in heard.words)
    return Part(start_s, end_s, replace(heard, words=words))


def check_format(shape: str) -> None:
    """Raises BadInput."""
    if shape not in FORMATS:
        raise BadInput(
            f"response_format cannot be {shape[:40]!r}", param="response_format", hint=f"one of {', '.join(FORMATS)}"
        )


def wanted_times(asked: Iterable[str]) -> frozenset[str]:
    """OpenAI's `timestamp_granularities[]`; none asked for means both. Raises BadInput."""
    wanted = frozenset(asked)
    if unknown := wanted.difference(_TIMES):
        raise BadInput(
            f"timestamp_granularities cannot be {min(unknown)[:40]!r}",
            param="timestamp_granularities",
            hint=f"any of {', '.join(_TIMES)}",
        )
    return wanted or frozenset(_TIMES)


def full_text(parts: Iterable[Part]) -> str:
    return " ".join(part.heard.text for part in parts if part.heard.text)


def verbose(
    parts: Sequence[Part], duration_s: float, language: str | None, times: frozenset[str] = frozenset(_TIMES)
) -> dict[str, Any]:
    """OpenAI's verbose_json; segments are the pieces that were recognised one by one."""
    heard = next((part.heard.language for part in parts if part.heard.language), None)
    found: dict[str, Any] = {
        "task": "transcribe",
        "language": name_of(language or heard or ""),
        "duration": round(duration_s, 3),
        "text": full_text(parts),
    }
    if "segment" in times:
        found["segments"] = [_segment(index, part) for index, part in enumerate(parts)]
    if "word" in times:
        found["words"] = [
            {"word": word.text, "start": round(word.start_s, 3), "end": round(word.end_s, 3)}
            for part in parts
            for word in part.heard.words
        ]
    return found


def _segment(index: int, part: Part) -> dict[str, Any]:
    text, confidence = part.heard.text.encode(), part.heard.confidence
    return {
        "id": index,
        "seek": round(part.start_s * 100),
        "start": part.start_s,
        "end": part.end_s,
        "text": part.heard.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": math.log(max(confidence, 1e-6)) if confidence is not None else 0.0,
        "compression_ratio": len(text) / len(zlib.compress(text)) if text else 0.0,
        "no_speech_prob": 0.0,
        "confidence": confidence,
    }


def subtitles(parts: Iterable[Part], shape: str) -> str:
    """As SubRip ("srt") or WebVTT ("vtt")."""
    cues = [cue for part in parts for cue in _cues(part)]
    if shape == "vtt":
        return "WEBVTT\n\n" + "".join(f"{_clock(a, '.')} --> {_clock(b, '.')}\n{text}\n\n" for a, b, text in cues)
    return "".join(
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n"
        for number, (start, end, text) in enumerate(cues, 1)
    )


def _cues(part: Part) -> Iterator[tuple[float, float, str]]:
    """Cut where the words tell their times; the text between two cuts is the transcript's own."""
    cuts = _places(part.heard)
    if not cuts:
        if text := " ".join(part.heard.text.split()):
            yield part.start_s, part.end_s, text
        return
    first = 0
    for number in range(1, len(cuts) + 1):
        begin, _ = cuts[first]
        if number < len(cuts):
            (_, last), (_, word) = cuts[number - 1], cuts[number]
            long = word.end_s - cuts[first][1].start_s > _LONGEST_S
            wide = cuts[number][0] + len(word.text) - begin > _LONGEST_CHARACTERS
            if not long and not wide and word.start_s - last.end_s < _PAUSE_S:
                continue
        end = cuts[number][0] if number < len(cuts) else len(part.heard.text)
        text = " ".join(part.heard.text[begin:end].split())
        yield cuts[first][1].start_s, cuts[number - 1][1].end_s, text
        first = number


def _places(heard: Transcript) -> list[tuple[int, Word]]:
    """Where each word stands in the text; nothing where one is not in it."""
    found: list[tuple[int, Word]] = []
    at = 0
    for word in heard.words:
        place = heard.text.find(word.text, at)
        if place < 0:
            return []
        found.append((place if found else 0, word))
        at = place + len(word.text)
    return found


def _clock(seconds: float, comma: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{comma}{thousandths:03}"
