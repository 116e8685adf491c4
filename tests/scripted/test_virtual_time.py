"""The leaping clock keeps order, waits for threads, and tells when nothing can happen any more."""

from __future__ import annotations

import time

import anyio
import pytest

from tests.scripted import virtual_time
from tests.scripted.virtual_time import Deadlock, VirtualClock


def test_an_hour_passes_at_once_and_in_order() -> None:
    async def main(clock: VirtualClock) -> list[tuple[str, float]]:
        seen: list[tuple[str, float]] = []

        async def after(name: str, seconds: float) -> None:
            await anyio.sleep(seconds)
            seen.append((name, round(clock.now(), 6)))

        async with anyio.create_task_group() as group:
            for name, seconds in (("hour", 3600.0), ("blink", 0.1), ("minute", 60.0)):
                group.start_soon(after, name, seconds)
        return seen

    started = time.monotonic()
    assert virtual_time.run(main) == [("blink", 0.1), ("minute", 60.0), ("hour", 3600.0)]
    assert time.monotonic() - started < 60  # no measurement: an hour was not slept


def test_deadlines_hold_in_virtual_time() -> None:
    async def main(clock: VirtualClock) -> float:
        with anyio.move_on_after(5):
            await anyio.sleep_forever()
        return clock.now()

    assert virtual_time.run(main) == pytest.approx(5, abs=1e-3)


def test_threads_are_waited_for() -> None:
    async def main(clock: VirtualClock) -> str:
        return await anyio.to_thread.run_sync(lambda: time.sleep(0.05) or "done")

    assert virtual_time.run(main) == "done"


def test_a_deadlock_is_an_error() -> None:
    async def main(clock: VirtualClock) -> None:
        await anyio.Event().wait()

    with pytest.raises(Deadlock):
        virtual_time.run(main)


def test_the_limit_is_an_error() -> None:
    async def main(clock: VirtualClock) -> None:
        while True:
            await anyio.sleep(10)

    with pytest.raises(Deadlock, match="60"):
        virtual_time.run(main, limit_s=60)
