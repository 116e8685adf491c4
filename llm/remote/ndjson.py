"""Lines of JSON, as a client reads them. Pure; any chunking of the same bytes gives the same lines."""

from __future__ import annotations

from llm.errors import BackendFailed

__all__ = ["LineReader"]

MAX_LINE_BYTES = 16 << 20


class LineReader:
    __slots__ = ("_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of a line that has not ended yet: to join them at every piece would be slow
        self._size = 0

    def feed(self, piece: bytes) -> list[str]:
        """The lines that are complete, without empty ones. Raises BackendFailed where a line has no end."""
        lines = [piece]
        if b"\n" in piece:
            lines = b"".join((*self._parts, piece)).split(b"\n")
            self._parts, self._size = [], 0
        last = lines.pop()
        if last:
            self._parts.append(last)
            self._size += len(last)
        if self._size > MAX_LINE_BYTES:
            raise BackendFailed("the server sent a line without an end", hint="see the log of that server")
        return [line.decode("utf-8", "replace") for line in lines if line.strip()]

    def close(self) -> list[str]:
        return self.feed(b"\n")
