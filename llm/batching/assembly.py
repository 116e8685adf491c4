"""From token pieces (bytes) to text for the user: whole characters only, never a part of a stop string. Pure."""

from __future__ import annotations

import codecs

__all__ = ["TextAssembler"]


class TextAssembler:
    """One per reply. What was returned once is final; what might still become a stop string is held back."""

    def __init__(self, stop: tuple[str, ...] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stop = tuple(text for text in stop if text)
        self._longest = max((len(text) for text in self._stop), default=0)
        self._held = ""
        self.stopped: str | None = None
        """The stop string that was met; nothing more comes out after it."""

    def push(self, piece: bytes) -> str:
        """Text that is certain now, maybe empty. A character split over pieces comes with its last byte."""
        return self._advance(self._decoder.decode(piece))

    def finish(self) -> str:
        """What was held back. Bytes that never became a character come out as U+FFFD."""
        text = self._advance(self._decoder.decode(b"", final=True))
        if self.stopped is not None:
            return text
        held, self._held = self._held, ""
        return text + held

    def _advance(self, text: str) -> str:
        if self.stopped is not None:
            return ""
        if not self._stop:
            return text
        text = self._held + text
        # The one that is whole first counts, the longer of two that end together: so any cut of the bytes gives the
        # same text.
        found = min(((at + len(stop), at) for stop in self._stop if (at := text.find(stop)) >= 0), default=None)
        if found is not None:
            end, start = found
            self._held = ""
            self.stopped = text[start:end]
            return text[:start]
        keep = self._open_end(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def _open_end(self, text: str) -> int:
        """Length of the longest end of the text that is the beginning of a stop string."""
        for length in range(min(self._longest - 1, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stop):
                return length
        return 0
