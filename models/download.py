"""Fetch model files: resumed after a cut, checked, and moved into the store only when they are whole.

Everything is fetched into `{models}/.downloads/`, which the store does not look into, and renamed into place at the
end; a process that is killed leaves nothing there that looks like a model, and the next one goes on where it was.
Two processes, or two callers of one Downloader, that want the same model wait for each other and fetch it once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin

import aiohttp
import anyio
import anyio.to_thread
from filelock import FileLock

from models.errors import ChecksumWrong, DiskFull, DownloadFailed, DownloadRefused
from models.outbound import GuardedResolver, check_url

__all__ = ["Downloader", "Progress", "RemoteFile"]

CHUNK_BYTES = 1 << 20
ATTEMPTS = 6
FIRST_PAUSE_S = 0.5
REDIRECTS = 5
SPARE_BYTES = 256 << 20
"""This much of the disk stays free."""
CONNECT_S = 15.0
STALL_S = 60.0


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """`path` is where it goes below the model's folder; `size` and `sha256` where the source knows them."""

    url: str
    path: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one model: bytes of all its files. `total` None: the server does not say."""

    name: str
    file: str
    received: int
    total: int | None


@dataclass(frozen=True, slots=True)
class _Note:
    """What a half file is half of; kept beside it. A server that says otherwise makes us begin again."""

    url: str
    size: int | None
    etag: str


class _Half:
    """A file that is being fetched: `path.part`, and what it is half of in `path.note`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.part = path.with_name(path.name + ".part")
        self._note = path.with_name(path.name + ".note")

    def is_whole(self) -> bool:
        return self._path.is_file()

    def state(self, url: str) -> tuple[_Note | None, int]:
        """What it is half of, and how many bytes of it are here; (None, 0) to begin anew."""
        try:
            known = _Note(**json.loads(self._note.read_text(encoding="utf-8")))
            return (known, self.part.stat().st_size) if known.url == url else (None, 0)
        except (OSError, ValueError, TypeError):
            return None, 0

    def note(self, note: _Note) -> None:
        self._note.write_text(json.dumps(asdict(note)), encoding="utf-8")

    def discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self, file: RemoteFile) -> None:
        """Check it and give it its name. Raises ChecksumWrong; it is removed, for nothing of it can be trusted."""
        right = file.size is None or self.part.stat().st_size == file.size
        if right and file.sha256 is not None:
            with self.part.open("rb") as data:
                right = hashlib.file_digest(data, "sha256").hexdigest() == file.sha256.lower()
        if not right:
            self.discard()
            raise ChecksumWrong(
                f"{file.path} is not what the source says it is", hint="try again; else tell the source"
            )
        self.part.replace(self._path)
        self._note.unlink(missing_ok=True)


