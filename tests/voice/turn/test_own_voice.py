"""What the turn machine makes of our own voice in the microphone."""

from __future__ import annotations

import pytest

from voice.ears.echo import EchoState
from voice.turn.own_voice import OwnVoice


@pytest.mark.parametrize(
    ("state", "told", "echo"),
    [
        ("unknown", "speaker", "present"),  # the client says so
        ("absent", "speaker", "absent"),  # and may be wrong
        ("present", "headphones", "present"),
        ("unknown", "auto", "unknown"),
    ],
)
def test_what_is_found_counts_before_what_the_client_says(state: EchoState, told: str, echo: EchoState) -> None:
    own = OwnVoice("absent")
    own.found(state, told, 1.0, replying=False)
    assert (own.echo, own.heard) == (echo, echo != "absent")
    assert (own.cancelled, own.known) == (state == "present", state != "unknown")


@pytest.mark.parametrize(
    ("told", "replying", "said", "assumed"),
    [
        ("auto", False, "", True),
        ("auto", True, "", False),
        ("auto", False, "x", False),
        ("headphones", False, "", False),
    ],
)
def test_before_the_first_reply_no_echo_is_an_assumption(told: str, replying: bool, said: str, assumed: bool) -> None:
    own = OwnVoice("absent", said=said)
    own.found("absent", told, 1.0, replying=replying)
    assert own.assumed == assumed


def test_an_echo_comes_during_a_reply_and_shortly_after_it() -> None:
    own = OwnVoice("unknown")
    own.remember("a word", 10.0)
    assert own.may_be(9.0, speaking=False) and own.may_be(99.0, speaking=True)
    assert own.may_be(10.5, speaking=False, after_s=1.0) and not own.may_be(11.5, speaking=False, after_s=1.0)
    own.found("absent", "auto", 12.0, replying=True)
    assert not own.may_be(9.0, speaking=True)


def test_the_filter_learns_for_a_while_after_the_echo_was_found() -> None:
    own = OwnVoice("unknown")
    assert not own.learning(5.0)
    own.found("present", "auto", 5.0, replying=True)
    assert own.learning(5.1) and not own.learning(60.0)
