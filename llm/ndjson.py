"""Lines of JSON, as a client reads them. Pure; any chunking of the same bytes gives the same lines."""

from __future__ import annotations

from llm.errors import BackendFailed

__all__ = ["LineReader"]

MAX_LINE_BYTES = 4 << 20


class LineReader:
    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[str]:
        """The lines that are complete, without empty ones. Raises BackendFailed where a line has no end."""
        lines = (self._rest + piece).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE_BYTES:
            raise BackendFailed("the server sent a line without an end")
        return [line.decode("utf-8", "replace") for line in lines if line.strip()]

    def close(self) -> list[str]:
        return self.feed(b"\n")
