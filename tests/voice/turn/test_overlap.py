"""A sound over a reply, and what the recogniser said of which part of it."""

from __future__ import annotations

from voice.turn.bargein import NOTHING_SAID, BargeInRules, Verdict
from voice.turn.revision import Overlap, Turn


def sound() -> Overlap:
    return Overlap(Turn(1, 0.0, "item"), True, 0.0, 0.0, last_s=0.0)


def test_sixteen_frames_of_voice_are_as_long_as_that_wherever_they_lie() -> None:
    """A mark at 512 ms was missed by a whole frame, for a sum of frame lengths is a little less than it should be."""
    for first in range(100, 200):
        long = sound()
        long.last_s = first * 512 / 16_000
        for frame in range(first + 1, first + 17):
            long.hear(frame * 512 / 16_000, True)
        assert long.voiced_s * 1000 >= 512


def test_a_phrase_that_was_spotted_in_half_of_it_counts_no_more_when_it_is_over() -> None:
    half = sound()
    half.hear(0.2, True)
    half.ask()
    half.spots_phrase("stop")
    half.hear(0.4, True)
    half.over(0.5)
    assert half.spotted == ""


def test_a_phrase_that_was_spotted_in_the_silence_after_it_counts() -> None:
    whole = sound()
    whole.hear(0.3, True)
    whole.hear(0.5, False)
    whole.ask()
    whole.spots_phrase("stop")
    whole.over(0.5)
    assert whole.spotted == "stop"


def test_words_of_half_of_it_count_no_more_unless_they_are_a_murmur() -> None:
    half, whole, murmur = sound(), sound(), sound()
    for each in (half, whole, murmur):
        each.hear(0.3, True)
    whole.hear(0.5, False)
    for each in (half, whole, murmur):
        each.ask()
        each.told("mm" if each is murmur else "what")
        each.over(0.5)
    assert (half.text, whole.text, murmur.text) == (None, "what", "mm")


def test_who_said_words_before_is_no_music_though_the_last_ones_are_not_sure() -> None:
    def verdict_after(*texts: str) -> Verdict:
        going = sound()
        for number, text in enumerate(texts, 1):
            going.hear(number * 0.256, True)
            going.ask()
            going.spots_phrase("")
            going.told(text)
        return going.verdict(BargeInRules(384, 512), going.last_s, going.last_s, NOTHING_SAID)

    assert verdict_after("set", "") is Verdict.INTERRUPT
    assert verdict_after("", "") is Verdict.WAIT
    assert verdict_after("", "", "", "") is Verdict.INTERRUPT
