"""What a command is, and the flags that several of them share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from web.settings import Settings

__all__ = [
    "EVERY_DAY",
    "GROUPS",
    "MEASURING",
    "MODELS",
    "MORE",
    "SERVERS",
    "Command",
    "add_settings_flags",
    "number_between",
    "settings_of",
]

EVERY_DAY = "Start here"
MODELS = "Models"
SERVERS = "Other servers"
MEASURING = "Measure and replay"
MORE = "More"
GROUPS = (EVERY_DAY, MODELS, SERVERS, MEASURING, MORE)
"""What `parley --help` lists the commands under, in this order."""


@dataclass(frozen=True, slots=True)
class Command:
    """A file in web/cli/ with a `SPEC` of this type is a command. `run` returns the exit status.

    Importing it must be cheap: `parley --help` imports all of them.
    """

    name: str
    help: str
    """One line, for the list of commands."""
    description: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    group: str = MORE
    """One of `GROUPS`."""


def add_settings_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="the parley.toml to read (or PARLEY_CONFIG)")
    parser.add_argument("--host", help="the server's address (or PARLEY_HOST; default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="the server's port (or PARLEY_PORT; default: 4000)")


def number_between(lowest: int, highest: int) -> Callable[[str], int]:
    """The `type` of a flag that takes a whole number."""

    def read(text: str) -> int:
        if not text.isdecimal() or not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(f"a number from {lowest} to {highest}")
        return int(text)

    return read


def settings_of(arguments: argparse.Namespace) -> Settings:
    """All settings, with the flags over file and environment. Raises SettingsError."""
    from web.settings import Given, load

    return load(Given(config=arguments.config, host=arguments.host, port=arguments.port))
