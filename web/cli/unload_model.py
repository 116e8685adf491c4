"""`parley unload-model`: a slot of the running server becomes empty."""

from __future__ import annotations

import argparse

from web.cli.command import MODELS, Command, add_settings_flags, settings_of

__all__ = ["SPEC"]


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="the name of a loaded model, or the number of its slot")
    parser.add_argument("--force", action="store_true", help="do not wait for the requests in progress")
    add_settings_flags(parser)


def _run(arguments: argparse.Namespace) -> int:
    import anyio

    from web.terminal.api_client import ApiClient, ServerRefused, find_server

    target = find_server(settings_of(arguments))

    async def unload() -> list[str]:
        async with ApiClient(target) as client:
            rows = [row for row in (await client.get("/admin/api/slots"))["slots"] if row["model"]]
            chosen = [row for row in rows if arguments.model in (str(row["slot"]), row["model"])]
            if not chosen:
                there = ", ".join(f"{row['slot']}: {row['model']}" for row in rows) or "none"
                raise ServerRefused(f"no slot holds {arguments.model!r}", hint=f"these are loaded: {there}")
            said = []
            for row in chosen:
                path = f"/admin/api/slots/{row['slot']}/unload"
                after = await client.post(path, {"force": arguments.force, "model": row["model"]})
                said.append(f"slot {row['slot']}: {row['model']} is {after['status']}")
        return said

    for line in anyio.run(unload):
        print(line)
    return 0


SPEC = Command(
    "unload-model",
    "unload a model from the running server",
    "Unload a model by its name or slot number, after the requests in progress, or at once with --force.",
    _configure,
    _run,
    MODELS,
)