class Downloader:
    """`models` is the store's folder. `trusted_hosts` may be private and unencrypted (a mirror of one's own)."""

    def __init__(self, models: Path, trusted_hosts: Collection[str] = (), headers: dict[str, str] | None = None):
        self._models = models
        self._staging = models / ".downloads"
        self._trusted = frozenset(trusted_hosts)
        self._headers = headers or {}
        self._mine: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)

    async def fetch(
        self, name: str, files: Sequence[RemoteFile], on_progress: Callable[[Progress], None] = lambda progress: None
    ) -> Path:
        """Fetch `files` as the model `name`; returns its folder. Cancel-safe: what came is kept for the next try.

        Raises DownloadRefused, DownloadFailed, ChecksumWrong, DiskFull.
        """
        async with self._mine[name]:
            return await self._fetch_alone(name, files, on_progress)

    async def _fetch_alone(
        self, name: str, files: Sequence[RemoteFile], on_progress: Callable[[Progress], None]
    ) -> Path:
        target = self._models / _safe(name)
        staging = self._staging / _safe(name)
        await anyio.to_thread.run_sync(lambda: staging.mkdir(parents=True, exist_ok=True))
        lock = FileLock(f"{staging}.lock", thread_local=False)  # taken in one thread, given back in another
        await anyio.to_thread.run_sync(lock.acquire, abandon_on_cancel=True)
        try:
            if target.is_dir() and all((target / _safe(file.path)).is_file() for file in files):
                return target  # another process was quicker
            await anyio.to_thread.run_sync(_check_disk, self._staging, files)
            done = 0
            total = None if any(file.size is None for file in files) else sum(file.size or 0 for file in files)
            connector = aiohttp.TCPConnector(resolver=GuardedResolver(self._trusted))
            async with aiohttp.ClientSession(connector=connector, trust_env=True) as http:
                for file in files:
                    before = done

                    def tell(received: int, size: int | None, file: RemoteFile = file, before: int = before) -> None:
                        whole = total if total is not None or len(files) > 1 else size
                        on_progress(Progress(name, file.path, before + received, whole))

                    path = staging / _safe(file.path)
                    await self._fetch_file(http, file, path, tell)
                    done += path.stat().st_size
            await anyio.to_thread.run_sync(_install, staging, target)
            return target
        except OSError as error:
            if isinstance(error, (aiohttp.ClientError, TimeoutError)):
                raise
            raise DiskFull(f"{name} cannot be written: {error.strerror or error}", hint="free some space") from error
        finally:
            lock.release()

    async def _fetch_file(
        self, http: aiohttp.ClientSession, file: RemoteFile, path: Path, tell: Callable[[int, int | None], None]
    ) -> None:
        """One file, resumed as often as it takes. It is whole and right when this returns."""
        half = _Half(path)
        if half.is_whole():  # since an earlier try
            return
        await anyio.to_thread.run_sync(lambda: path.parent.mkdir(parents=True, exist_ok=True))
        reason: BaseException | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                await anyio.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
            try:
                await self._attempt(http, file, half, tell)
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                if isinstance(error.__cause__, DownloadRefused):
                    raise error.__cause__ from None
                reason = error
                continue
            await anyio.to_thread.run_sync(half.finish, file)
            return
        raise DownloadFailed(
            f"{file.path} broke off {ATTEMPTS} times ({type(reason).__name__})",
            hint="run the same command again: it goes on where it stopped",
        ) from reason

    async def _attempt(
        self,
        http: aiohttp.ClientSession,
        file: RemoteFile,
        half: _Half,
        tell: Callable[[int, int | None], None],
    ) -> None:
        known, start = half.state(file.url)
        if file.size is not None and start == file.size:
            return
        headers = {**self._headers, "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        async with await self._open(http, file.url, headers) as response:
            etag = response.headers.get("ETag", "")
            if response.status == 416 and start:
                half.discard()
                raise aiohttp.ClientPayloadError("the half file is longer than the whole one")
            if response.status not in (200, 206):
                raise DownloadFailed(
                    f"{file.path}: the server answers {response.status}", hint=_STATUS_HINTS.get(response.status, "")
                )
            if response.status == 200 or (known is not None and known.etag != etag):
                if response.status == 206:
                    half.discard()
                    raise aiohttp.ClientPayloadError("the file has changed since")
                start = 0
            length = response.content_length
            size = None if length is None else start + length
            if file.size is not None and size is not None and size != file.size:
                raise DownloadFailed(f"{file.path}: the server sends {size} bytes where {file.size} were announced")
            half.note(_Note(file.url, size, etag))
            async with await anyio.open_file(half.part, "r+b" if start else "wb") as out:
                await out.seek(start)
                received = start
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    await out.write(chunk)
                    received += len(chunk)
                    if file.size is not None and received > file.size:
                        raise DownloadFailed(f"{file.path}: the server sends more than it announced")
                    tell(received, size)
            if size is not None and received != size:
                raise aiohttp.ClientPayloadError("the connection ended early")

    async def _open(self, http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """The answer after redirects, each of them checked; credentials stay with the first host."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=STALL_S)
        for _ in range(REDIRECTS + 1):
            check_url(url, self._trusted)
            try:
                response = await http.get(url, headers=headers, timeout=timeout, allow_redirects=False)
            except aiohttp.ClientConnectorError as error:
                if isinstance(error.__cause__, DownloadRefused):
                    raise error.__cause__ from None
                raise
            if response.status not in (301, 302, 303, 307, 308):
                return response
            location = response.headers.get("Location", "")
            response.release()
            headers = {key: value for key, value in headers.items() if key != "Authorization"}
            url = urljoin(url, location)
        raise DownloadRefused("too many redirects")


_STATUS_HINTS = {
    401: "the model wants a Hugging Face token: set HF_TOKEN",
    403: "accept the model's terms on its page, and set HF_TOKEN",
    404: "the file is not there; look at the repository's list of files",
    429: "too many downloads: try again later",
}


def _check_disk(folder: Path, files: Sequence[RemoteFile]) -> None:
    needed = sum(file.size or 0 for file in files)
    free = shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        raise DiskFull(
            f"{needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free",
            hint="free some space, or set PARLEY_HOME to another disk",
        )


def _install(staging: Path, target: Path) -> None:
    """All files are whole: put the folder in place in one step."""
    for path in staging.rglob("*.note"):
        path.unlink()
    for path in staging.rglob("*"):
        if path.is_file():
            with path.open("rb") as data:
                os.fsync(data.fileno())
    if target.exists():
        old = staging.with_name(staging.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
        staging.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging.rename(target)


def _safe(path: str) -> PurePosixPath:
    """A relative path that stays below its folder. Raises DownloadRefused."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path:
        raise DownloadRefused(f"{path[:100]!r} is no path inside a model's folder")
    if any(part.startswith(".") for part in pure.parts):
        raise DownloadRefused(f"{path[:100]!r} names a hidden file")
    return pure
