"""Fetch model files: resumed after a cut, checked, and moved into the store only when they are whole.

Everything is fetched into `{models}/.downloads/`, which the store does not look into, and renamed into place at the
end; a process that is killed leaves nothing there that looks like a model, and the next one goes on where it was.
Two processes, or two callers of one Downloader, that want the same model wait for each other and fetch it once.
"""

from __future__ import annotations

import errno
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin

import aiohttp
import anyio
import anyio.to_thread
from filelock import FileLock, Timeout

from models.errors import DiskFull, DownloadFailed, DownloadRefused
from models.half_file import HalfFile, Note, RemoteFile, range_of
from models.outbound import GuardedResolver, check_url
from models.place import Found, check_formats, drop_old, install, look, tidy
from models.retry_after import retry_after_s
from models.untrusted import UNTRUSTED_HINT, untrusted

__all__ = ["Downloader", "Progress", "RemoteFile"]

CHUNK_BYTES = 1 << 20
ATTEMPTS = 6
FIRST_PAUSE_S = 0.5
REDIRECTS = 5
LONGEST_PAUSE_S = 60
"""A server that asks for more is told of, and not waited for."""
_BUSY = (408, 425, 429, 500, 502, 503, 504)
"""What a server answers that may well do it later."""
SPARE_BYTES = 256 << 20
"""This much of the disk stays free."""
LOCK_EVERY_S = 0.1
"""Whether another process is done is looked at so often."""
CONNECT_S = 15.0
STALL_S = 60.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one model: bytes of all its files. `total` None: the server does not say."""

    name: str
    file: str
    received: int
    total: int | None


class Downloader:
    """`models` is the store's folder. `trusted_hosts` may be private and unencrypted (a mirror of one's own)."""

    def __init__(self, models: Path, trusted_hosts: Collection[str] = (), headers: dict[str, str] | None = None):
        self._models = models
        self._staging = models / ".downloads"
        self._trusted = frozenset(trusted_hosts)
        self._headers = headers or {}
        self._mine: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)

    async def fetch(
        self,
        name: str,
        files: Sequence[RemoteFile],
        on_progress: Callable[[Progress], None] = lambda progress: None,
        *,
        otherwise: str = "",
    ) -> Path:
        """Fetch `files` as the model `name`; returns its folder. Cancel-safe: what came is kept for the next try.

        Where the store has a model of that name from elsewhere it is called `otherwise`.
        Raises DownloadRefused, DownloadFailed, ChecksumWrong, DiskFull.
        """
        for file in files:
            _safe(file.path)
        names = [name, otherwise] if otherwise else [name]
        for called in names:
            async with self._mine[called], self._lock(called):
                target = self._models / _safe(called)
                found = await anyio.to_thread.run_sync(look, target, files)
                if found is Found.HERE:
                    await anyio.to_thread.run_sync(drop_old, self._staging / _safe(called))
                    return target
                if found is Found.FREE:
                    await self._fetch_alone(called, files, on_progress)
                    return target
        raise DownloadRefused(
            f"{self._models / names[-1]} holds another model of that name", hint="rename or remove that folder first"
        )

    @asynccontextmanager
    async def _lock(self, name: str) -> AsyncIterator[None]:
        """Against other processes. What one that was killed has left of an update is tidied up."""
        staging = self._staging / _safe(name)
        # Taken in one thread, given back in another. Waiting is done in none: who gives up would stay in it.
        lock = FileLock(f"{staging}.lock", thread_local=False)
        try:
            await anyio.to_thread.run_sync(lambda: staging.parent.mkdir(parents=True, exist_ok=True))
            while True:
                if await anyio.to_thread.run_sync(_taken, lock):
                    break
                await anyio.sleep(LOCK_EVERY_S)
            try:
                await anyio.to_thread.run_sync(tidy, staging, self._models / _safe(name))
            except BaseException:
                lock.release()
                raise
        except OSError as error:
            raise _not_written(name, error) from error
        try:
            yield
        finally:
            lock.release()

    async def _fetch_alone(
        self, name: str, files: Sequence[RemoteFile], on_progress: Callable[[Progress], None]
    ) -> None:
        staging = self._staging / _safe(name)
        try:
            await anyio.to_thread.run_sync(lambda: staging.mkdir(parents=True, exist_ok=True))
            missing = sum(HalfFile(staging / _safe(file.path)).missing(file) for file in files)
            await anyio.to_thread.run_sync(_check_disk, self._staging, missing)
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
            await anyio.to_thread.run_sync(check_formats, staging, files)
            await anyio.to_thread.run_sync(install, staging, self._models / _safe(name), files)
        except OSError as error:
            if isinstance(error, (aiohttp.ClientError, TimeoutError)):
                raise
            raise _not_written(name, error) from error

    async def _fetch_file(
        self, http: aiohttp.ClientSession, file: RemoteFile, path: Path, tell: Callable[[int, int | None], None]
    ) -> None:
        """One file, resumed as often as it takes. It is whole and right when this returns."""
        half = HalfFile(path)
        if half.is_whole(file):
            return
        await anyio.to_thread.run_sync(lambda: path.parent.mkdir(parents=True, exist_ok=True))
        reason: BaseException | None = None
        most, in_vain, asked_s = half.size, 0, 0
        while in_vain < ATTEMPTS:
            if in_vain:
                await anyio.sleep(max(asked_s, FIRST_PAUSE_S * 2 ** (in_vain - 1)))
            asked_s = 0
            try:
                await self._attempt(http, file, half, tell)
            except _Busy as busy:
                if busy.pause_s > LONGEST_PAUSE_S:
                    raise busy.failure(file) from None
                reason, in_vain, asked_s = busy, in_vain + 1, busy.pause_s
                continue
            except aiohttp.ClientConnectorCertificateError as error:
                raise DownloadFailed(f"{file.path}: {untrusted(error)}", hint=UNTRUSTED_HINT) from error
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                if isinstance(error.__cause__, DownloadRefused):
                    raise error.__cause__ from None
                reason, in_vain = error, in_vain + 1
                if half.size >= most + CHUNK_BYTES:  # some cut every long answer
                    most, in_vain = half.size, 1
                continue
            await anyio.to_thread.run_sync(half.finish, file)
            return
        if isinstance(reason, _Busy):
            raise reason.failure(file)
        if isinstance(reason, aiohttp.ClientConnectorError):
            hint = "is there a network, and is the address right? What has come is kept, and gone on with"
            raise DownloadFailed(f"{file.path}: {reason.host} cannot be reached", hint=hint) from reason
        raise DownloadFailed(
            f"{file.path} broke off {ATTEMPTS} times ({type(reason).__name__})",
            hint="run the same command again: it goes on where it stopped",
        ) from reason

    async def _attempt(
        self,
        http: aiohttp.ClientSession,
        file: RemoteFile,
        half: HalfFile,
        tell: Callable[[int, int | None], None],
    ) -> None:
        known, start = half.state(file)
        if start and start == (file.size if file.size is not None else known and known.size):
            return  # whole, and the process was killed before it had its name
        headers = {**self._headers, "Accept-Encoding": "identity"}
        if start and known is not None:
            headers["Range"] = f"bytes={start}-"
            if known.validator:
                headers["If-Range"] = known.validator
        async with await self._open(http, file.url, headers) as response:
            if response.status == 416 and start:
                half.discard()
                raise aiohttp.ClientPayloadError("the half file is longer than the whole one")
            if response.status in _BUSY:
                raise _Busy(response)
            if response.status not in (200, 206):
                raise DownloadFailed(
                    f"{file.path}: the server answers {response.status}", hint=_STATUS_HINTS.get(response.status, "")
                )
            if (coding := response.headers.get("Content-Encoding", "identity").lower()) != "identity":
                raise DownloadFailed(
                    f"{file.path}: the server sends it as {coding[:40]}, which nobody asked for",
                    hint="download it yourself and put it into the models folder",
                )
            if response.content_type == "text/html" and not file.path.endswith((".html", ".htm")):
                raise DownloadFailed(
                    f"{file.path}: the server sends a web page",
                    hint="check that this is the address of the file itself and that it needs no login",
                )
            total = None
            if response.status == 206:
                first, total = range_of(response.headers)
                if known is None or first != start or not known.is_of(response.headers, total):
                    half.discard()
                    raise aiohttp.ClientPayloadError("another file, or another part of it, than was asked for")
            else:
                start = 0
            length = response.content_length
            # What 206 brings may be less than the rest: `total` is what counts.
            size = total if total is not None or length is None else start + length
            if file.size is not None and size is not None and size != file.size:
                raise DownloadFailed(f"{file.path}: the server sends {size} bytes where {file.size} were announced")
            if size is None and file.size is None and file.sha256 is None and not _can_be_checked(file.path):
                raise DownloadFailed(
                    f"{file.path}: the server does not say how long it is, so nobody could tell that it is whole",
                    hint="download it yourself and put it into the models folder",
                )
            await anyio.to_thread.run_sync(_check_disk, half.part.parent, (size or start) - start)
            note = Note(
                file.url,
                size,
                response.headers.get("ETag", ""),
                response.headers.get("Last-Modified", ""),
                file.sha256,
            )
            half.begin(note, start)
            async with await anyio.open_file(half.part, "r+b" if start else "wb") as out:
                await out.seek(start)
                received = start
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    if size is None:
                        try:
                            _check_disk(half.part.parent, len(chunk))
                        except DiskFull:
                            await out.truncate(0)  # it may never end, and what came of it would fill the disk
                            raise DiskFull(
                                f"{file.path}: the server does not say how long it is, and {received / 1e6:.0f} MB of"
                                " it fill the disk",
                                hint="check that this is the address of the file itself, or free some disk space",
                            ) from None
                    await out.write(chunk)
                    received += len(chunk)
                    if size is not None and received > size:
                        await out.truncate(0)  # of what came nobody knows which part is right
                        raise DownloadFailed(f"{file.path}: the server sends more than it announced")
                    tell(received, size)
            if size is not None and received != size:
                raise aiohttp.ClientPayloadError("the connection ended early")

    async def _open(self, http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """The answer after redirects, each of them checked; credentials stay with the first host."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=STALL_S)
        first = url
        for _ in range(REDIRECTS + 1):
            try:
                check_url(url, self._trusted)
            except DownloadRefused as error:
                raise (DownloadRefused(error.message, hint=_OWN_HOST) if url == first else error) from None
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
            if not location:
                raise DownloadFailed("the server sends us elsewhere and does not say where")
            headers = {key: value for key, value in headers.items() if key != "Authorization"}
            try:
                url = urljoin(url, location)
            except ValueError:
                raise DownloadRefused(f"it leads to {location[:200]!r}, which is not an address") from None
        raise DownloadRefused("too many redirects")


