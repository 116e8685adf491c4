"""Subtitles: where they are cut, and that no word of the transcript is lost."""

from __future__ import annotations

from itertools import pairwise

from voice.port import Transcript, Word
from voice.worker.transcript_formats import Part, part_of, subtitles


def _spoken(text: str, start_s: float = 0.0, word_s: float = 0.5, pauses: dict[int, float] | None = None) -> Part:
    """Word after word; `pauses`: how long before which one."""
    words, at = [], 0.0
    for index, word in enumerate(text.split()):
        at += (pauses or {}).get(index, 0.0)
        words.append(Word(word.strip(",."), at, at + word_s))
        at += word_s
    return part_of(start_s, start_s + at + 1.0, Transcript(text, words=tuple(words)))


def _cues(parts: list[Part]) -> list[tuple[str, str]]:
    """(times, text)."""
    blocks = subtitles(parts, "srt").split("\n\n")[:-1]
    assert [block.split("\n")[0] for block in blocks] == [str(number) for number in range(1, len(blocks) + 1)]
    return [(block.split("\n")[1], block.split("\n")[2]) for block in blocks]


def test_a_pause_begins_a_new_one() -> None:
    assert _cues([_spoken("One, two. Three.", pauses={2: 1.0})]) == [
        ("00:00:00,000 --> 00:00:01,000", "One, two."),
        ("00:00:02,000 --> 00:00:02,500", "Three."),
    ]


def test_long_speech_is_cut_and_nothing_is_lost() -> None:
    text = " ".join(f"word{number}," for number in range(200))
    cues = _cues([_spoken(text, 3599.0, word_s=0.2)])
    assert " ".join(cue for _, cue in cues) == text
    assert all(len(cue) <= 82 for _, cue in cues)
    ends = [tuple(times.split(" --> ")) for times, _ in cues]
    assert all(end <= start for (_, end), (start, _) in pairwise(ends))
    assert ends[0][0] == "00:59:59,000" and ends[-1][1] == "01:00:39,000"


def test_words_without_spaces_and_without_times() -> None:
    heard = Transcript("\u6771\u4eac\u90fd", words=(Word("\u6771\u4eac", 0.0, 0.5), Word("\u90fd", 2.0, 2.2)))
    assert [cue for _, cue in _cues([part_of(0.0, 3.0, heard)])] == ["\u6771\u4eac", "\u90fd"]
    assert _cues([Part(1.0, 2.5, Transcript("two\nlines"))]) == [("00:00:01,000 --> 00:00:02,500", "two lines")]
    wrong = Transcript("what was said", words=(Word("other", 0.0, 0.5),))
    assert _cues([Part(0.0, 1.0, wrong), Part(1.0, 2.0, Transcript(""))]) == [
        ("00:00:00,000 --> 00:00:01,000", "what was said")
    ]


def test_web_subtitles() -> None:
    assert subtitles([_spoken("Hello.")], "vtt") == "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\nHello.\n\n"
    assert subtitles([], "vtt") == "WEBVTT\n\n" and subtitles([], "srt") == ""
