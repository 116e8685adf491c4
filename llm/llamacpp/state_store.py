"""States of conversations on disk while their model is in no slot: which there are, for which model, for how long.

    {root}/{mark of model and settings}/{number}.kv      what llama.cpp wrote
                                       /{number}.json    the tokens, a checksum, whose it is; written last

A state is used for the very same model file (its bytes are sampled) with the same settings and library, and only
while its checksum is right; everything else is removed. The folder has a bound, over all models: the oldest go first.
What is said in a conversation can be read out of its state, so the files are for their owner alone, and a
conversation that is forgotten leaves none. No native code here: the server's own process forgets through this, too.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import zlib
from array import array
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from filelock import FileLock

from llm.batching.events import Adapters
from llm.batching.sequences import SHARE_AT_LEAST, common_prefix

__all__ = ["ENV", "StoredState", "StateStore", "SwapFolder", "forget_everywhere", "mark_of", "sample_of"]

ENV = "PARLEY_WORKER_STATES"
"""Where a worker keeps states over a swap, told by the pool."""
MOST_AGE_S = 86_400.0
"""A conversation that nobody has continued for a day is computed anew."""
SPARE_BYTES = 128 << 20
"""What a disk shall have left after a state was written."""
_LOCK_S = 10.0
"""For another worker to write its states."""
_PIECE = 1 << 20
_SAMPLES, _SAMPLE_BYTES = 64, 4096

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredState:
    """One state. `conversation` is the mark of its name, "" where it has none."""

    file: Path
    tokens: list[int]
    conversation: str
    adapters: Adapters
    size: int
    checksum: int
    used_at: float

    @property
    def note(self) -> Path:
        return self.file.with_suffix(".json")


class StateStore:
    """The states of one model. Times are wall-clock seconds. Blocks on the disk; never raises what a disk raises."""

    def __init__(self, root: Path, model: str, most_bytes: int, now: float) -> None:
        """Finds what is there and removes what nobody can use any more."""
        self.root = root
        self.restored = 0
        self._folder = root / model[:32]
        self._most_bytes = most_bytes
        with suppress(OSError):
            _sweep(root, now)
        self._entries = _entries(self._folder)

    def __len__(self) -> int:
        return len(self._entries)

    def best(
        self, prompt: Sequence[int], conversation: str | None, adapters: Adapters, whole: bool
    ) -> StoredState | None:
        """The state with the longest beginning of this prompt, the conversation's own among equals. `whole`: for
        models whose state cannot be cut back.
        """
        head, mark = list(prompt[:-1]), mark_of(conversation)
        found: StoredState | None = None
        most = (SHARE_AT_LEAST - 1, False)
        for entry in self._entries:
            common = common_prefix(entry.tokens, head) if entry.adapters == adapters else 0
            if whole and common < len(entry.tokens):
                continue
            if (common, entry.conversation == mark) > most:
                found, most = entry, (common, entry.conversation == mark)
        return found

    def take(self, entry: StoredState, load: Callable[[Path], bool]) -> bool:
        """Read it with `load`, if it is what was written; in any case it is in the store no longer."""
        self._entries.remove(entry)
        good = False
        try:
            intact = entry.file.stat().st_size == entry.size and _checksum(entry.file) == entry.checksum
            good = intact and load(entry.file)
            if not good:
                log.warning("states.unusable", file=entry.file.name, intact=intact)
        except FileNotFoundError:
            pass  # forgotten meanwhile
        except OSError as error:
            log.warning("states.unusable", file=entry.file.name, reason=error.strerror)
        _remove(entry)
        self.restored += good
        return good

    def put(
        self,
        tokens: Sequence[int],
        conversation: str | None,
        adapters: Adapters,
        size: int,
        save: Callable[[Path], bool],
        used_at: float,
    ) -> bool:
        """Write one with `save`, whole or not at all; older ones, of any model, make room. False: it was not kept."""
        if size > self._most_bytes or not self.root.is_dir():  # no folder: the server is ending
            return False
        try:
            self._folder.mkdir(exist_ok=True, mode=0o700)
            with _alone(self.root):
                if not _make_room(self.root, self._most_bytes - size, used_at):
                    return False
                if shutil.disk_usage(self.root).free < size + SPARE_BYTES:
                    log.warning("states.not_kept", reason="the disk is full", size_bytes=size)
                    return False
                file = self._folder / f"{_next_number(self._folder)}.kv"
                if not save(file):
                    log.warning("states.not_kept", reason="it could not be written", size_bytes=size)
                    return False
                written = file.stat().st_size
                mark = mark_of(conversation)
                entry = StoredState(file, list(tokens), mark, adapters, written, _checksum(file), used_at)
                _write_note(entry)
                self._entries.append(entry)
                return True
        except OSError as error:
            log.warning("states.not_kept", reason=error.strerror or type(error).__name__, size_bytes=size)
            return False

    def forget(self, conversation: str) -> None:
        mark = mark_of(conversation)
        for entry in [entry for entry in self._entries if entry.conversation == mark]:
            self._entries.remove(entry)
            _remove(entry)


class SwapFolder:
    """Where the workers of one server keep states while it runs: empty when it begins, gone when it ends. `kept`: a
    folder to use instead, which stays.
    """

    def __init__(self, path: Path, kept: str = "") -> None:
        self.path = path
        self.env = {ENV: str(path)}
        """For the workers."""
        self._kept = kept

    async def forget(self, conversation: str) -> None:
        """What is kept of it for models that are in no slot now; workers forget for themselves."""

        def work() -> None:
            forget_everywhere(Path(self._kept).expanduser() if self._kept else self.path, conversation)

        await anyio.to_thread.run_sync(work)

    @asynccontextmanager
    async def lives(self) -> AsyncIterator[None]:
        """It is there during the block. A disk that takes nothing costs only the states."""

        def begin() -> None:
            self._remove()
            try:
                self.path.mkdir(parents=True, mode=0o700)
            except OSError as error:
                log.warning("states.no_folder", reason=error.strerror)

        await anyio.to_thread.run_sync(begin)
        try:
            yield
        finally:
            self.close()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._remove)

    def close(self) -> None:
        """At once: workers that are told to end find nothing to write to."""
        with suppress(OSError):
            self.path.rename(self._away)

    def _remove(self) -> None:
        for path in (self._away, self.path):
            shutil.rmtree(path, ignore_errors=True)

    @property
    def _away(self) -> Path:
        return self.path.with_name(f".{self.path.name}.old")


def forget_everywhere(root: Path, conversation: str) -> None:
    """Of every model, also of those that are in no slot. Blocks."""
    mark = mark_of(conversation)
    with suppress(OSError):
        for folder in _folders(root):
            for entry in _entries(folder):
                if entry.conversation == mark:
                    _remove(entry)


def mark_of(conversation: str | None) -> str:
    """A conversation's name may be what opens its live session, so it is not written down."""
    return "" if conversation is None else hashlib.sha256(conversation.encode("utf-8", "replace")).hexdigest()


