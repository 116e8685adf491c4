"""`parley list-loaded`: what is in the slots of the running server."""

from __future__ import annotations

import argparse

from web.cli.command import MODELS, Command, add_settings_flags, settings_of

__all__ = ["SPEC"]


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the server's answer as JSON")
    add_settings_flags(parser)


def _run(arguments: argparse.Namespace) -> int:
    import json
    from typing import Any

    import anyio

    from llm.slots.errors import mib
    from web.terminal.api_client import ApiClient, find_server
    from web.terminal.console import PlainConsole
    from web.terminal.slot_table import slot_table

    target = find_server(settings_of(arguments))

    async def ask() -> dict[str, Any]:
        async with ApiClient(target) as client:
            return await client.get("/admin/api/slots")

    answer = anyio.run(ask)
    if arguments.json:
        print(json.dumps(answer, indent=1))
        return 0
    console = PlainConsole()
    console.print(slot_table(answer["slots"]))
    memory = answer["memory"]
    console.print(f"\n{mib(memory['available_bytes'])} of {mib(memory['total_bytes'])} memory free", style="dim")
    return 0


SPEC = Command(
    "list-loaded",
    "show which models the running server has loaded",
    "Show every slot: its model, state and memory, and how many requests are waiting for it.",
    _configure,
    _run,
    MODELS,
)
