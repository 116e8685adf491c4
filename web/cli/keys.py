"""`parley keys`: the admin key."""

from __future__ import annotations

import argparse

from web.cli.command import EVERY_DAY, Command, add_settings_flags, settings_of

__all__ = ["SPEC"]


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("show", "reset"), nargs="?", default="show")
    add_settings_flags(parser)


def _run(arguments: argparse.Namespace) -> int:
    from web.keys import KeyFile

    settings = settings_of(arguments)
    file = KeyFile(settings.home / "keys.json")
    if arguments.action == "reset":
        print(file.reset())
        print("This is the new admin key. It is not kept anywhere in this form: put it away now.")
        print("The old key and all signed-in pages stop working, on a running server within seconds.")
    else:
        admin = file.read()
        kept = f"{admin.prefix}... (only its hash is kept)" if admin else "none yet; `parley up` makes one"
        print(f"admin key: {kept}")
        print(f"key file:  {file.path}")
    if settings.admin_key:
        print("PARLEY_ADMIN_KEY is set and counts in place of the key file.")
    return 0


SPEC = Command(
    "keys",
    "show or replace the admin key",
    "Show the start of the admin key, or replace it with a new one (the old one stops working).",
    _configure,
    _run,
    EVERY_DAY,
)
