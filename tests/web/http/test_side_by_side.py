"""Several streams as one: they run at the same time, in bounds, and end together."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import pytest

from web.http.side_by_side import side_by_side


class Streams:
    """Each gives its number, then waits for leave to give it once more. `most`: that ran at the same time."""

    def __init__(self, count: int) -> None:
        self.go_on = [anyio.Event() for _ in range(count)]
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.most = 0

    async def one(self, number: int) -> AsyncGenerator[int, None]:
        self.begun.append(number)
        self.most = max(self.most, len(self.begun) - len(self.ended))
        try:
            yield number
            await self.go_on[number].wait()
            yield number
        finally:
            self.ended.append(number)

    def all(self, at_once: int) -> AsyncGenerator[int, None]:
        return side_by_side([self.one(number) for number in range(len(self.go_on))], at_once)


async def test_a_later_one_does_not_wait_for_an_earlier_one() -> None:
    streams = Streams(2)
    async with aclosing(streams.all(2)) as items:
        assert [await anext(items), await anext(items)] == [0, 1]
        streams.go_on[1].set()
        assert await anext(items) == 1
        streams.go_on[0].set()
        assert [item async for item in items] == [0]


async def test_no_more_at_a_time_than_allowed_and_in_their_order() -> None:
    streams = Streams(7)
    for event in streams.go_on:
        event.set()
    async with aclosing(streams.all(3)) as items:
        found = [item async for item in items]
    assert sorted(found) == sorted([*range(7), *range(7)])
    assert streams.begun == list(range(7)) and streams.most == 3


async def test_whoever_stops_reading_ends_them_all() -> None:
    streams = Streams(3)
    async with aclosing(streams.all(2)) as items:
        assert await anext(items) == 0
    assert sorted(streams.ended) == [0, 1] == sorted(streams.begun)


async def test_cancelled_while_it_waits() -> None:
    streams = Streams(2)
    with anyio.CancelScope() as scope:
        async with aclosing(streams.all(2)) as items:
            async for item in items:
                if item == 1:
                    scope.cancel()
    assert scope.cancelled_caught and sorted(streams.ended) == [0, 1]


async def test_the_first_error_is_raised_as_it_is_and_ends_the_others() -> None:
    streams = Streams(1)

    async def fails() -> AsyncGenerator[int, None]:
        yield 5
        raise ValueError("as it is")

    with pytest.raises(ValueError, match="as it is"):
        async with aclosing(side_by_side([streams.one(0), fails(), streams.one(0)], 2)) as items:
            assert sorted([await anext(items), await anext(items)]) == [0, 5]
            await anext(items)
    assert streams.begun == streams.ended == [0]
