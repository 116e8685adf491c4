"""`parley up`: the server, in the foreground."""

from __future__ import annotations

import argparse

from web.cli.command import Command, add_settings_flags, settings_of

__all__ = ["SPEC"]


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-offer", action="store_true", help="do not offer to download better models")
    parser.add_argument("--no-browser", action="store_true", help="do not open the live page")
    add_settings_flags(parser)


def _run(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)

    import os
    import sys
    from functools import partial

    import anyio

    from web.cli.fetching import offer_once
    from web.foreground import run_server
    from web.logs import configure
    from web.settings import unknown_environment
    from web.welcome import Welcome

    configure(settings.server.log_level)
    welcome = Welcome()
    welcome.hello()
    for notice in unknown_environment(os.environ):
        welcome.warning(notice)
    if not arguments.no_offer:
        offer_once(settings.home)
    anyio.run(
        partial(run_server, settings, welcome, open_browser=not arguments.no_browser),
        backend_options={"use_uvloop": os.name != "nt"},
    )
    welcome.bye()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is closed. What native libraries do while Python ends may hang, and nobody could help then.
    os._exit(0)


SPEC = Command(
    "up",
    "start the server and stay in the foreground",
    "Start Parley: workers, server, live page. Ctrl-C (or SIGTERM) ends it and everything it started.",
    _configure,
    _run,
)
