"""Models from elsewhere, for admins: searching the hub, downloading with progress, cancelling."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from models.download_jobs import DownloadJob, DownloadJobs
from models.errors import BadInput
from models.sources import huggingface
from web.errors import Forbidden, NotFound, body_of
from web.guards.authenticate import principal_of
from web.http.body import parse, read_object
from web.http.sse import EventStream, data_line
from web.services import Services, services_of

__all__ = ["ROUTES"]


class _Download(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    model: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    """A name of the catalogue, owner/repo, owner/repo/path/to/file, or an https:// address of a file."""
    repo_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    filename: Annotated[str, Field(max_length=1000)] = ""
    """Of the repository; without it, all that a program needs."""
    url: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    sha256: Annotated[str, Field(min_length=64, max_length=64)] | None = None
    """Of the file at `url`."""

    def asked(self) -> str:
        """Raises BadInput unless it is asked for in one way."""
        if sum(each is not None for each in (self.model, self.repo_id, self.url)) != 1:
            raise BadInput("say what to download", param="model", hint="one of model, repo_id (and filename), url")
        if self.filename and self.repo_id is None:
            raise BadInput("filename is for repo_id", param="filename")
        if self.url is not None and "://" not in self.url:
            raise BadInput("url must be an address", param="url", hint="https://...")
        if self.repo_id is not None and self.repo_id.strip().count("/") != 1:
            raise BadInput("repo_id must be owner/repo", param="repo_id")
        if self.sha256 is not None:
            if self.url is None:
                raise BadInput("sha256 is for url", param="sha256", hint="the hub tells its files' checksums itself")
            return f"{self.url.strip().partition('#')[0]}#sha256={self.sha256}"
        parts = (self.repo_id, self.filename) if self.repo_id is not None else (self.model or self.url,)
        return "/".join(part.strip() for part in parts if part)


async def _start(request: Request) -> Response:
    """POST /admin/api/models/download {"model"}, {"repo_id", "filename"} or {"url", "sha256"?}: 202 and the job;
    the same one for all who want the same model.
    """
    services = _for_admin(request)
    body = parse(_Download, await read_object(request))
    return JSONResponse(_row(services.downloads.start(body.asked())), 202)


async def _list(request: Request) -> Response:
    """GET /admin/api/models/download: {"jobs": [...], "disk"}: the latest job first; and what room there is."""
    services = _for_admin(request)
    disk = await anyio.to_thread.run_sync(_disk, services.store.root)
    return JSONResponse({"jobs": [_row(job) for job in services.downloads.jobs], "disk": disk})


async def _watch(request: Request) -> Response:
    """GET /admin/api/models/download/{job}: the job; with `Accept: text/event-stream` one event for each change, four
    a second at most, until it is over.
    """
    services = _for_admin(request)
    job = _job(services, request)
    if "text/event-stream" in request.headers.get("accept", ""):
        return EventStream(_events(services.downloads, job))
    return JSONResponse(_row(job))


async def _cancel(request: Request) -> Response:
    """DELETE /admin/api/models/download/{job}: what came is kept, and the next try goes on from there."""
    services = _for_admin(request)
    job = _job(services, request)
    services.downloads.cancel(job)
    return JSONResponse(_row(job), 202)


async def _search(request: Request) -> Response:
    """GET /admin/api/models/search?q=&format=gguf&limit=20: models of the hub, the most downloaded first."""
    _for_admin(request)
    query = request.query_params.get("q", "").strip()
    form = request.query_params.get("format", "gguf")
    limit = request.query_params.get("limit", "20")
    if not query or len(query) > 200:
        raise BadInput("q must say what to look for", param="q")
    if form not in huggingface.SEARCH_FORMATS:
        raise BadInput("format is unknown", param="format", hint=f"one of {', '.join(huggingface.SEARCH_FORMATS)}")
    if not limit.isdecimal() or not 1 <= int(limit) <= 100:
        raise BadInput("limit must be 1 to 100", param="limit")
    found = await anyio.to_thread.run_sync(huggingface.search, query, form, int(limit), abandon_on_cancel=True)
    return JSONResponse({"models": [asdict(one) for one in found]})


async def _events(jobs: DownloadJobs, job: DownloadJob) -> AsyncGenerator[bytes, None]:
    async with aclosing(jobs.watch(job)) as states:
        async for state in states:
            yield data_line(_row(state))


def _row(job: DownloadJob) -> dict[str, Any]:
    return {
        "job": job.id,
        "model": job.model,
        "name": job.name,
        "status": job.state,
        "file": job.file,
        "received_bytes": job.received,
        "total_bytes": job.total,
        "progress": round(job.received / job.total, 4) if job.total else None,
        "bytes_per_s": round(job.bytes_per_s),
        "path": None if job.path is None else str(job.path),
        **(body_of(job.error) if job.error is not None else {}),
    }


def _disk(folder: Path) -> dict[str, Any] | None:
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        usage = shutil.disk_usage(there)
    except (OSError, StopIteration):
        return None
    return {"folder": str(folder), "free_bytes": usage.free, "total_bytes": usage.total}


def _job(services: Services, request: Request) -> DownloadJob:
    job = services.downloads.find(request.path_params["job"])
    if job is None:
        raise NotFound("there is no such download", hint="GET /admin/api/models/download lists them")
    return job


def _for_admin(request: Request) -> Services:
    if principal_of(request).tier != "admin":
        raise Forbidden("only an admin may do this")
    return services_of(request)


ROUTES = [
    Route("/admin/api/models/download", _start, methods=["POST"]),
    Route("/admin/api/models/download", _list, methods=["GET"]),
    Route("/admin/api/models/download/{job}", _watch, methods=["GET"]),
    Route("/admin/api/models/download/{job}", _cancel, methods=["DELETE"]),
    Route("/admin/api/models/search", _search, methods=["GET"]),
]
