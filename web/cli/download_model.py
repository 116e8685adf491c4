"""`parley download-model`: put a better model into the store."""

from __future__ import annotations

import argparse

from web.cli.command import Command, add_settings_flags, settings_of

__all__ = ["SPEC"]


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        help="a name of the catalogue, owner/repo or owner/repo/file of the hub, or an https:// address of a file",
    )
    kinds = ("stt", "tts", "llm", "embedding", "vision")
    parser.add_argument("--for", dest="kind", choices=kinds, help="the recommended model of a stage")
    parser.add_argument("--recommended", action="store_true", help="a whole set that suits this machine")
    parser.add_argument("--language", default="en", help="that is spoken, for recommendations: en, de (en)")
    parser.add_argument("--yes", action="store_true", help="do not ask before fetching a set")
    parser.add_argument("--list", action="store_true", help="show the catalogue")
    add_settings_flags(parser)


def _run(arguments: argparse.Namespace) -> int:
    from models import catalog
    from models.errors import BadInput
    from web.cli.fetching import fetch, memory_gib, offer

    if arguments.list:
        _show_catalogue()
        return 0
    settings = settings_of(arguments)
    folder = settings.home / "models"
    if arguments.recommended:
        entries = catalog.recommended_set(arguments.language, memory_gib())
        return 0 if offer(folder, entries, ask=not arguments.yes) else 1
    asked = arguments.model
    if asked is None:
        if arguments.kind is None:
            raise BadInput("which model?", hint="`parley download-model --recommended`, or a name of `--list`")
        chosen = catalog.recommend(arguments.kind, arguments.language, memory_gib())
        if chosen is None:
            raise BadInput(
                f"the catalogue has no {arguments.kind} model for this machine and {arguments.language!r}",
                hint="`parley download-model --list` shows the catalogue and its languages",
            )
        asked = chosen.name
    if "/" not in asked:
        entry = catalog.find(asked)
        print(f"{entry.name}: {entry.note}. About {entry.size_mb} MB, licence: {entry.licence}.")
    path = fetch(folder, asked, settings.models.trusted_hosts)
    print(f"Installed in {path}. A server that is running uses it after a restart.")
    return 0


def _show_catalogue() -> None:
    from rich.table import Table

    from models import catalog
    from web.terminal import PlainConsole

    table = Table(title="parley download-model NAME", title_justify="left", box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)  # to be copied
    for title in ("stage", "language", "MB", "what it is, its licence"):
        table.add_column(title)
    for entry in catalog.entries():
        languages = ", ".join(entry.languages)
        table.add_row(entry.name, entry.kind, languages, str(entry.size_mb), f"{entry.note}; {entry.licence}")
    PlainConsole().print(table)


SPEC = Command(
    "download-model",
    "put a better model into the store",
    "Download a model from the catalogue, the Hugging Face hub or an address; resumed if it breaks off.",
    _configure,
    _run,
)
