"""Text files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

__all__ = ["remove_half_files", "write_whole"]

_HALF = re.compile(r"\..+\.[0-9a-f]{8}")
"""The name under which `write_whole` writes."""


def write_whole(path: Path, text: str, *, durable: bool = True) -> None:
    """Put a UTF-8 file there, for its owner alone (0600 from its first byte on); its folder is made. Blocks.

    `durable`: it is on the disk when this returns; without, what was there before may come back after a power cut.
    Raises OSError, and leaves what was there.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def remove_half_files(folder: Path) -> None:
    """What `write_whole` was writing there when its process was killed; nobody may be writing now. Blocks."""
    for path in folder.iterdir():
        if _HALF.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()
