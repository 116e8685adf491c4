"""Servers and clients whose machine was switched off, or that a router has forgotten: no word of that ever comes."""

from __future__ import annotations

from tests.faults.own_network import told_by


def test_a_machine_that_is_gone_is_noticed_long_before_the_answer_is_overdue() -> None:
    told = told_by("tests.faults.dead_machine")
    assert told[0] == "asked" and len(told) == 5, told
    assert not told[1].startswith("AnswerBroken"), "a kept connection that died is replaced, which cannot be had here"
    assert told[2].startswith("AnswerBroken"), told
    assert told[3].startswith("TtsFailed") and "broke" in told[3], told
    assert told[4] == "client gone", told
