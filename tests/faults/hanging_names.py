"""Names that a name service never answers for, beside one that is known, for tests: in a network of our own.

Prints `none` where no such network can be made; else what came of a request to localhost while they hang, and how
many of them still did.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile

import anyio
from aiohttp import web as aio

from llm.client import BackendFactory
from models.errors import ParleyError
from tests.faults import own_network

HANGING = 12


async def main() -> None:
    async def models(request: aio.Request) -> aio.Response:
        return aio.json_response({"data": [{"id": "m"}]})

    app = aio.Application()
    app.router.add_get("/v1/models", models)
    runner = aio.AppRunner(app)
    await runner.setup()
    await aio.TCPSite(runner, "127.0.0.1", 0).start()
    hanging = 0
    async with BackendFactory.create("openai", f"http://localhost:{runner.addresses[0][1]}/v1") as known:
        http = known._session()  # the servers of a Parley share one

        async def ask(number: int) -> None:
            nonlocal hanging
            hanging += 1
            try:
                await http.get(f"http://never-{number}.example/")
            finally:
                hanging -= 1

        async with anyio.create_task_group() as tasks:
            for number in range(HANGING):
                tasks.start_soon(ask, number)
            await anyio.wait_all_tasks_blocked()
            with anyio.move_on_after(60):
                try:
                    print(await known.list_models(), flush=True)
                except ParleyError as error:
                    print(error, flush=True)
            print(hanging, flush=True)
            os._exit(0)  # the look-ups go on in their threads


if __name__ == "__main__":
    if own_network.make():
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="ascii") as file:
            file.write("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
            file.flush()
            try:
                silent.bind(("127.0.0.1", 53))
                if own_network.mount_over("/etc/resolv.conf", file.name):
                    anyio.run(main, backend_options={"use_uvloop": True})
            except OSError:
                pass
    sys.stdout.write("none\n")
