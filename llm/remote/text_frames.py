"""Frames of a stream that differ from an earlier one in nothing but their text. Pure.

Nearly all frames of an answer are such. To read each as JSON would be most of what is done for it; but where one was
read, and its text stands in it once, everything before and behind that text is known to be right. Another frame with
the same bytes around a whole JSON string is therefore as right as that one was.
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["TextFrames"]

_STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}))*"')
"""A JSON string. Halves of a surrogate pair are left to be read."""
_MARK = "a text that no model writes: \x01"
_TRIES = 8
_LONGEST = 4096


class TextFrames:
    """`learn` is given frames that were read and bear only text; `count` then knows others of their kind."""

    __slots__ = ("_before", "_behind", "_tries")

    def __init__(self) -> None:
        self._before = self._behind = b""
        self._tries = _TRIES

    @property
    def learning(self) -> bool:
        return self._tries > 0

    def learn(self, data: str, chunk: dict[str, Any]) -> None:
        """`chunk` is the value of `data`, the text of one event; it has one choice with a delta."""
        self._tries -= 1
        choice = chunk["choices"][0]
        text = choice["delta"].get("content")
        if not isinstance(text, str) or len(text) < 2 or len(data) > _LONGEST or "\n" in data:
            return
        for written in (json.dumps(text, ensure_ascii=False), json.dumps(text)):
            if data.count(written) != 1:
                continue
            before, behind = data.split(written)
            other = json.loads(before + json.dumps(_MARK) + behind)
            wanted = {**chunk, "choices": [{**choice, "delta": {**choice["delta"], "content": _MARK}}]}
            if other == wanted:
                self._before, self._behind = b"data: " + before.encode(), behind.encode()
                self._tries = 0
                return

    def count(self, piece: bytes) -> int:
        """How many frames the piece is made of; 0 where one of them has to be read, or is not there as a whole."""
        before, behind = self._before, self._behind
        if not before or not piece.startswith(before) or not piece.endswith(b"\n\n"):
            return 0
        frames = piece[:-2].split(b"\n\n")
        start, end = len(before), len(behind)
        for frame in frames:
            if not (frame.startswith(before) and frame.endswith(behind)):
                return 0
            if not _STRING.fullmatch(frame, start, len(frame) - end):
                return 0
        if not piece.isascii():
            try:
                piece.decode()
            except UnicodeDecodeError:
                return 0
        return len(frames)
