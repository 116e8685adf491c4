"""How many samples an MP4 or QuickTime file says it has, before FFmpeg makes a row of an index of each. Pure.

In the tables of such a file (ISO 14496-12) four bytes can promise four thousand million samples.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator

__all__ = ["samples_claimed"]

_KNOWN = frozenset(b"ftyp moov mdat moof free skip wide junk pnot udta uuid styp sidx pict prfl".split())
_COUNTS = re.compile(rb"(?=(?:stsz|stz2).{8}(.{4})|trun.{4}(.{4})|(cmov))", re.DOTALL)
"""Wherever they stand, but in the audio itself: what is around them is the sender's choice."""


def samples_claimed(data: bytes) -> float:
    """0 for what is no such file; infinite for one whose header is compressed, which could hide anything."""
    parts = list(_boxes(data))
    if not any(kind in _KNOWN for kind, _, _ in parts):
        return 0
    claimed = 0.0
    for kind, start, end in parts:
        if kind == b"mdat":
            continue
        for found in _COUNTS.finditer(data, start, end):
            count = found[1] or found[2]
            claimed += int.from_bytes(count, "big") if count else math.inf
    return claimed


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the outermost ones; the last ends with the data, whatever it says."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size == 1 and at + 16 <= len(data):
            size = struct.unpack_from(">Q", data, at + 8)[0]
        end = at + size if 8 <= size <= len(data) - at else len(data)
        yield kind, at, end
        at = end
