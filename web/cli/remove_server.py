"""`parley remove-server`: what add-server has added is there no longer."""

from __future__ import annotations

import argparse

from web.cli.command import SERVERS, Command, add_settings_flags, settings_of

__all__ = ["SPEC"]


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="its name in list-servers")
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
    "Remove a server from servers.json of PARLEY_HOME. Model files are not deleted.",
    _configure,
    _run,
    SERVERS,
)
