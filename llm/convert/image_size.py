"""Width and height of an image from its first bytes, so that a small file cannot unpack to gigabytes. Pure."""

from __future__ import annotations

import struct

__all__ = ["MOST_PIXELS", "MOST_PIXELS_TOGETHER", "pixels"]

MOST_PIXELS = 64_000_000
MOST_PIXELS_TOGETHER = 200_000_000
"""Of all images of a request: sixteen photos of a telephone, 600 MB."""


def pixels(data: bytes) -> int | None:
    """Width times height of a PNG, JPEG, GIF or BMP; None for anything else and for what is cut off."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", data, 16)
        elif data.startswith((b"GIF87a", b"GIF89a")):
            width, height = struct.unpack_from("<HH", data, 6)
        elif data.startswith(b"BM"):
            width, height = struct.unpack_from("<ii", data, 18)
        elif data.startswith(b"\xff\xd8"):
            width, height = _jpeg(data)
        else:
            return None
    except struct.error:
        return None
    return abs(int(width)) * abs(int(height))


def _jpeg(data: bytes) -> tuple[int, int]:
    """From the first start-of-frame marker (ITU T.81, B.2.2)."""
    at = 2
    while True:
        mark, kind, length = struct.unpack_from(">BBH", data, at)
        if mark != 0xFF:
            raise struct.error("no marker")
        if kind == 0xFF:  # fill bytes
            at += 1
            continue
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + length
