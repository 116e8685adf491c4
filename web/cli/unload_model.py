"""`parley unload-model`: a slot of the running server becomes empty."""

from __future__ import annotations

import argparse

from web.cli.command import Command, add_settings_flags, settings_of

__all__ = ["SPEC"]


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a slot's number, or the name of the model in it")
    parser.add_argument("--force", action="store_true", help="do not wait for the requests it is answering")
    add_settings_flags(parser)


def _run(arguments: argparse.Namespace) -> int:
    import anyio

    from web.api_client import ApiClient, ServerRefused, find_server

    target = find_server(settings_of(arguments))

    async def unload() -> list[str]:
        async with ApiClient(target) as client:
            rows = [row for row in (await client.get("/admin/api/slots"))["slots"] if row["model"]]
            chosen = [row for row in rows if arguments.model in (str(row["slot"]), row["model"])]
            if not chosen:
                there = ", ".join(f"{row['slot']}: {row['model']}" for row in rows) or "none"
                raise ServerRefused(f"no slot holds {arguments.model!r}", hint=f"loaded are {there}")
            said = []
            for row in chosen:
                path = f"/admin/api/slots/{row['slot']}/unload"
                after = await client.post(path, {"force": arguments.force})
                said.append(f"slot {row['slot']}: {row['model']} is {after['status']}")
        return said

    for line in anyio.run(unload):
        print(line)
    return 0


SPEC = Command(
    "unload-model",
    "empty a slot of the running server",
    "Unload a model by its name or its slot. It ends when it has answered its requests; with --force at once.",
    _configure,
    _run,
)
