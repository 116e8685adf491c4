"""`parley download-model`: put a better model into the store."""

from __future__ import annotations

import argparse

from web.cli.command import MODELS, Command, add_settings_flags, settings_of

__all__ = ["SPEC"]


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        help="a name from --list, owner/repo or owner/repo/file of the Hugging Face hub, or the https:// address of "
        "a file",
    )
    kinds = ("stt", "tts", "llm", "embedding", "vision")
    parser.add_argument(
        "--for",
        dest="kind",
        choices=kinds,
        help="fetch the recommended speech recogniser, voice, language model, ...",
    )
    parser.add_argument(
        "--recommended", action="store_true", help="show a full set that suits this machine, and fetch it after a yes"
    )
    parser.add_argument(
        "--language", default="en", help="the language to recommend models for: en or de (default: en)"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before downloading")
    parser.add_argument("--list", action="store_true", help="list the models that Parley knows by name")
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
            raise BadInput(
                "no model was named", hint="try `parley download-model --recommended`, or a name from `--list`"
            )
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
    print(f"Installed in {path}. Restart the server to use it.")
    return 0


def _show_catalogue() -> None:
    from rich.table import Table

    from models import catalog
    from web.terminal.console import PlainConsole

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
    "download a better recogniser, voice or language model",
    "Download a model from the catalogue, the Hugging Face hub or a web address. An interrupted download is resumed.",
    _configure,
    _run,
    MODELS,
)
