"""A name service that is out of reach, as a company's is without its VPN."""

from __future__ import annotations

from tests.faults import hanging_names, own_network


def test_names_that_nobody_answers_for_keep_no_other_server_waiting() -> None:
    assert own_network.told_by("tests.faults.hanging_names") == ["['m']", str(hanging_names.HANGING)]
