"""`parley remove-server`: what add-server has added is there no longer."""

from __future__ import annotations

import argparse

from web.cli.command import Command, add_settings_flags, settings_of

__all__ = ["SPEC"]


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="as list-servers shows it")
    add_settings_flags(parser)


def _run(arguments: argparse.Namespace) -> int:
    from llm.servers import ServersFile

    server = ServersFile(settings_of(arguments).home).remove(arguments.name)
    ends = "; what runs now goes on until the server ends" if server.mode == "proxy" else ""
    print(f"{server.name}: removed{ends or '; `parley unload-model` empties its slot now'}")
    return 0


SPEC = Command(
    "remove-server",
    "remove what add-server has added",
    "Take a server out of servers.json of PARLEY_HOME. Its model's files stay.",
    _configure,
    _run,
)
