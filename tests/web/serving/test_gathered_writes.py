"""An answer is one packet where it can be, and nothing waits longer than a turn of the loop."""

from __future__ import annotations

import asyncio

from web.serving.gathered_writes import AT_ONCE_BYTES, GatheredWrites


class _Wire(asyncio.Transport):
    """Notes what the operating system would be given."""

    def __init__(self) -> None:
        super().__init__()
        self.packets: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.packets.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def test_one_turn_is_one_packet_in_order() -> None:
    wire = _Wire()
    writes = GatheredWrites(wire, asyncio.get_running_loop())
    writes.write(b"head ")
    writes.write(b"body")
    assert wire.packets == []
    await asyncio.sleep(0)
    assert wire.packets == [b"head body"]
    writes.write(b"more")
    await asyncio.sleep(0)
    assert wire.packets == [b"head body", b"more"]


async def test_much_is_not_held_back_and_closing_loses_nothing() -> None:
    wire = _Wire()
    writes = GatheredWrites(wire, asyncio.get_running_loop())
    writes.write(b"x" * (AT_ONCE_BYTES + 1))
    assert len(wire.packets) == 1
    writes.write(b"last")
    writes.close()
    assert wire.packets[1:] == [b"last"] and wire.closed
