"""`parley up`: the server, in the foreground."""

from __future__ import annotations

import argparse

from web.cli.command import EVERY_DAY, Command, add_settings_flags, settings_of

__all__ = ["SPEC"]

_SHORT_KEY = 16


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-offer", action="store_true", help="do not offer to download better models")
    parser.add_argument("--no-browser", action="store_true", help="do not open the live page")
    add_settings_flags(parser)


def _run(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)

    import os
    import sys
    from contextlib import suppress
    from functools import partial

    import anyio

    from llm.workers import lifeline
    from web.cli.fetching import offer_once
    from web.logs import configure
    from web.serving.exposure import exposure
    from web.serving.foreground import run_server
    from web.serving.open_files import FEW_CONNECTIONS, connections_at_once, raise_limit
    from web.settings import unknown_environment
    from web.terminal.welcome import Welcome

    lifeline.hold(in_order=True)
    configure(settings.server.log_level)
    welcome = Welcome()
    welcome.hello()
    for notice in unknown_environment(os.environ):
        welcome.warning(notice)
    if 0 < len(settings.admin_key) < _SHORT_KEY:
        welcome.warning(
            "PARLEY_ADMIN_KEY is so short that it can be guessed; `openssl rand -hex 24` makes a long one"
        )
    raise_limit()
    if (most := connections_at_once()) < FEW_CONNECTIONS:
        welcome.warning(f"the system's limit on open files allows {most} connections at once; `ulimit -n` raises it")
    if (exposed := exposure(settings.server.host)) is not None:
        welcome.warning(f"Parley {exposed[0]}")
        welcome.warning(f"  {exposed[1]}")
    if not arguments.no_offer:
        offer_once(settings.home)
    anyio.run(
        partial(run_server, settings, welcome, open_browser=not arguments.no_browser),
        backend_options={"use_uvloop": os.name != "nt"},
    )
    welcome.bye()
    with suppress(OSError):  # the terminal may be gone
        sys.stdout.flush()
        sys.stderr.flush()
    # Everything is closed and written. Python would still wait for calls that were given up (`abandon_on_cancel`) and
    # go on in their threads, which are no daemons: a lock that another process holds, a hub that does not answer.
    os._exit(0)


SPEC = Command(
    "up",
    "start the server and open the live page",
    "Start the Parley server and its worker processes, in the foreground. Ctrl-C stops all of it.",
    _configure,
    _run,
    EVERY_DAY,
)
