"""`parley download-model`: put a better model into the store."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from web.cli.command import Command, add_settings_flags, settings_of

if TYPE_CHECKING:
    from models.download import Progress, RemoteFile

__all__ = ["SPEC"]


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        help="a name of the catalogue, owner/repo or owner/repo/file of the hub, or an https:// address of a file",
    )
    parser.add_argument("--for", dest="kind", choices=("stt", "tts", "llm"), help="the recommended model of a stage")
    parser.add_argument("--language", default="en", help="of a recommended voice (en)")
    parser.add_argument("--list", action="store_true", help="show the catalogue")
    add_settings_flags(parser)


def _run(arguments: argparse.Namespace) -> int:
    import anyio
    import psutil  # type: ignore[import-untyped]

    from models import catalog
    from models.errors import BadInput

    if arguments.list:
        _show_catalogue()
        return 0
    chosen: catalog.Entry | None = None
    if arguments.model is None:
        if arguments.kind is None:
            raise BadInput("which model?", hint="`parley download-model --for stt`, or a name of `--list`")
        chosen = catalog.recommend(arguments.kind, arguments.language, psutil.virtual_memory().total / 2**30)
        if chosen is None:
            raise BadInput(f"the catalogue has no {arguments.kind} model for this machine and {arguments.language!r}")
    elif "/" not in arguments.model:
        chosen = catalog.find(arguments.model)
    if chosen is not None:
        print(f"{chosen.name}: {chosen.note}. About {chosen.size_mb} MB, licence: {chosen.licence}.")
    settings = settings_of(arguments)
    name, files = _files(arguments.model or "", chosen)
    path = anyio.run(_fetch, settings.home / "models", name, files)
    print(f"Installed in {path}. A server that is running uses it after a restart.")
    return 0


def _files(asked: str, chosen: object) -> tuple[str, tuple[RemoteFile, ...]]:
    from pathlib import PurePosixPath
    from urllib.parse import urlsplit

    from models import catalog
    from models.download import RemoteFile
    from models.errors import BadInput
    from models.sources import huggingface

    if isinstance(chosen, catalog.Entry):
        return chosen.name, huggingface.list_files(chosen.repo, chosen.files)
    if "://" in asked:
        file = PurePosixPath(urlsplit(asked).path).name
        if not file:
            raise BadInput(f"{asked!r} names no file", hint="the address must end with the file's name")
        return PurePosixPath(file).stem, (RemoteFile(asked, file),)
    owner, repo, *rest = asked.split("/")
    if not owner or not repo:
        raise BadInput(f"{asked!r} is no model of the hub", hint="write owner/repo or owner/repo/path/to/file")
    wanted = ("/".join(rest),) if rest else ()
    return repo if not rest else PurePosixPath(rest[-1]).stem, huggingface.list_files(f"{owner}/{repo}", wanted)


async def _fetch(models: object, name: str, files: tuple[RemoteFile, ...]) -> str:
    from pathlib import Path
    from urllib.parse import urlsplit

    from models.download import Downloader
    from models.sources import huggingface

    trusted = {urlsplit(huggingface.endpoint()).hostname or ""}
    headers = {"Authorization": f"Bearer {huggingface.token()}"} if huggingface.token() else {}
    hub = urlsplit(files[0].url).hostname in trusted
    with _bar() as show:
        downloader = Downloader(Path(str(models)), trusted, headers if hub else {})
        return str(await downloader.fetch(name, files, show))


class _bar:
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
            TextColumn("{task.description}"),
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


def _show_catalogue() -> None:
    from rich.console import Console
    from rich.table import Table

    from models import catalog

    table = Table("name", "stage", "languages", "MB", "licence", "what it is", title="parley download-model NAME")
    for entry in catalog.entries():
        languages = ", ".join(entry.languages)
        table.add_row(entry.name, entry.kind, languages, str(entry.size_mb), entry.licence, entry.note)
    Console().print(table)


SPEC = Command(
    "download-model",
    "put a better model into the store",
    "Download a model from the catalogue, the Hugging Face hub or an address; resumed if it breaks off.",
    _configure,
    _run,
)
