"""Where fetched files go in the store, and how they get there: whole, and never over what came from elsewhere.

A hidden `.source.json` in a model's folder says of each file where it is from. Two sources may have a model of the
same name; the second one gets a folder of another name.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from models.errors import DownloadFailed, ModelUnreadable
from models.exchange import exchange
from models.half_file import RemoteFile, note_of
from models.registry import discover

__all__ = ["Found", "check_formats", "drop_old", "install", "look", "tidy"]

SOURCES = ".source.json"


class Found(Enum):
    """What a folder is for files that are to be fetched."""

    FREE = "there is none, or it may take them"
    HERE = "it holds them already"
    TAKEN = "it holds another model of that name"


def look(target: Path, files: Sequence[RemoteFile]) -> Found:
    """Reads whole files where there is a checksum and no note of where they are from; call it in a thread."""
    if not target.exists():
        return Found.FREE
    if not target.is_dir():
        return Found.TAKEN
    noted = _noted(target)
    if noted is None:  # put there by hand, or by an older version
        there = [file for file in files if (target / file.path).exists()]
        if not all(_same(target / file.path, file) for file in there):
            return Found.TAKEN
        return Found.HERE if len(there) == len(files) else Found.FREE
    if noted and {_source(str(row["url"])) for row in noted.values()} != {_source(file.url) for file in files}:
        return Found.TAKEN
    return Found.HERE if all(_is_noted(target, noted, file) for file in files) else Found.FREE


def check_formats(folder: Path, files: Sequence[RemoteFile]) -> None:
    """Those that came without a checksum must be what their names say. Raises DownloadFailed; they are removed."""
    for file in files:
        path = folder / file.path
        if file.sha256 is not None:
            continue
        reasons = []
        for form in discover("models.formats").values():
            if not form.claims(path):
                continue
            try:
                form.read(path)
                break
            except ModelUnreadable as error:
                reasons.append(error.message)
        else:
            if reasons:
                path.unlink()
                raise DownloadFailed(
                    f"{file.path} is not a complete model: {reasons[0]}",
                    hint="check that this is the address of the file itself",
                )


def install(staging: Path, target: Path, files: Sequence[RemoteFile]) -> None:
    """All files are whole: put them in place, all of them in one step. What else lies in the folder stays there."""
    for file in files:
        with (staging / file.path).open("rb") as data:
            os.fsync(data.fileno())
    noted = (_noted(target) or {}) | {
        file.path: {"url": _bare(file.url), "size": (staging / file.path).stat().st_size, "sha256": file.sha256}
        for file in files
    }
    notes = [note_of(staging / file.path) for file in files]
    wanted = {*(staging / file.path for file in files), *notes}
    for path in [path for path in staging.rglob("*") if path.is_file() or path.is_symlink()]:
        if path not in wanted:
            path.unlink()  # what an earlier try wanted
    there = target.exists()
    if there:
        _take_along(target, staging, {staging / SOURCES, *wanted})
    (staging / SOURCES).write_text(json.dumps(noted, indent=1), encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(staging)
    if there and exchange(staging, target):
        staging.rename(aside)
    else:
        if there:
            target.rename(aside)
        staging.rename(target)
    _remove(aside)
    for note in notes:  # not before: a disk that is full, or a kill, would make all of it be fetched again
        (target / note.relative_to(staging)).unlink(missing_ok=True)


def tidy(staging: Path, target: Path) -> None:
    """The version before, where a kill has left it: it comes back where no newer one has its place."""
    aside = _aside(staging)
    if os.path.lexists(aside) and not target.exists():
        aside.rename(target)
    _remove(aside)


def drop_old(staging: Path) -> None:
    """The newest version has its place. If all of one lies here too, a kill came between two steps of `install`."""
    if (staging / SOURCES).exists():
        _remove(staging)


def _aside(staging: Path) -> Path:
    return staging.with_name(f".{staging.name}.old")


def _remove(folder: Path) -> None:
    if folder.is_symlink():  # its owner keeps it elsewhere
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _take_along(old: Path, new: Path, but: Collection[Path]) -> None:
    for path in old.rglob("*"):
        there = new / path.relative_to(old)
        if there in but or (path.is_dir() and not path.is_symlink()):
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, there, follow_symlinks=False)
        except OSError:  # a file system without links
            shutil.copy2(path, there, follow_symlinks=False)


def _noted(target: Path) -> dict[str, dict[str, Any]] | None:
    try:
        rows = json.loads((target / SOURCES).read_text(encoding="utf-8"))
        return {
            str(path): {"url": str(row["url"]), "size": row["size"], "sha256": row["sha256"]}
            for path, row in rows.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _is_noted(target: Path, noted: dict[str, dict[str, Any]], file: RemoteFile) -> bool:
    row, path = noted.get(file.path), target / file.path
    if row is None or row["url"] != _bare(file.url) or not path.is_file() or path.stat().st_size != row["size"]:
        return False
    return file.size in (None, row["size"]) and (file.sha256 is None or file.sha256 == row["sha256"])


def _same(path: Path, file: RemoteFile) -> bool:
    if not path.is_file() or file.size not in (None, path.stat().st_size):
        return False
    if file.sha256 is None:
        return True
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest() == file.sha256.lower()


def _bare(url: str) -> str:
    """Without what may hold a key or ends in an hour."""
    return url.partition("?")[0].partition("#")[0]


def _source(url: str) -> str:
    """The repository of a hub's address, the folder of any other."""
    bare = _bare(url)
    return bare.partition("/resolve/")[0] if "/resolve/" in bare else bare.rpartition("/")[0]
