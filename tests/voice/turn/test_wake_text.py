"""Wake words in transcripts: three modes, tolerant of how recognisers write, of nothing else."""

from __future__ import annotations

import pytest

from voice.session.config import WakeMode
from voice.turn.wake_text import WakeCut, cut

MISSING = WakeCut(False, "")


@pytest.mark.parametrize(
    ("text", "request_text"),
    [
        ("Hey Jarvis, what time is it?", "what time is it?"),
        ("hey, jarvis! What time is it?", "What time is it?"),
        ("HEY-JARVIS what time is it", "what time is it"),
        ("HeyJarvis what time is it", "what time is it"),
        ("Um, so, okay hey jarvis - what time is it", "what time is it"),
        ("  ... hey jarvis", ""),
        ("Hey Jarvis.", ""),
        ("hey jarvis, uh, hey jarvis stop", "stop"),
        ("Héy Járvis, stop", "stop"),
        ("He\u0301y Ja\u0301rvis stop", "stop"),
    ],
)
def test_pre(text: str, request_text: str) -> None:
    assert cut(text, ["Hey_Jarvis"], "pre") == WakeCut(True, request_text)


@pytest.mark.parametrize(
    "text",
    [
        "tell me about hey jarvis",
        "hey jarvisson, stop",
        "they jarvis",
        "hey jarvis's house",
        "hey jervis stop",
        "um um um um um hey jarvis",
        "hey",
        "",
    ],
)
def test_pre_not_found(text: str) -> None:
    assert cut(text, ["hey jarvis"], "pre") == MISSING


@pytest.mark.parametrize(
    ("text", "request_text"),
    [
        ("What time is it, Jarvis?", "What time is it"),
        ("turn on the light jarvis please", "turn on the light"),
        ("ask jarvis about jarvis", "ask jarvis about"),
        ("Jarvis, stop", ""),
    ],
)
def test_post(text: str, request_text: str) -> None:
    assert cut(text, ["jarvis"], "post") == WakeCut(True, request_text)


@pytest.mark.parametrize(
    ("text", "request_text"),
    [
        ("What time, Jarvis, is it?", "What time, is it?"),
        ("What time is it, Jarvis?", "What time is it?"),
        ("Jarvis! What time is it?", "What time is it?"),
        ("the light jarvis on, jarvis.", "the light on."),
        ("jarvis, Jarvis", ""),
    ],
)
def test_mid(text: str, request_text: str) -> None:
    assert cut(text, ["jarvis"], "mid") == WakeCut(True, request_text)


@pytest.mark.parametrize("mode", ["pre", "post", "mid"])
def test_a_word_that_is_not_there(mode: WakeMode) -> None:
    assert cut("what time is it", ["jarvis", "alexa"], mode) == MISSING
    assert cut("what time is it", [], mode) == MISSING
    assert cut("what time is it", ["", "?!"], mode) == MISSING


def test_of_several_words_the_longer_one_at_the_same_place_counts() -> None:
    assert cut("okay computer, lights", ["computer", "okay computer"], "mid") == WakeCut(True, "lights")
    assert cut("alexa and computer", ["computer", "alexa"], "mid") == WakeCut(True, "and")


def test_scripts_without_spaces() -> None:
    assert cut("小爱同学今天天气怎么样？", ["小爱同学"], "pre") == WakeCut(True, "今天天气怎么样？")
    assert cut("今天天气，小爱同学。", ["小爱同学"], "post") == WakeCut(True, "今天天气")


def test_marks_around_the_word_do_not_stay() -> None:
    assert cut("... jarvis, turn it off", ["jarvis"], "mid") == WakeCut(True, "turn it off")
    assert cut("Turn it off! -- jarvis --", ["jarvis"], "mid") == WakeCut(True, "Turn it off!")
    assert cut("Cafe\u0301 now", ["café"], "pre") == WakeCut(True, "now")
    assert cut(
        "please tell all of the many people in this very large room right now that jarvis", ["jarvis"], "pre"
    ) == (MISSING)


def test_a_very_long_text_is_no_trap() -> None:
    text = "alexa " * 20_000
    for mode in ("pre", "post", "mid"):
        assert cut(text, ["alexa"], mode).found
