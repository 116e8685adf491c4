from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.worker.windows import windows


@settings(deadline=None)
@given(st.integers(0, 400_000), st.integers(0, 9))
def test_windows_cover_everything_and_none_is_too_long(length: int, seed: int) -> None:
    pcm = np.random.default_rng(seed).integers(-3000, 3000, length).astype(np.int16)
    found = windows(pcm, 1000)
    assert [start for start, _ in found] == [0, *(end for _, end in found)][: len(found)]
    assert (found[-1][1] if found else 0) == length
    assert all(0 < end - start <= 28_000 for start, end in found)
    assert all(end - start >= 18_000 for (start, end), _ in itertools.pairwise(found))


def test_a_cut_lies_in_the_pause() -> None:
    pcm = np.full(40 * 1000, 2000, np.int16)
    pcm[21_000:21_600] = 3
    (_, cut), _ = windows(pcm, 1000)
    assert 21_000 < cut < 21_600
