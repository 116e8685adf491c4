"""`parley list-servers`: what add-server has added."""

from __future__ import annotations

import argparse

from web.cli.command import SERVERS, Command, add_settings_flags, settings_of

__all__ = ["SPEC"]


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print as JSON, without keys")
    add_settings_flags(parser)


def _run(arguments: argparse.Namespace) -> int:
    import json
    from dataclasses import asdict

    from rich.table import Table
    from rich.text import Text

    from llm.servers import ServersFile
    from web.terminal.console import PlainConsole

    servers = ServersFile(settings_of(arguments).home).read()
    if arguments.json:
        rows = [{**asdict(server), "api_key": "***" if server.api_key else ""} for server in servers]
        print(json.dumps({"servers": rows}, indent=1))
        return 0
    if not servers:
        print("none; `parley add-server` adds one")
        return 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("name", "model", "mode", "where", "options"):
        table.add_column(title, overflow="fold")
    for server in servers:
        where = server.url or server.model_path
        options = ", ".join(f"{name}={value}" for name, value in server.options.items())
        table.add_row(*(Text(cell) for cell in (server.name, server.model, server.mode, where, options)))
    PlainConsole().print(table)
    return 0


SPEC = Command(
    "list-servers",
    "list what add-server has added",
    "List the servers in servers.json of PARLEY_HOME. `parley list-loaded` shows what is running now.",
    _configure,
    _run,
    SERVERS,
)
