"""Downloads from a server that is busy, or sends more than it should."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from models import download
from models.download import SPARE_BYTES, Downloader
from models.errors import DiskFull, DownloadFailed
from models.half_file import RemoteFile
from tests.models.test_download import DATA, SHA

Answer = Callable[[int], Sequence[bytes]]
"""The pieces that a request for the bytes from there on is answered with."""


def head(status: int, **headers: object) -> bytes:
    lines = (f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Said\r\n{''.join(lines)}\r\n".encode()


def whole(start: int) -> Sequence[bytes]:
    return [head(200, Content_Length=len(DATA), ETag='"1"'), DATA]


def busy(status: int, pause_s: object = 0) -> Answer:
    return lambda start: [head(status, Retry_After=pause_s, Content_Length=0)]


def cut(start: int) -> Sequence[bytes]:
    return [head(200, Content_Length=len(DATA), ETag='"1"'), DATA[:1_500_000], b""]


def chunked(*pieces: bytes) -> list[bytes]:
    return [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]


@asynccontextmanager
async def hub(*answers: Answer) -> AsyncIterator[tuple[str, list[int]]]:
    """Its address, and where in the file each request began. The last answer is given again; b"" hangs up."""
    starts: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                start = int(asked.partition("range: bytes=")[2].partition("-")[0] or 0)
                starts.append(start)
                for piece in answers[min(len(starts), len(answers)) - 1](start):
                    if not piece:
                        return
                    writer.write(piece)
                    await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/file.gguf", starts


async def fetch(folder: Path, url: str, **known: object) -> bytes:
    path = await Downloader(folder, {"127.0.0.1"}).fetch("m", [RemoteFile(url, "file.gguf", **known)])  # type: ignore[arg-type]
    return (path / "file.gguf").read_bytes()


def staged(folder: Path) -> int:
    """Bytes that wait for the next try."""
    return sum(path.stat().st_size for path in folder.rglob("*.part"))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_PAUSE_S", 0.0)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_one_that_is_busy_is_asked_again(tmp_path: Path, status: int) -> None:
    async with hub(busy(status), cut, busy(status, "Wed, 01 Jan 2020 00:00:00 GMT"), whole) as (url, starts):
        assert await fetch(tmp_path, url) == DATA
    assert starts[:2] == [0, 0] and 0 < starts[2] == starts[3]


async def test_one_that_stays_busy_is_told_of(tmp_path: Path) -> None:
    async with hub(cut, busy(503)) as (url, starts):
        with pytest.raises(DownloadFailed, match="answers 503") as caught:
            await fetch(tmp_path, url)
    assert "goes on where it stopped" in str(caught.value.hint)
    assert len(starts) == download.ATTEMPTS and staged(tmp_path) == starts[-1] > 0


async def test_an_hour_is_not_waited(tmp_path: Path) -> None:
    async with hub(busy(429, 1800)) as (url, starts):
        with pytest.raises(DownloadFailed, match="answers 429") as caught:
            await fetch(tmp_path, url)
    assert "in 1800 s" in str(caught.value.hint) and starts == [0]


@pytest.mark.parametrize("checksum", [None, SHA])
async def test_a_file_without_an_end_does_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checksum: str | None
) -> None:
    """The disk has room for sixteen megabytes, less what has come."""
    usage, room = shutil.disk_usage(tmp_path), 16 << 20
    monkeypatch.setattr(
        "shutil.disk_usage", lambda _: usage._replace(free=SPARE_BYTES + room - min(room, staged(tmp_path)))
    )
    endless = [head(200, Transfer_Encoding="chunked", ETag='"1"'), *chunked(DATA, *[b"x" * (1 << 20)] * 64)]
    async with hub(lambda start: endless) as (url, _):
        with pytest.raises(DiskFull, match="does not say how long"):
            await fetch(tmp_path, url, sha256=checksum)
    assert staged(tmp_path) == 0


@pytest.mark.parametrize("known", [{}, {"size": len(DATA)}, {"sha256": hashlib.sha256(DATA).hexdigest()}])
async def test_a_part_without_an_end_is_broken_off(tmp_path: Path, known: dict[str, object]) -> None:
    def rest(start: int) -> Sequence[bytes]:
        said = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
        more = chunked(DATA[start:], *[b"x" * (1 << 20)] * 64)
        return [head(206, Transfer_Encoding="chunked", ETag='"1"', Content_Range=said), *more]

    async with hub(cut, rest, whole) as (url, starts):
        with pytest.raises(DownloadFailed, match="more than it announced"):
            await fetch(tmp_path, url, **known)
        assert staged(tmp_path) == 0
        assert await fetch(tmp_path, url, **known) == DATA
    assert starts[0] == starts[2] == 0 < starts[1]