def sample_of(file: Path) -> str:
    """Tells a model's file, or the parts of one, from any other without reading all of it: sizes, the first MiB with
    the header, and samples of the weights. Raises OSError.
    """
    digest = hashlib.sha256()
    head, _, count = file.stem.rpartition("-of-")
    split = count.isdigit() and head[-5:].isdigit()
    for part in sorted(file.parent.glob(f"{head[:-5]}*-of-{count}{file.suffix}")) if split else [file]:
        with part.open("rb") as data:
            size = os.fstat(data.fileno()).st_size
            digest.update(f"{size}:".encode() + data.read(_PIECE))
            for number in range(_SAMPLES):
                data.seek(number * max(0, size - _SAMPLE_BYTES) // (_SAMPLES - 1))
                digest.update(data.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _folders(root: Path) -> list[Path]:
    """Only what we make ourselves: others may keep files in a state_dir, too."""
    return [path for path in root.iterdir() if len(path.name) == 32 and path.is_dir() and not path.is_symlink()]


def _entries(folder: Path) -> list[StoredState]:
    """The newest first. What is damaged is removed."""
    found = []
    for note in folder.glob("*.json"):
        try:
            found.append(_read_note(note))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            for file in (note, note.with_suffix(".kv")):
                with suppress(OSError):
                    file.unlink(missing_ok=True)
    return sorted(found, key=lambda entry: -entry.used_at)


def _sweep(root: Path, now: float) -> None:
    """1. Files of a save that was broken off; 2. what is too old, or from the future of a wrong clock."""
    for folder in _folders(root):
        noted = {entry.file for entry in _entries(folder)}
        for file in (*folder.glob("*.kv"), *folder.glob("*.part")):  # 1
            if file not in noted and abs(now - file.stat().st_mtime) > 60.0:  # else another worker is writing it
                file.unlink(missing_ok=True)
        for entry in _entries(folder):
            if abs(now - entry.used_at) > MOST_AGE_S:  # 2
                _remove(entry)
        with suppress(OSError):
            folder.rmdir()  # if it is empty


def _make_room(root: Path, most_bytes: int, before: float) -> bool:
    """Remove the longest unused, if these were used before that time."""
    entries = sorted((entry for folder in _folders(root) for entry in _entries(folder)), key=lambda one: one.used_at)
    total = sum(entry.size for entry in entries)
    for entry in entries:
        if total <= most_bytes or entry.used_at >= before:
            break
        total -= entry.size
        _remove(entry)
    return total <= most_bytes


def _next_number(folder: Path) -> int:
    return 1 + max((int(file.stem) for file in folder.glob("*.kv") if file.stem.isdigit()), default=0)


def _remove(entry: StoredState) -> None:
    """The note first: without it the state counts for nothing."""
    for file in (entry.note, entry.file):
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _checksum(file: Path) -> int:
    value = 0
    with file.open("rb") as data:
        while piece := data.read(_PIECE):
            value = zlib.crc32(piece, value)
    return value


def _write_note(entry: StoredState) -> None:
    note = {
        "tokens": base64.b64encode(array("i", entry.tokens).tobytes()).decode("ascii"),
        "conversation": entry.conversation,
        "adapters": entry.adapters,
        "size": entry.size,
        "checksum": entry.checksum,
        "used_at": entry.used_at,
    }
    part = entry.note.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(note), encoding="utf-8")
    part.replace(entry.note)


def _read_note(note: Path) -> StoredState:
    body = json.loads(note.read_text(encoding="utf-8"))
    tokens = array("i")
    tokens.frombytes(base64.b64decode(body["tokens"]))
    adapters = tuple((int(number), float(scale)) for number, scale in body["adapters"])
    numbers = int(body["size"]), int(body["checksum"]), float(body["used_at"])
    return StoredState(note.with_suffix(".kv"), tokens.tolist(), str(body["conversation"]), adapters, *numbers)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Several workers may end at the same time, and the bound is for all of them."""
    with FileLock(root / ".lock", timeout=_LOCK_S, mode=0o600):
        yield
