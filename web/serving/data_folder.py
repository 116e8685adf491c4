"""One server to a data folder: two would empty each other's states, and each write over what the other keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from models.errors import SettingsError
from web.serving.runfile import RunFile

__all__ = ["claimed", "unwritable"]


@contextmanager
def claimed(home: Path) -> Iterator[None]:
    """The folder is ours for as long as this is entered; the system takes the claim from a process that is killed.

    Raises SettingsError where another server has it, or it cannot be written. Blocks for a moment.
    """
    lock = FileLock(home / "run" / "lock", mode=0o600, thread_local=False)
    try:
        for folder in (home, home / "run"):  # one by one: `parents` would be open to whoever the umask lets in
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock.acquire(timeout=0)
    except Timeout:
        other = RunFile(home).read()
        where = f" at {other.url}" if other is not None else ""
        raise SettingsError(
            f"another Parley runs{where} with the same data folder {home}",
            hint="`parley link` prints a link to it; PARLEY_HOME names another folder for a second one",
        ) from None
    except NotImplementedError:
        pass  # a file system without locks
    except OSError as error:
        raise unwritable(home, error) from None
    try:
        yield
    finally:
        lock.release()


def unwritable(home: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"the data folder {home} cannot be written: {error.strerror or error}",
        hint="PARLEY_HOME names another one",
    )
