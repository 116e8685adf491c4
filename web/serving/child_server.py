"""A server of one's own, for a command that finds none running: started as a child, ended with the command."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import anyio
from anyio.abc import Process

from llm.workers import lifeline
from models.errors import ParleyError
from web.keys import KeyFile
from web.logs import mask
from web.serving.runfile import RunFile
from web.settings import Settings
from web.terminal.api_client import ApiClient, ServerUnreachable, Target

__all__ = ["first_key", "own_server"]

_START_S = 180.0
_STOP_S = 6.0


@asynccontextmanager
async def own_server(settings: Settings, config: Path | None) -> AsyncIterator[Target]:
    """`parley up` in a child process, ready to talk. Its log goes to `run/up.log` of PARLEY_HOME.

    Raises ServerUnreachable with the log's end if it does not get ready. The ports are the configured ones where they
    are free.
    """
    log_path = settings.home / "run" / "up.log"
    environment = {
        **os.environ,
        "PARLEY_HOME": str(settings.home),
        "PARLEY_SLOT_PORT_BASE": str(_free_base(settings.llm.slot_port_base)),
        lifeline.ENV: "1",
    }
    with _open_log(log_path) as log:
        process = await anyio.open_process(
            _command(settings, config),
            stdin=subprocess.PIPE,  # its lifeline: it ends, too, where this command is killed
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the command; it then ends the server in order
        )
    try:
        yield await _ready(process, settings.home, log_path)
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _ready(process: Process, home: Path, log_path: Path) -> Target:
    with anyio.move_on_after(_START_S):
        while process.returncode is None:
            await anyio.sleep(0.1)
            running = RunFile(home).read()
            if running is None or running.pid != process.pid:
                continue
            target = Target(running.url, running.key)
            with suppress(ParleyError):
                async with ApiClient(target) as client:
                    if (await client.get("/health")).get("status") == "ok":
                        return target
    hint = _tail(log_path) or "`parley up` shows why"
    raise ServerUnreachable("the server that was started here did not get ready", hint=hint)


def first_key(settings: Settings) -> str:
    """The admin key, if there was none: made here, so that the child does not write it into its log. Else empty."""
    file = KeyFile(settings.home / "keys.json")
    return "" if settings.admin_key or file.read() is not None else file.reset()


def _command(settings: Settings, config: Path | None) -> list[str]:
    command = [sys.executable, "-m", "web.main", "up", "--no-browser"]
    if config is not None:
        command += ["--config", str(config.expanduser().resolve())]
    return [*command, "--host", "127.0.0.1", "--port", str(_free(settings.server.port))]


def _open_log(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _tail(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return mask("\n        ".join(lines[-12:]))


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    with anyio.move_on_after(_STOP_S):
        await process.wait()
        return
    process.kill()
    await process.wait()


def _free(port: int) -> int:
    """The port if it is free, else 0: the server then takes any."""
    return port if _is_free(port) else 0


def _free_base(base: int) -> int:
    for first in range(base, min(base + 2000, 65000), 40):
        if _is_free(first) and _is_free(first + 20) and _is_free(first + 21):
            return first
    return base


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
