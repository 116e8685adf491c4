"""`parley link`: a new one-time link to the live page of the running server."""

from __future__ import annotations

import argparse

from web.cli.command import EVERY_DAY, Command, add_settings_flags, settings_of

__all__ = ["SPEC"]


def _run(arguments: argparse.Namespace) -> int:
    import anyio

    from web.terminal.api_client import ApiClient, find_server

    target = find_server(settings_of(arguments))

    async def ask() -> str:
        async with ApiClient(target) as client:
            return str((await client.post("/admin/api/signin-links"))["path"])

    print(f"{target.url}{anyio.run(ask)}")
    return 0


SPEC = Command(
    "link",
    "print a link that signs your browser in",
    "Print a link to the live page of the running server. It works once and expires after ten minutes.",
    add_settings_flags,
    _run,
    EVERY_DAY,
)
