from __future__ import annotations

import struct

import pytest

from llm.convert.image_size import MOST_PIXELS, pixels
from tests.llm.tiny_parts import png

JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc2\x00\x11\x08" + struct.pack(">HH", 480, 640) + b"\x03"


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (png(1, 2, 3), 28 * 28),
        (JPEG, 640 * 480),
        (b"GIF89a" + struct.pack("<HH", 5, 7), 35),
        (b"BM" + b"\0" * 16 + struct.pack("<ii", 10, -20), 200),
        (b"RIFF....WAVE", None),
        (JPEG[:12], None),
        (png(1, 2, 3)[:18], None),
        (b"", None),
    ],
)
def test_the_size_is_in_the_header(data: bytes, count: int | None) -> None:
    assert pixels(data) == count


def test_a_bomb_is_told_by_its_header() -> None:
    bomb = bytearray(png(1, 2, 3))
    bomb[16:24] = struct.pack(">II", 60_000, 60_000)
    found = pixels(bytes(bomb))
    assert found is not None and found > MOST_PIXELS
