"""A file that is being fetched: as much of it as has come, and what it is a part of.

`x.part` holds the bytes, `x.note` says whose; when it is whole and right it gets its own name. A part is gone on with
only where the server can show that it is still of the same file (RFC 9110, 13.1.5 and 14.4).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from models.errors import ChecksumWrong
from models.whole_file import write_whole

__all__ = ["HalfFile", "Note", "RemoteFile", "note_of", "range_of"]

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """`path` is where it goes below the model's folder; `size` and `sha256` where the source knows them."""

    url: str
    path: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What a part is a part of. A server that says otherwise makes us begin again."""

    url: str
    size: int | None = None
    etag: str = ""
    modified: str = ""
    sha256: str | None = None

    @property
    def validator(self) -> str:
        """For If-Range: an ETag that stands for the very bytes, else the date; "" where there is neither."""
        return self.modified if not self.etag or self.etag.startswith("W/") else self.etag

    def is_of(self, headers: Mapping[str, str], total: int | None) -> bool:
        """Whether an answer with these headers is of the same file."""
        etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        return (
            self.etag == etag
            and (not modified or not self.modified or self.modified == modified)
            and (total is None or self.size is None or total == self.size)
        )


def note_of(path: Path) -> Path:
    return path.with_name(path.name + ".note")


class HalfFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.part = path.with_name(path.name + ".part")
        self._note = note_of(path)

    def is_whole(self, file: RemoteFile) -> bool:
        """Since an earlier try, and from the same source."""
        note = self._read()
        if note is None or not self._path.is_file() or (note.url, note.sha256) != (file.url, file.sha256):
            return False
        size = file.size if file.size is not None else note.size
        return size is None or self._path.stat().st_size == size

    def missing(self, file: RemoteFile) -> int:
        """Bytes that are still to come, where the size is known."""
        return 0 if file.size is None or self.is_whole(file) else max(0, file.size - self.state(file)[1])

    def state(self, file: RemoteFile) -> tuple[Note | None, int]:
        """What it is a part of, and how many bytes of it can be kept; (None, 0) to begin anew."""
        note = self._read()
        if note is None or note.url != file.url or (note.sha256 and file.sha256 and note.sha256 != file.sha256):
            return None, 0
        if not note.validator and file.sha256 is None:
            return None, 0  # nobody could tell afterwards whether the two parts belong together
        return (note, self.size) if self.part.is_file() else (None, 0)

    @property
    def size(self) -> int:
        """Bytes of it that have come, be they right or not."""
        try:
            return self.part.stat().st_size
        except OSError:
            return 0

    def begin(self, note: Note, start: int) -> None:
        """What comes from `start` on is of `note`. A part of something else goes first: a process that is killed in
        between must not leave it under the new note.
        """
        if not start:
            self.part.unlink(missing_ok=True)
        write_whole(self._note, json.dumps(asdict(note)), durable=False)

    def discard(self) -> None:
        for path in (self.part, self._note, self._path):
            path.unlink(missing_ok=True)

    def finish(self, file: RemoteFile) -> None:
        """Check it and give it its name. Raises ChecksumWrong; it is removed, for nothing of it can be trusted."""
        right = file.size is None or self.part.stat().st_size == file.size
        with self.part.open("rb") as data:
            os.fsync(data.fileno())  # once it has its name, nobody reads it again to see whether it is all there
            if right and file.sha256 is not None:
                right = hashlib.file_digest(data, "sha256").hexdigest() == file.sha256.lower()
        if not right:
            self.discard()
            raise ChecksumWrong(
                f"{file.path} is not what the source says it is",
                hint="try again; if that does not help, report it to the source",
            )
        self.part.replace(self._path)

    def _read(self) -> Note | None:
        try:
            return Note(**json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def range_of(headers: Mapping[str, str]) -> tuple[int, int | None]:
    """Where the part begins that an answer 206 holds, and the size of the whole; (-1, None) if it does not say."""
    found = _RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if found is None:
        return -1, None
    return int(found[1]), None if found[2] == "*" else int(found[2])
