"""One connection: what is put into its queue, and what has left."""

from __future__ import annotations

import anyio
import numpy as np

from voice.session.connection import Connection
from voice.session.outgoing import AudioOut, Interrupted, ServerEvent


class SlowLine:
    """Takes a frame when it is told to."""

    def __init__(self) -> None:
        self.taken: list[str | bytes] = []
        self.take = anyio.Semaphore(0)

    async def receive(self) -> str | bytes:
        await anyio.sleep_forever()
        raise AssertionError

    written = 0

    def arrived(self) -> int | None:
        return self.written

    async def send(self, frame: str | bytes) -> None:
        await self.take.acquire()
        self.taken.append(frame)
        self.written += len(frame)

    async def close(self, code: int, reason: str) -> None: ...


async def test_an_event_leaves_when_its_first_frame_does_and_once() -> None:
    """The echo is looked for from there on: on a busy machine audio waits in the queue for tenths of a second."""
    left: list[ServerEvent] = []
    line = SlowLine()
    connection = Connection(line, "s", left.append, lambda: 0.0, 0.3)
    audio = AudioOut("r", np.zeros(1600, np.int16), 16_000, "", True)
    stop = Interrupted("r", "")
    connection.send((lambda: ["head", "samples"], lambda: ["more"]), audio)
    connection.send((lambda: ["a word"],))
    connection.send((lambda: ["stop"],), stop)
    assert left == []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.write)
        await anyio.wait_all_tasks_blocked()
        assert left == [audio]
        for _ in range(4):
            line.take.release()
        await anyio.wait_all_tasks_blocked()
        assert line.taken == ["head", "samples", "more", "a word"]
        assert left == [audio, stop]
        tasks.cancel_scope.cancel()
    connection.discard()


async def test_what_did_not_leave_is_found_in_its_order_and_once() -> None:
    line = SlowLine()
    connection = Connection(line, "s", lambda event: None, lambda: 0.0, 0.3)
    events = [AudioOut("r", np.zeros(160, np.int16), 16_000, word, True) for word in ("one", "two")]
    for event in events:
        connection.send((lambda: ["a frame"], lambda: ["another"]), event)
    connection.send((lambda: ["of no event"],))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.write)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert connection.undelivered() == events
