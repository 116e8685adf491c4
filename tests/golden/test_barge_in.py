"""Sounds over a spoken reply, decided: `make bench ARGS=barge_in` has the whole table."""

from __future__ import annotations

import pytest

from tests.bench.bench_barge_in import back_channels, interruptions, noises, stops, verdict
from tests.recordings import needs_recordings


def wrong(sounds: list, stop: bool) -> list[str]:  # type: ignore[type-arg]
    return [label for label, sound in sounds if verdict(sound).stopped is not stop]


@pytest.mark.parametrize("sound", back_channels(5), ids=lambda pair: pair[0])
def test_who_only_agrees_does_not_interrupt(sound: tuple) -> None:  # type: ignore[type-arg]
    assert not verdict(sound[1]).stopped


def test_stop_stops_soon() -> None:
    for label, sound in stops(4):
        found = verdict(sound)
        assert found.stopped, label
        assert found.held_ms is not None and found.held_ms <= 250, label
        assert found.decided_ms is not None and found.decided_ms <= 1000, label


@needs_recordings
def test_people_interrupt_and_noise_does_not() -> None:
    assert wrong(interruptions(5), True) == []
    assert wrong([each for each in noises(12) if "sb_noise5" not in each[0]], False) == []
