"""A process that is killed at any step of a download: what lies there then, and how the next one goes on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Protocol

import anyio
import pytest
from anyio.streams.text import TextReceiveStream

from models.download import Downloader, Progress
from models.exchange import exchange
from models.half_file import RemoteFile
from models.store import Store
from tests.models.test_download import DATA, OTHER, Hub, hub

__all__ = ["hub"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it forks")


class Fetch(Protocol):
    def __call__(self, home: Path, last: int, hub: Hub, count: int, *, plain: bool = False) -> Awaitable[str]: ...


@pytest.fixture
async def fetch() -> AsyncIterator[Fetch]:
    """Fetch so many files in a process that is killed at that step of it; says how it ended."""
    command = [sys.executable, "-m", "tests.models.killed_download"]
    async with await anyio.open_process(command, stderr=None) as process:
        assert process.stdin is not None and process.stdout is not None
        told = TextReceiveStream(process.stdout)

        async def fetch(home: Path, last: int, hub: Hub, count: int, *, plain: bool = False) -> str:
            assert process.stdin is not None
            urls = " ".join(f"{hub.url}/owner/repo/resolve/main/{number}.gguf" for number in range(count))
            await process.stdin.send(f"{home} {last} {plain} {urls}\n".encode())
            line = ""
            with anyio.fail_after(60):
                while not line.endswith("\n"):
                    line += await told.receive()
            return line.strip()

        yield fetch
        await process.stdin.aclose()


async def test_nothing_of_it_is_a_model_and_nothing_that_came_is_fetched_again(
    hub: Hub, tmp_path: Path, fetch: Fetch
) -> None:
    bundled = Store(tmp_path / "empty").installed()
    for step in range(1, 200):
        home = tmp_path / str(step)
        if (ended := await fetch(home, step, hub, 2)) == "whole":
            break
        assert ended.startswith("killed"), ended
        whole = (home / "models" / "m").exists()
        assert whole or Store(home).installed() == bundled, ended
        files = [path for path in home.rglob("*.gguf*") if path.name.endswith((".gguf", ".part"))]
        come = [path.stat().st_size for path in files]
        hub.ranges.clear()
        assert await fetch(home, 0, hub, 2) == "whole", ended
        starts = [int(asked.removeprefix("bytes=").rstrip("-") or 0) for asked in hub.ranges]
        assert sum(len(DATA) - start for start in starts) == 2 * len(DATA) - sum(come), ended
        for number in range(2):
            assert (home / "models" / "m" / f"{number}.gguf").read_bytes() == DATA, ended
    assert step > 20


async def test_parts_of_two_files_are_never_put_together(hub: Hub, tmp_path: Path, fetch: Fetch) -> None:
    half = 1
    while "progress" not in (ended := await fetch(tmp_path / f"half-{half}", half, hub, 1)):
        assert ended.startswith("killed"), ended
        half += 1
    for step in range(1, 200):
        home = tmp_path / str(step)
        hub.data, hub.etag = DATA, '"1"'
        assert "progress" in await fetch(home, half, hub, 1)
        hub.data, hub.etag = OTHER, '"2"'
        ended = await fetch(home, step, hub, 1)
        assert ended == "whole" or (ended.startswith("killed") and await fetch(home, 0, hub, 1) == "whole"), ended
        assert (home / "models" / "m" / "0.gguf").read_bytes() == OTHER, ended
        if ended == "whole":
            break
    assert step > 10


async def test_what_a_power_cut_took_of_a_whole_file_is_fetched_again(hub: Hub, tmp_path: Path, fetch: Fetch) -> None:
    """Of a source that says neither sizes nor checksums before."""
    staged = tmp_path / "models" / ".downloads" / "m" / "0.gguf"
    step = 1
    while not staged.exists():
        assert (await fetch(tmp_path, step, hub, 2)).startswith("killed")
        step += 1
    staged.write_bytes(DATA[:1000])
    assert await fetch(tmp_path, 0, hub, 2) == "whole"
    assert (tmp_path / "models" / "m" / "0.gguf").read_bytes() == DATA


@pytest.mark.parametrize("plain", [False, True], ids=["exchange", "two_renames"])
async def test_an_update_is_there_with_all_its_files_or_not_at_all(
    hub: Hub, tmp_path: Path, fetch: Fetch, plain: bool
) -> None:
    """And what its owner put beside them stays."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    if not plain and not exchange(tmp_path / "one", tmp_path / "other"):
        pytest.skip("folders cannot change places on this file system")
    first = tmp_path / "first"
    folder = first / "models" / "m"
    assert await fetch(first, 0, hub, 2) == "whole"
    (folder / "mine").mkdir()
    (folder / "mine" / "note.txt").write_text("mine")
    (folder / "link.txt").symlink_to("mine/note.txt")
    hub.data, hub.etag = OTHER, '"2"'
    (folder / "0.gguf").unlink()  # or it is not fetched: this source says no sizes before
    (folder / "0.gguf").write_bytes(DATA[:-1])
    for step in range(1, 200):
        home, folder = tmp_path / str(step), tmp_path / str(step) / "models" / "m"
        shutil.copytree(first, home, symlinks=True)
        ended = await fetch(home, step, hub, 2, plain=plain)
        versions = {(folder / name).read_bytes() for name in ("0.gguf", "1.gguf") if folder.exists()}
        assert versions in ({DATA[:-1], DATA}, {OTHER}) or (plain and not folder.exists()), ended
        if ended == "whole":
            break
        assert ended.startswith("killed"), ended
        assert await fetch(home, 0, hub, 2) == "whole", ended
        assert {(folder / name).read_bytes() for name in ("0.gguf", "1.gguf")} == {OTHER}, ended
        assert (folder / "link.txt").read_text() == "mine", ended
        assert not [path for path in (home / "models" / ".downloads").iterdir() if path.is_dir()], ended
    assert step > 20


async def test_two_of_one_process_that_fetch_the_same_wait_for_each_other(hub: Hub, tmp_path: Path) -> None:
    """As two jobs of a server do that named it differently: each has a lock of its own."""
    file = RemoteFile(f"{hub.url}/file.gguf", "file.gguf")
    asked = 0
    async with anyio.create_task_group() as tasks:

        def another(told: Progress) -> None:
            nonlocal asked
            if not asked:
                tasks.start_soon(Downloader(tmp_path, {"127.0.0.1"}).fetch, "m", [file])
            asked += 1

        await Downloader(tmp_path, {"127.0.0.1"}).fetch("m", [file], another)
    assert asked and len(hub.ranges) == 1 and (tmp_path / "m" / "file.gguf").read_bytes() == DATA
