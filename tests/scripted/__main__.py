"""`python -m tests.scripted --port 8901`: the scripted service in a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import signal
from dataclasses import fields

from aiohttp import web

from tests.scripted.ollama import add_ollama
from tests.scripted.script import Script
from tests.scripted.service import ScriptedService


async def _serve(service: ScriptedService, port: int) -> None:
    # A client that hangs up cancels its handler: that is how the service knows.
    app = service.app()
    add_ollama(service, app)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await web.TCPSite(runner, "127.0.0.1", port, shutdown_timeout=0.2).start()
        print(f"scripted service on http://127.0.0.1:{port}/v1", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8901)
    delays = [entry.name for entry in fields(Script) if isinstance(entry.default, float)]
    for name in delays:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=getattr(Script(), name))
    options = vars(parser.parse_args())
    port = options.pop("port")
    asyncio.run(_serve(ScriptedService(Script(**options)), port))


if __name__ == "__main__":
    main()
