"""The same bytes are the same events, however they are cut and whichever of the three line ends they have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llm.remote.sse import SseReader

_TEXT = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(
    events=st.lists(st.lists(_TEXT, min_size=1, max_size=3), max_size=5),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    noise=st.sampled_from(["", ": ping", "event: message", "id: 7"]),
    mark=st.booleans(),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_any_cut_and_any_line_end(events: list[list[str]], end: str, noise: str, mark: bool, cuts: list[int]) -> None:
    lines = [line for event in events for line in (*([noise] if noise else []), *(f"data: {t}" for t in event), "")]
    data = ("\ufeff" if mark else "").encode() + "".join(line + end for line in lines).encode()
    borders = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    reader = SseReader()
    found = [one for start, stop in zip(borders, borders[1:], strict=False) for one in reader.feed(data[start:stop])]
    assert found + reader.close() == ["\n".join(event) for event in events]