class _Busy(Exception):
    """The server may well do it later."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        super().__init__(f"status {response.status}")
        headers = response.headers
        self.status = response.status
        self.pause_s = retry_after_s(headers.get("Retry-After", ""), headers.get("Date", "")) or 0

    def failure(self, file: RemoteFile) -> DownloadFailed:
        when = f"in {self.pause_s} s" if self.pause_s else "later"
        return DownloadFailed(
            f"{file.path}: the server answers {self.status}",
            hint=f"run the same command again {when}: it goes on where it stopped",
        )


_OWN_HOST = "give an https:// address; a host of your own: [models] trusted_hosts of parley.toml"
_STATUS_HINTS = {
    401: "the model wants a Hugging Face token: set HF_TOKEN",
    403: "accept the model's terms on its page, and set HF_TOKEN",
    404: "the file is not there; look at the repository's list of files",
}


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _check_disk(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        raise DiskFull(
            f"{needed / 1e6:.0f} MB are needed; {free / 1e6:.0f} MB are free, and {SPARE_BYTES / 1e6:.0f} stay so",
            hint="free some space, or set PARLEY_HOME to another disk",
        )


def _not_written(name: str, error: OSError) -> DiskFull | DownloadFailed | DownloadRefused:
    if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EEXIST, errno.ENOTDIR):
        return DownloadRefused(f"{name[:100]} cannot be stored under its name: {error.strerror}")
    message = f"{name} cannot be written: {error.strerror or error}"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DownloadFailed(message, hint="the folder must be one that Parley may write to; PARLEY_HOME names it")
    return DiskFull(message, hint="free some space")


def _can_be_checked(path: str) -> bool:
    """Its own content says how long it is."""
    return path.lower().endswith(".gguf")


def _safe(path: str) -> PurePosixPath:
    """A relative path that stays below its folder. Raises DownloadRefused."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path:
        raise DownloadRefused(f"{path[:100]!r} is not a path inside a model's folder")
    if any(part.startswith(".") for part in pure.parts):
        raise DownloadRefused(f"{path[:100]!r} names a hidden file")
    return pure
