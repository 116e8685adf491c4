"""The models on this machine: `{home}/models/**`, further folders, and those that come with Parley.

What a file is comes from its content (models/formats/), never from its name. A file that cannot be read is
not listed and never used; `problems()` says why.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.errors import ModelNotFound, ModelUnreadable
from models.formats.port import Detected, FormatSpec, Kind
from models.registry import discover

__all__ = ["BUNDLED", "Installed", "Problem", "Store", "walk"]

BUNDLED = Path(__file__).resolve().parent / "bundled"
MAX_DEPTH = 6
MAX_PATHS = 20_000
"""A folder larger than this is no model folder; what lies beyond is not looked at."""


@dataclass(frozen=True, slots=True)
class Installed:
    name: str
    kind: Kind
    format: str
    path: Path
    bundled: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that looks like a model and is none."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a path was when it had this stamp: headers are read once, not at every question."""

    stamp: tuple[int, int]
    detected: Detected | None
    problem: str


class Store:
    def __init__(self, home: Path, directories: Sequence[Path] = (), bundled: Path = BUNDLED) -> None:
        self.root = home / "models"
        self._folders = ((self.root, False), *((folder, False) for folder in directories), (bundled, True))
        self._formats: tuple[FormatSpec, ...] = tuple(discover("models.formats").values())
        self._seen: dict[tuple[Path, str], _Seen] = {}
        """By path and format: a folder may look like two kinds of model."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where models lie."""
        return tuple(folder for folder, _ in self._folders)

    def installed(self, kind: Kind | None = None) -> tuple[Installed, ...]:
        """Best first: what was put here by hand before what comes with Parley, then the larger one.

        Reads directories and, for new files, headers; call it from a thread where that matters.
        """
        seen: dict[tuple[Path, str], _Seen] = {}
        found = sorted(self._scan(seen), key=lambda pair: (pair[0].bundled, -pair[1], pair[0].name))
        self._seen = seen  # whole, as other threads look into it
        return _unique([model for model, _ in found if kind is None or model.kind == kind])

    def find(self, name: str, kind: Kind | None = None) -> Installed:
        """By name, or by the path of a file or folder. Raises ModelNotFound (naming the nearest), ModelUnreadable."""
        models = self.installed(kind)
        for model in models:
            if name == model.name or (os.sep in name and Path(name).expanduser().resolve() == model.path):
                return model
        path = Path(name).expanduser()
        if os.sep in name and path.exists():
            return self._at(path.resolve(), kind)
        near = difflib.get_close_matches(name, [model.name for model in models], n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else None
        raise ModelNotFound(f"no model called {name[:200]!r} is installed", hint=hint)

    def problems(self) -> tuple[Problem, ...]:
        """Files of the last scan that look like models and cannot be used."""
        return tuple(Problem(path, seen.problem) for (path, _), seen in self._seen.items() if seen.problem)

    def _scan(self, seen: dict[tuple[Path, str], _Seen]) -> Iterator[tuple[Installed, int]]:
        """Puts what it finds into `seen`, too."""
        known = self._seen
        for folder, bundled in self._folders:
            for path in walk(folder):
                for form in self._formats:
                    if not form.claims(path) or (now := _look(form, path, known.get((path, form.name)))) is None:
                        continue
                    seen[path, form.name] = now
                    if now.detected is not None:
                        yield _entry(now.detected, form, path, bundled), now.detected.weight

    def _at(self, path: Path, kind: Kind | None) -> Installed:
        for form in self._formats:
            if form.claims(path) and (detected := form.read(path)):
                if kind is not None and detected.kind != kind:
                    raise ModelUnreadable(f"{path.name} is a model for {detected.kind}, not for {kind}")
                return _entry(detected, form, path, bundled=False)
        raise ModelUnreadable(f"{path} is not a model of a known format")


def _look(form: FormatSpec, path: Path, before: _Seen | None) -> _Seen | None:
    """None: it has just gone."""
    inside = next((path / name for name in ("model.bin", "config.json") if (path / name).is_file()), path)
    try:
        stat = inside.stat()
    except OSError:
        return None
    stamp = (stat.st_mtime_ns, stat.st_size)
    if before is not None and before.stamp == stamp:
        return before
    try:
        return _Seen(stamp, form.read(path), "")
    except ModelUnreadable as error:
        return _Seen(stamp, None, error.message)


def _entry(detected: Detected, form: FormatSpec, path: Path, bundled: bool) -> Installed:
    return Installed(detected.name, detected.kind, form.name, path, bundled, detected.size_bytes)


def _unique(models: list[Installed]) -> tuple[Installed, ...]:
    """Two files of one name: the better one keeps it, the other is told apart by its folder."""
    taken: dict[str, Path] = {}
    unique = []
    for model in models:
        name = model.name
        if name in taken:
            name = f"{model.path.parent.name}/{name}"
        if name in taken:
            name = str(model.path)
        if taken.get(name) == model.path:
            continue
        taken[name] = model.path
        renamed = Installed(name, model.kind, model.format, model.path, model.bundled, model.size_bytes)
        unique.append(model if name == model.name else renamed)
    return tuple(unique)


def walk(folder: Path) -> Iterator[Path]:
    """Resolved paths of folders and files below, sorted, hidden ones left out; links are followed once each."""
    visited: set[Path] = set()
    waiting = [(folder, 0)]
    count = 0
    while waiting:
        here, depth = waiting.pop()
        try:
            real = here.resolve()
            if real in visited:
                continue
            visited.add(real)
            names = sorted(entry.name for entry in os.scandir(real) if not entry.name.startswith("."))
        except OSError:
            continue  # not there, or not ours to read: nothing is installed in it
        for name in names:
            count += 1
            if count > MAX_PATHS:
                return
            path = (real / name).resolve()
            if path.is_dir() and depth < MAX_DEPTH:
                waiting.append((path, depth + 1))
            if path.exists():
                yield path
