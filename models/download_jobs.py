"""Downloads that run beside everything else: started by one request, watched by others, shared by all who want the
same model. Bounded: some at a time, the rest in line; what is over is remembered for a while.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup, TaskStatus

from models.clock import Clock
from models.download import Downloader, Progress
from models.errors import BadInput, DownloadFailed, ParleyError
from models.wanted import Wanted, name_of, want

__all__ = ["DownloadJob", "DownloadJobs", "JobState"]

AT_ONCE = 2
KEPT = 64
"""Jobs that are remembered, those that run included; more are refused while all of them run."""
LOG_EVERY_S = 5.0

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class DownloadJob:
    """`received` and `total` in bytes; `total` None: not known yet. `error` where the state is failed."""

    id: str
    model: str
    name: str
    state: JobState = "queued"
    file: str = ""
    received: int = 0
    total: int | None = None
    bytes_per_s: float = 0.0
    path: Path | None = None
    error: ParleyError | None = None
    changed: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    def tell(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()


class DownloadJobs:
    """`folder` is the store's. Everything is called from one event loop; `run` must be running."""

    def __init__(self, folder: Path, clock: Clock, resolve: Callable[[str], Wanted] = want) -> None:
        self._folder, self._clock, self._resolve = folder, clock, resolve
        self._jobs: dict[str, DownloadJob] = {}
        self._places = anyio.Semaphore(AT_ONCE)
        self._tasks: TaskGroup | None = None

    @property
    def jobs(self) -> tuple[DownloadJob, ...]:
        """The latest first."""
        return tuple(reversed(self._jobs.values()))

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Cancelling it ends all downloads; what came is kept for the next try."""
        async with anyio.create_task_group() as self._tasks:
            task_status.started()
            try:
                await anyio.sleep_forever()
            finally:
                self._tasks = None

    def start(self, asked: str) -> DownloadJob:
        """Begin, or join one that runs for the same model. Raises BadInput, ModelNotFound, DownloadFailed if too many
        run already.
        """
        name = name_of(asked)
        for job in self._jobs.values():
            if job.name == name and not job.over:
                if job.model != asked:
                    raise BadInput(f"{name} is being downloaded from elsewhere", hint="wait for it, or cancel it")
                return job
        if self._tasks is None:
            raise DownloadFailed("the server is ending")
        over = [number for number, job in self._jobs.items() if job.over]
        if len(self._jobs) >= KEPT and not over:
            raise DownloadFailed(f"{KEPT} downloads are waiting already", hint="try again later")
        if len(self._jobs) >= KEPT:
            del self._jobs[over[0]]
        job = DownloadJob(secrets.token_hex(8), asked, name)
        self._jobs[job.id] = job
        self._tasks.start_soon(self._work, job)
        return job

    def find(self, number: str) -> DownloadJob | None:
        return self._jobs.get(number)

    def cancel(self, job: DownloadJob) -> None:
        """What came is kept, and the next try goes on from there."""
        if not job.over:
            job.scope.cancel()

    async def watch(self, job: DownloadJob, every_s: float = 0.25) -> AsyncGenerator[DownloadJob, None]:
        """The job as it is now, then at each change but not more often than that; ends when it is over."""
        while True:
            changed = job.changed
            yield job
            if job.over:
                return
            await changed.wait()
            if not job.over:
                with anyio.move_on_after(every_s):
                    while not job.over:
                        await job.changed.wait()

    async def _work(self, job: DownloadJob) -> None:
        try:
            with job.scope:
                async with self._places:
                    job.state = "running"
                    job.tell()
                    log.info("download.start", job=job.id, model=job.name)
                    wanted = await anyio.to_thread.run_sync(self._resolve, job.model, abandon_on_cancel=True)
                    job.total = _sum(wanted)
                    downloader = Downloader(self._folder, wanted.trusted_hosts, dict(wanted.headers))
                    job.path = await downloader.fetch(
                        wanted.name, wanted.files, self._teller(job), otherwise=wanted.otherwise
                    )
                    job.name = job.path.name
                    job.state = "done"
                    log.info("download.done", job=job.id, model=job.name, bytes=job.received)
            if job.scope.cancelled_caught:
                job.state = "cancelled"
                log.info("download.cancelled", job=job.id, model=job.name)
        except ParleyError as error:
            job.state, job.error = "failed", error
            log.warning("download.failed", job=job.id, model=job.name, code=error.code)
        except Exception as error:  # one bad download must not end the server
            job.state, job.error = "failed", DownloadFailed(f"{job.name}: {type(error).__name__}")
            log.exception("download.broken", job=job.id, model=job.name)
        finally:
            if not job.over:
                job.state = "cancelled"
            job.tell()

    def _teller(self, job: DownloadJob) -> Callable[[Progress], None]:
        begun_s, logged_s, first = self._clock.now(), self._clock.now(), -1

        def tell(progress: Progress) -> None:
            nonlocal logged_s, first
            now = self._clock.now()
            first = progress.received if first < 0 else first  # what an earlier try had fetched is no speed
            job.file, job.received = progress.file, progress.received
            job.total = progress.total if progress.total is not None else job.total
            job.bytes_per_s = (progress.received - first) / max(0.001, now - begun_s)
            if now - logged_s >= LOG_EVERY_S:
                logged_s = now
                log.info("download.progress", job=job.id, model=job.name, bytes=job.received, total=job.total)
            job.tell()

        return tell


def _sum(wanted: Wanted) -> int | None:
    sizes = [file.size for file in wanted.files]
    return None if None in sizes else sum(size or 0 for size in sizes)
