"""Downloads that are killed at a step of theirs; for tests.

Reads lines `HOME STEP PLAIN URL...` from its input. For each it forks a process that fetches the files as the model
`m` into HOME, and is killed just before its STEP-th change of the disk or report of progress (0: never). PLAIN is
`True` for a file system where folders cannot change places. Answers each with a line: `killed` and what it would have
done, or `whole`, or what was raised.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio

import models.place
from models.download import Downloader
from models.half_file import RemoteFile

_CHANGES = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link")


def _fetch(home: str, last: int, urls: Sequence[str], tell: int) -> None:
    count = 0

    def step(what: str) -> None:
        nonlocal count
        count += 1
        if count == last:
            os.write(tell, f"killed {what}".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: Sequence[object]) -> None:
        if event in _CHANGES and home in str(arguments[0]) and arguments[1] != "r":
            step(f"{event} {Path(str(arguments[0])).name}")

    async def main() -> None:
        files = [RemoteFile(url, url.rpartition("/")[2]) for url in urls]
        await Downloader(Path(home) / "models", {"127.0.0.1"}).fetch("m", files, lambda told: step("progress"))

    sys.addaudithook(hook)
    try:
        anyio.run(main)
        os.write(tell, b"whole")
    except Exception as error:
        os.write(tell, repr(error).encode())
    os._exit(0)


def _serve() -> None:
    for line in sys.stdin:
        home, last, plain, *urls = line.split()
        read, write = os.pipe()
        child = os.fork()
        if not child:
            if plain == "True":
                models.place.exchange = lambda one, other: False
            _fetch(home, int(last), urls, write)
        os.waitpid(child, 0)
        os.close(write)
        with os.fdopen(read) as told:
            print(told.read(), flush=True)


if __name__ == "__main__":
    _serve()
