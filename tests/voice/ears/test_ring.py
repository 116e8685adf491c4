"""The ring behaves like a list that forgets its beginning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.ears.ring import AudioRing
from voice.errors import AudioError

SIZE = 20  # samples: 2 s at 10 Hz


@given(st.lists(st.integers(0, 3 * SIZE), max_size=12), st.integers(-5, 200), st.none() | st.integers(-5, 200))
def test_reads_equal_a_list_that_keeps_everything(sizes: list[int], start: int, end: int | None) -> None:
    ring = AudioRing(2.0, rate_hz=10)
    everything = np.zeros(0, np.int16)
    for size in sizes:
        chunk = np.arange(len(everything), len(everything) + size).astype(np.int16)
        ring.append(chunk)
        everything = np.concatenate((everything, chunk))
    assert ring.end == len(everything)
    assert ring.start == max(0, len(everything) - SIZE)
    stop = len(everything) if end is None else end
    expected = everything[max(start, ring.start) : max(stop, 0)]
    assert np.array_equal(ring.read(start, end), expected)


def test_what_was_read_does_not_change_later() -> None:
    ring = AudioRing(2.0, rate_hz=10)
    ring.append(np.ones(5, np.int16))
    before = ring.read(0)
    ring.append(np.full(SIZE, 7, np.int16))
    assert (before == 1).all()


@pytest.mark.parametrize("bad", [np.zeros(4, np.float32), np.zeros((2, 2), np.int16)])
def test_other_dtypes_and_shapes_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(AudioError):
        AudioRing(1.0).append(bad)


@pytest.mark.parametrize(("seconds", "rate_hz"), [(0, 16000), (-1, 16000), (1, 0)])
def test_a_ring_without_room_is_refused(seconds: float, rate_hz: int) -> None:
    with pytest.raises(ValueError, match="above zero"):
        AudioRing(seconds, rate_hz)


def test_a_part_is_made_silent() -> None:
    ring = AudioRing(1.0, 10)
    ring.append(np.arange(1, 16, dtype=np.int16))
    ring.silence(3, 8)
    ring.silence(13, 99)
    assert ring.read(0).tolist() == [0, 0, 0, 9, 10, 11, 12, 13, 0, 0]
