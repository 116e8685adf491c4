"""Downloads beside everything else: shared, watched, cancelled; and every way a source can go wrong."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from models import catalog
from models.clock import SystemClock
from models.download_jobs import DownloadJob, DownloadJobs
from models.errors import BadInput, ModelNotFound
from models.half_file import RemoteFile
from models.store import Store
from models.wanted import Wanted, name_of
from tests.models.test_download import DATA, SHA, Hub, hub

__all__ = ["hub"]


@asynccontextmanager
async def running(hub: Hub, folder: Path, sha256: str | None = SHA) -> AsyncIterator[DownloadJobs]:
    def resolve(asked: str) -> Wanted:
        file = RemoteFile(f"{hub.url}/file.gguf", "file.gguf", len(DATA), sha256)
        return Wanted(name_of(asked), "", (file,), frozenset({"127.0.0.1"}))

    jobs = DownloadJobs(folder, SystemClock(), resolve)
    async with anyio.create_task_group() as group:
        await group.start(jobs.run)
        yield jobs
        group.cancel_scope.cancel()


async def end_of(jobs: DownloadJobs, job: DownloadJob) -> list[tuple[str, int]]:
    with anyio.fail_after(60):
        async with aclosing(jobs.watch(job, 0.0)) as states:
            return [(state.state, state.received) async for state in states]


async def test_those_who_want_the_same_share_one_job(hub: Hub, tmp_path: Path) -> None:
    async with running(hub, tmp_path) as jobs:
        first = jobs.start("owner/repo")
        assert jobs.start("owner/repo") is first
        with pytest.raises(BadInput, match="elsewhere"):
            jobs.start("other/repo")
        seen = await end_of(jobs, first)
        assert seen[-1] == ("done", len(DATA)) and first.path == tmp_path / "repo"
        assert [received for _, received in seen] == sorted(received for _, received in seen)
        assert len(hub.ranges) == 1
        again = jobs.start("owner/repo")
        await end_of(jobs, again)
        assert again is not first and again.state == "done" and len(hub.ranges) == 1, "it is there already"


async def test_a_wrong_checksum_fails_the_job_and_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    async with running(hub, tmp_path, hashlib.sha256(b"else").hexdigest()) as jobs:
        job = jobs.start("owner/repo")
        await end_of(jobs, job)
        assert job.state == "failed" and job.error is not None and job.error.code == "checksum_wrong"
        assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


async def test_a_forbidden_redirect_fails_the_job(hub: Hub, tmp_path: Path) -> None:
    hub.redirect = "https://169.254.169.254/latest/meta-data"
    async with running(hub, tmp_path) as jobs:
        job = jobs.start("owner/repo")
        await end_of(jobs, job)
        assert job.state == "failed" and job.error is not None and job.error.code == "download_refused"


async def test_a_cancelled_job_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.cuts = 1_000_000, 1  # the pause before the second try is when it is cancelled
    async with running(hub, tmp_path) as jobs:
        job = jobs.start("owner/repo")
        while job.received < 1_000_000:
            await job.changed.wait()
        jobs.cancel(job)
        await end_of(jobs, job)
        assert job.state == "cancelled" and not (tmp_path / "repo").exists()
        again = jobs.start("owner/repo")
        await end_of(jobs, again)
        assert again.state == "done" and hub.ranges[-1].startswith("bytes=")


KILLED = """
import sys, anyio
from pathlib import Path
from models.download import Downloader
from models.half_file import RemoteFile
def told(progress): print(progress.received, flush=True)
file = RemoteFile(sys.argv[1], "file.gguf", None, None)
anyio.run(Downloader(Path(sys.argv[2]), {"127.0.0.1"}).fetch, "m", [file], told)
"""


async def test_two_processes_share_a_download_also_when_one_is_killed(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.cuts = 1_500_000, 1
    command = [sys.executable, "-c", KILLED, f"{hub.url}/file.gguf", str(tmp_path / "models")]
    async with await anyio.open_process(command, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        await first.stdout.receive()
        async with await anyio.open_process(command, stdout=subprocess.DEVNULL) as second:
            os.kill(first.pid, signal.SIGKILL)
            await first.wait()
            assert Store(tmp_path).installed("stt") == () and not (tmp_path / "models" / "m").exists()
            with anyio.fail_after(60):
                assert await second.wait() == 0
    assert (tmp_path / "models" / "m" / "file.gguf").read_bytes() == DATA


@pytest.mark.parametrize(
    "asked", ["a/", "/b", "a/../b", "a/.git/x", "https://example.org/", "http://[::1/x.gguf", "a//b"]
)
def test_what_is_no_model_is_told(asked: str) -> None:
    with pytest.raises(BadInput):
        name_of(asked)


def test_names() -> None:
    assert name_of("owner/repo") == "repo" and name_of("owner/repo/q/model-q4.gguf") == "model-q4"
    assert name_of("https://example.org/a/x%20y.gguf?download=true") == "x y"
    assert name_of("whisper-base") == "whisper-base"
    with pytest.raises(ModelNotFound, match="whisper-base"):
        name_of("whisper-bas")


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_recommended_set_hears_speaks_answers_finds_and_sees(language: str) -> None:
    entries = catalog.recommended_set(language, 32)
    assert [entry.kind for entry in entries] == list(catalog.SET_KINDS)
    assert all(entry.licence and entry.size_mb and entry.speaks(language) for entry in entries)
    small = catalog.recommended_set(language, 4)
    assert [entry.kind for entry in small] == list(catalog.SET_KINDS)
    assert sum(entry.size_mb for entry in small[:3]) < 1500  # what runs together
    assert max(entry.size_mb for entry in small) < 1500
