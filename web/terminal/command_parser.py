"""The parser of the command line: the list of commands, and mistakes that are told with what was probably meant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import NoReturn

from models.errors import BadInput
from web.cli.command import GROUPS, Command

__all__ = ["parse"]

# What other programs call it.
_ALSO_CALLED = {
    "serve": "up",
    "start": "up",
    "run": "up",
    "chat": "talk",
    "say": "talk",
    "check": "doctor",
    "status": "doctor",
    "models": "download-model",
    "pull": "download-model",
    "download": "download-model",
    "install": "download-model",
    "load": "load-model",
    "unload": "unload-model",
    "ps": "list-loaded",
    "list": "list-loaded",
    "key": "keys",
    "login": "link",
    "benchmark": "bench",
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in a sentence, without the usage, which `--help` prints."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n        `{self.prog} --help` explains this command\n")


def parse(commands: Mapping[str, Command], version: str, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of the command line; `command` is None where none is named, and the list has been printed.

    Raises BadInput for a command that does not exist, and SystemExit for other mistakes, `--help` and `--version`.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = _Parser(
        prog="parley",
        usage="parley COMMAND [options]",
        description=_overview(commands),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="`parley COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"parley {version}")
    names = parser.add_subparsers(dest="command", help=argparse.SUPPRESS)
    parsers: dict[str, _Parser] = {}
    for command in commands.values():
        parsers[command.name] = names.add_parser(command.name, prog=f"parley {command.name}")
        parsers[command.name].description = command.description
        command.configure(parsers[command.name])
    asked = next((word for word in argv if not word.startswith("-")), None)
    if asked is not None and asked not in commands:
        raise BadInput(f"there is no command {asked!r}", hint=_meant(asked, commands))
    arguments, unknown = parser.parse_known_args(argv)
    if arguments.command is None:
        if unknown:
            raise BadInput(f"there is no option {unknown[0]!r}", hint="`parley --help` lists the commands")
        parser.print_help()
    elif unknown:
        _refuse(parsers[arguments.command], unknown[0])
    return arguments


def _overview(commands: Mapping[str, Command]) -> str:
    width = max(map(len, commands))
    lines = ["A voice assistant that runs on your own machine."]
    for group in GROUPS:
        listed = [command for command in commands.values() if command.group == group]
        listed.sort(key=lambda command: command.name != "up")  # with which everybody begins
        lines += ["", f"{group}:"] if listed else []
        lines += [f"    {command.name:<{width}}  {command.help}" for command in listed]
    return "\n".join(lines)


def _meant(asked: str, commands: Mapping[str, Command]) -> str:
    near = get_close_matches(asked, [*commands, *_ALSO_CALLED], 1)
    if not near:
        return "`parley --help` lists the commands"
    return f"did you mean `parley {_ALSO_CALLED.get(near[0], near[0])}`? `parley --help` lists the commands"


def _refuse(parser: _Parser, unknown: str) -> NoReturn:
    if not unknown.startswith("-"):
        parser.error(f"{unknown!r} is one argument too many")
    name = unknown.split("=")[0]
    near = get_close_matches(name, [flag for action in parser._actions for flag in action.option_strings], 1)
    parser.error(f"there is no option {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
