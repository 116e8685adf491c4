"""Tool calls of servers that number them badly, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from llm.remote.call_index import CallIndex
from llm.remote.chunk_reader import ChunkReader

TWO = [("a", '{"x": 1}'), ("b", "{}")]


def _call(name: str | None, arguments: str, **more: Any) -> dict[str, Any]:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {"function": function, **more}


def _read(*chunks: list[dict[str, Any]]) -> list[tuple[str, str]]:
    reader, found = ChunkReader(), dict[int, list[str]]()
    ids: dict[int, str | None] = {}
    for calls in chunks:
        for event in reader.read({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]}):
            assert event.index in ids or event.id, "the first piece of a call has its id"  # type: ignore[union-attr]
            ids.setdefault(event.index, event.id)  # type: ignore[union-attr]
            found.setdefault(event.index, ["", ""])  # type: ignore[union-attr]
            found[event.index][0] += event.name or ""  # type: ignore[union-attr]
            found[event.index][1] += event.arguments  # type: ignore[union-attr]
    assert len(set(ids.values())) == len(ids)
    return [(name, arguments) for name, arguments in (found[index] for index in sorted(found))]


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([[_call("a", '{"x": 1}'), _call("b", "{}")]], id="neither index nor id, in one chunk"),
        pytest.param([[_call("a", '{"x": 1}')], [_call("b", "{}")]], id="neither index nor id, in two"),
        pytest.param([[_call("a", '{"x": 1}', index=0)], [_call("b", "{}", index=0)]], id="always index 0, no id"),
        pytest.param(
            [[_call("a", '{"x": 1}', index=0, id="c")], [_call("b", "{}", index=0, id="c")]], id="the same id twice"
        ),
        pytest.param(
            [[_call("a", "", index=0, id="p")], [_call(None, '{"x"', index=0)], [_call(None, ": 1}", index=0)]]
            + [[_call("b", "{}", index=1, id="q")]],
            id="as OpenAI",
        ),
        pytest.param(
            [[_call("a", '{"x"', index=0)], [_call("a", ": 1}", index=0)], [_call("a", "", index=0)]]
            + [[_call("b", "{}", index=1)]],
            id="the name again in every piece",
        ),
        pytest.param([[_call("a", '{"x"')], [_call(None, ": 1}")], [_call("b", "{}")]], id="pieces without an index"),
        pytest.param(
            [[_call("a", '{"x": 1}', index=0, id="")], [_call("b", "{}", index=1, id="")]], id="ids that are empty"
        ),
    ],
)
def test_every_call_stays_whole(chunks: list[list[dict[str, Any]]]) -> None:
    assert _read(*chunks) == TWO


def test_the_same_function_twice() -> None:
    assert _read([_call("a", "{}"), _call("a", "{}")]) == [("a", "{}"), ("a", "{}")]


class _Compared(int):
    times = 0

    def __eq__(self, other: object) -> bool:
        _Compared.times += 1
        return int(self) == other

    def __hash__(self) -> int:
        return hash(int(self))


def test_a_piece_is_not_compared_with_every_call_before_it() -> None:
    """Ten thousand calls in a reply took five seconds in which nobody else was served."""
    index, count = CallIndex(), 300
    for number in range(count):
        assert index.place(_Compared(number), "", "f", "{}")[0] == number
    assert _Compared.times < 10 * count
