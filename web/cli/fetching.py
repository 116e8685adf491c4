"""Downloads in a terminal: one model with a bar, or a set that is shown with its sizes and licences first."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.catalog import Entry
    from models.download import Progress
    from models.wanted import Wanted

__all__ = ["fetch", "memory_gib", "offer", "offer_once"]

_LOOK_S = 2.0
"""A network that is not there in this time is none."""


def memory_gib() -> float:
    from llm.memory.machine import host_memory

    return host_memory().total / 2**30


def fetch(folder: Path, asked: str, trusted_hosts: Collection[str] = ()) -> Path:
    """Into the store at `folder`; asks the hub first. Raises what models/download.py does."""
    import anyio

    from models.wanted import want

    return anyio.run(_fetch, folder, want(asked, trusted_hosts))


def offer(folder: Path, entries: Sequence[Entry], *, ask: bool) -> bool:
    """Show a set, ask, fetch what is not there yet. False where the answer was no. Raises as `fetch`, and BadInput
    where nobody can be asked.
    """
    from rich.table import Table

    from models.errors import BadInput
    from web.terminal.console import PlainConsole

    table = Table(title="Recommended for this machine", title_justify="left", box=None, pad_edge=False)
    table.add_column("for")
    table.add_column("model", no_wrap=True)  # to be copied
    table.add_column("MB", justify="right")
    table.add_column("what it is, its licence")
    for entry in entries:
        table.add_row(entry.kind, entry.name, str(entry.size_mb), f"{entry.note}; {entry.licence}")
    console = PlainConsole()
    console.print(table)
    missing = [entry for entry in entries if not (folder / entry.name).is_dir()]
    total = sum(entry.size_mb for entry in missing)
    if not missing:
        console.print("All of it is installed.")
        return True
    if ask:
        if not sys.stdin.isatty():
            raise BadInput(
                "cannot ask for confirmation without a terminal", hint="add --yes to download it without asking"
            )
        answer = console.input(f"Download about {total} MB from {_source()}? [y/N] ", markup=False)
        if answer.strip().lower() not in ("y", "yes", "j", "ja"):
            return False
    for entry in missing:
        fetch(folder, entry.name)
        console.print(f"{entry.name} is installed.")
    return True


def offer_once(home: Path, language: str = "en") -> None:
    """At the first start on a terminal with a network: the recommended set. A no is remembered; raises nothing, for
    the server works without; but Ctrl-C ends `parley up` here as anywhere, and the next start asks again.
    """
    from models import catalog
    from models.errors import ParleyError
    from web.terminal.console import PlainConsole

    asked = home / "models" / ".offered"
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or asked.exists() or _has_models(home / "models"):
        return
    if not _reachable():
        return
    try:
        entries = catalog.recommended_set(language, memory_gib(), ("stt", "tts", "llm"))
        PlainConsole().print(
            "Parley works now, with the small models that come with it. You can download better ones for free."
        )
        offer(home / "models", entries, ask=True)
    except ParleyError as error:
        PlainConsole().print(
            f"The download failed: {error}. To try again, run `parley download-model --recommended`."
        )
    except EOFError:
        PlainConsole().print("To do this later, run `parley download-model --recommended`.")
    try:
        asked.parent.mkdir(parents=True, exist_ok=True)
        asked.touch()
    except OSError:
        pass  # then it is asked once more


def _has_models(folder: Path) -> bool:
    try:
        return any(not path.name.startswith(".") for path in folder.iterdir())
    except OSError:
        return False


def _reachable() -> bool:
    import socket
    from urllib.parse import urlsplit

    from models.sources import huggingface

    parts = urlsplit(huggingface.endpoint())
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), _LOOK_S).close()
    except (OSError, ValueError):
        return False
    return True


def _source() -> str:
    from models.sources import huggingface

    return huggingface.endpoint().removeprefix("https://")


async def _fetch(folder: Path, wanted: Wanted) -> Path:
    from models.download import Downloader

    with _Bar() as show:
        downloader = Downloader(folder, wanted.trusted_hosts, dict(wanted.headers))
        return await downloader.fetch(wanted.name, wanted.files, show, otherwise=wanted.otherwise)


class _Bar:
    """A progress bar with speed and remaining time."""

    def __enter__(self) -> Callable[[Progress], None]:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        self._bar.start()
        task = self._bar.add_task("connecting", total=None)

        def show(progress: Progress) -> None:
            self._bar.update(task, description=progress.file, completed=progress.received, total=progress.total)

        return show

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
