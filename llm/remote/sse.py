"""Server-sent events, as a client reads them. Pure; any chunking of the same bytes gives the same events.

Source: the HTML standard, section 9.2.6 (interpreting an event stream). Only `data` is of use here; and `error`,
which is no field of the standard: llama.cpp's server begins a line with it in place of `data`.
"""

from __future__ import annotations

from codecs import BOM_UTF8

from llm.errors import BackendFailed

__all__ = ["SseReader"]

MAX_EVENT_BYTES = 16 << 20
"""An image in a chunk has some megabytes."""


class SseReader:
    """`feed(bytes)` returns the data of every event that is complete. Comments and events without data give nothing:
    both keep a connection open.
    """

    __slots__ = ("_begun", "_data", "_half", "_parts", "_rest", "_size", "_waiting")

    def __init__(self) -> None:
        self._begun = False
        self._half = False  # the last piece ended with a CR, of which the LF may still come
        self._rest = b""
        self._parts: list[bytes] = []  # of a line that has not ended yet: to join them at every piece would be slow
        self._data: list[str] = []
        self._size = 0
        self._waiting = 0

    def feed(self, piece: bytes) -> list[str]:
        """Raises BackendFailed where an event has no end."""
        if self.idle and piece.startswith(b"data: ") and piece.count(b"\n") == 2:
            if piece.endswith(b"\n\n") and b"\r" not in piece and len(piece) > 8:  # one event, as they mostly come
                return [piece[6:-2].decode("utf-8", "replace")]
        done: list[str] = []
        if self._half and piece.startswith(b"\n"):
            piece, self._half = piece[1:], False
        if piece:
            self._half = piece.endswith(b"\r")
        if b"\r" in piece:  # lines end with CR LF, LF or CR
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in piece:
            self._parts.append(piece)
            self._waiting += len(piece)
            self._check()
            return done
        if self._parts:
            self._rest, self._parts, self._waiting = self._rest + b"".join(self._parts), [], 0
        lines = (self._rest + piece).split(b"\n")
        self._rest = lines.pop()
        if not self._begun:
            self._begun = True
            lines[0] = lines[0].removeprefix(BOM_UTF8)
        for line in lines:
            text = line.decode("utf-8", "replace")
            if not text:
                if any(self._data):
                    done.append("\n".join(self._data))
                self._data, self._size = [], 0
            elif text.startswith(("data:", "error:")):
                self._data.append(text.partition(":")[2].removeprefix(" "))
                self._size += len(text)
        self._check()
        return done

    @property
    def idle(self) -> bool:
        """At the border between two events."""
        return not (self._rest or self._parts or self._data or self._half)

    def _check(self) -> None:
        if self._size + len(self._rest) + self._waiting > MAX_EVENT_BYTES:
            raise BackendFailed("the server sent an event without an end", hint="see the log of that server")

    def close(self) -> list[str]:
        """The stream has ended; some servers leave out the last empty line."""
        return self.feed(b"\n\n")
