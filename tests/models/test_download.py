"""Downloads against a local server that behaves like the hub: it cuts, lies, changes, redirects and refuses.

Why this file is long: one server that behaves like the hub, with all its faults.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import numpy as np
import pytest
from aiohttp import web
from gguf import GGUFWriter

from models import catalog, download
from models.download import SPARE_BYTES, Downloader, Progress
from models.errors import (
    BadInput,
    ChecksumWrong,
    DiskFull,
    DownloadFailed,
    DownloadRefused,
    ModelError,
    ModelNotFound,
)
from models.half_file import HalfFile, RemoteFile
from models.outbound import check_url
from models.sources import huggingface
from models.store import Store
from models.wanted import want


def gguf(seed: int) -> bytes:
    """A whole model file: three megabytes of weights that differ with the seed."""
    with tempfile.TemporaryDirectory() as folder:
        writer = GGUFWriter(Path(folder) / "x.gguf", "llama")
        writer.add_tensor("token_embd.weight", np.random.default_rng(seed).standard_normal((750, 1000), np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return (Path(folder) / "x.gguf").read_bytes()


DATA, OTHER = gguf(1), gguf(2)
SHA = hashlib.sha256(DATA).hexdigest()


@dataclass
class Hub:
    """`cut_after` bytes the connection breaks, `cuts` times. What was asked for is in `ranges`."""

    url: str = ""
    data: bytes = DATA
    cut_after: int = 0
    most: int = 0
    """Of a file it gives no more than so many bytes in one answer to a request for a part."""
    cuts: int = 0
    announce: int | None = None
    redirect: str = ""
    status: int = 200
    etag: str = '"1"'
    modified: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """Sent instead of what is right."""
    silent: bool = False
    """About the length."""
    ranges: list[str] = field(default_factory=list)
    seen_keys: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=lambda: ["model.gguf"])

    async def file(self, request: web.Request) -> web.StreamResponse:
        self.ranges.append(request.headers.get("Range", ""))
        self.seen_keys.append(request.headers.get("Authorization", ""))
        if self.redirect:
            return web.Response(status=302, headers={"Location": self.redirect})
        if self.status != 200:
            return web.Response(status=self.status)
        start = int(self.ranges[-1].removeprefix("bytes=").rstrip("-") or 0)
        if request.headers.get("If-Range", self.etag or self.modified) != (self.etag or self.modified):
            start = 0
        body = self.data[start:]
        if start and self.most:
            body = body[: self.most]
        length = len(body) if self.announce is None else self.announce
        response = web.StreamResponse(status=206 if start else 200)
        known = {"ETag": self.etag, "Last-Modified": self.modified}
        response.headers.update({name: value for name, value in known.items() if value})
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{len(self.data)}"
        if self.silent:
            response.force_close()
        else:
            response.headers["Content-Length"] = str(length)
        response.headers.update(self.headers)
        await response.prepare(request)
        if self.cuts:
            self.cuts -= 1
            await response.write(body[: self.cut_after])
            assert request.transport is not None
            request.transport.close()
            return response
        for at in range(0, len(body), 100_000):
            await response.write(body[at : at + 100_000])
        return response

    async def model(self, request: web.Request) -> web.Response:
        if request.match_info["repo"] != "owner/repo":
            headers = {"X-Error-Code": "RepoNotFound"}
            return web.json_response({"error": "Repository not found"}, status=404, headers=headers)
        lfs = {"size": len(self.data), "sha256": SHA, "pointerSize": 1}
        siblings = [
            *({"rfilename": name, "size": len(self.data), "lfs": lfs} for name in self.names),
            {"rfilename": "README.md", "size": 3},
        ]
        return web.json_response({"id": "owner/repo", "siblings": siblings, "tags": [], "downloads": 0})


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    hub = Hub()
    app = web.Application()
    app.router.add_get("/{repo:owner/[^/]+}/resolve/{revision}/{path:.+}", hub.file)
    app.router.add_get("/file.gguf", hub.file)
    app.router.add_get("/api/models/{repo:[^/]+/[^/]+}", hub.model)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield hub
    await runner.cleanup()


def loader(tmp_path: Path, **headers: str) -> Downloader:
    return Downloader(tmp_path / "models", {"127.0.0.1"}, headers)


def remote(hub: Hub, **known: object) -> RemoteFile:
    return RemoteFile(f"{hub.url}/file.gguf", "file.gguf", **known)  # type: ignore[arg-type]


def leftovers(tmp_path: Path) -> list[str]:
    """What a store would look at beside whole models."""
    return [path.name for path in (tmp_path / "models").iterdir() if not path.name.startswith(".")]


async def test_a_file_arrives_whole_with_progress(hub: Hub, tmp_path: Path) -> None:
    told: list[Progress] = []
    folder = await loader(tmp_path).fetch("m", [remote(hub, size=len(DATA), sha256=SHA)], told.append)
    assert (folder / "file.gguf").read_bytes() == DATA
    assert [path.name for path in folder.iterdir() if not path.name.startswith(".")] == ["file.gguf"]
    assert told[-1].received == told[-1].total == len(DATA)
    assert [p.received for p in told] == sorted(p.received for p in told)


@pytest.mark.parametrize(("second", "total"), [(len(DATA), 2 * len(DATA)), (None, None)])
async def test_of_several_files_the_progress_is_that_of_all(
    hub: Hub, tmp_path: Path, second: int | None, total: int | None
) -> None:
    told: list[Progress] = []
    url = f"{hub.url}/file.gguf"
    files = [RemoteFile(url, "a.gguf", len(DATA)), RemoteFile(url, "b.gguf", second)]
    await loader(tmp_path).fetch("m", files, told.append)
    assert {progress.total for progress in told} == {total} and told[-1].received == 2 * len(DATA)
    assert [progress.received for progress in told] == sorted(progress.received for progress in told)


async def test_a_cut_is_resumed_where_it_was(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.cuts = 1_000_000, 2
    folder = await loader(tmp_path).fetch("m", [remote(hub, sha256=SHA)])
    assert (folder / "file.gguf").read_bytes() == DATA
    assert hub.ranges[0] == "" and len(hub.ranges) == 3
    assert all(asked.startswith("bytes=") for asked in hub.ranges[1:])


async def test_a_part_that_is_less_than_the_rest_is_gone_on_with(hub: Hub, tmp_path: Path) -> None:
    await interrupted(hub, tmp_path)
    hub.most = 1_200_000
    folder = await loader(tmp_path).fetch("m", [remote(hub)])
    assert (folder / "file.gguf").read_bytes() == DATA


async def test_cuts_are_counted_from_the_last_progress(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    monkeypatch.setattr(download, "CHUNK_BYTES", 1 << 18)
    monkeypatch.setattr(download, "FIRST_PAUSE_S", 0.0)
    hub.data, hub.cut_after, hub.cuts = DATA, 600_000, 4
    folder = await loader(tmp_path).fetch("m", [remote(hub)])
    assert (folder / "file.gguf").read_bytes() == DATA and len(hub.ranges) == 5


async def test_a_file_that_changed_in_between_is_begun_again(hub: Hub, tmp_path: Path) -> None:
    await interrupted(hub, tmp_path)
    hub.data, hub.etag = OTHER, '"2"'
    folder = await loader(tmp_path).fetch("m", [remote(hub)])
    assert (folder / "file.gguf").read_bytes() == OTHER
    assert hub.ranges[-1].startswith("bytes=")  # it was asked for the rest, and knew that there is none


@pytest.mark.parametrize("modified", ["", "Mon, 01 Jan 2024 00:00:00 GMT"])
async def test_parts_of_two_files_are_never_put_together(hub: Hub, tmp_path: Path, modified: str) -> None:
    """The server has no ETag: where there is a date it tells, else it is begun anew."""
    hub.etag, hub.modified = "", modified
    await interrupted(hub, tmp_path)
    hub.data, hub.modified = OTHER, modified and "Tue, 02 Jan 2024 00:00:00 GMT"
    folder = await loader(tmp_path).fetch("m", [remote(hub)])
    assert (folder / "file.gguf").read_bytes() == OTHER
    assert bool(hub.ranges[-1]) == bool(modified)


@pytest.mark.parametrize("said", ["bytes 500000-2999999/3000000", "", "bytes 0-0/*", "lines 3-4/5"])
async def test_another_part_than_was_asked_for_is_not_taken(hub: Hub, tmp_path: Path, said: str) -> None:
    await interrupted(hub, tmp_path)
    hub.headers = {"Content-Range": said}
    folder = await loader(tmp_path).fetch("m", [remote(hub)])
    assert (folder / "file.gguf").read_bytes() == DATA
    assert hub.ranges[-1] == ""


async def test_a_cut_shows_also_where_the_server_does_not_say_the_length(hub: Hub, tmp_path: Path) -> None:
    hub.silent, hub.data = True, DATA[:-1000]
    with pytest.raises(DownloadFailed, match="not a complete model"):
        await loader(tmp_path).fetch("m", [remote(hub)])
    assert leftovers(tmp_path) == []
    hub.data = DATA
    folder = await loader(tmp_path).fetch("m", [remote(hub)])
    assert (folder / "file.gguf").read_bytes() == DATA
    with pytest.raises(DownloadFailed, match="how long"):
        await loader(tmp_path).fetch("t", [RemoteFile(f"{hub.url}/file.gguf", "weights.bin")])


async def test_a_web_page_is_no_model(hub: Hub, tmp_path: Path) -> None:
    hub.data, hub.headers = b"<html>Please log in</html>", {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(DownloadFailed, match="web page"):
        await loader(tmp_path).fetch("m", [remote(hub)])
    hub.headers = {"Content-Type": "application/octet-stream"}
    with pytest.raises(DownloadFailed, match="not a complete model"):
        await loader(tmp_path).fetch("m", [remote(hub)])
    assert leftovers(tmp_path) == []


async def test_what_the_server_announces_must_fit_on_the_disk(hub: Hub, tmp_path: Path) -> None:
    hub.headers = {"Content-Length": str(10**15)}
    with pytest.raises(DiskFull):
        await loader(tmp_path).fetch("m", [remote(hub)])


async def test_what_is_there_already_needs_no_room(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk has room for half of the model, and half of it has come."""
    file = remote(hub, size=len(DATA), sha256=SHA)
    hub.cut_after, hub.cuts = len(DATA) // 2, 1
    monkeypatch.setattr("models.download.ATTEMPTS", 1)
    with pytest.raises(DownloadFailed):
        await loader(tmp_path).fetch("m", [file])
    came = len(DATA) - HalfFile(tmp_path / "models" / ".downloads" / "m" / "file.gguf").missing(file)
    assert came > 0
    usage = shutil.disk_usage(tmp_path)
    for free, fits in ((len(DATA) - came - 1, False), (len(DATA) - came, True)):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: usage._replace(free=SPARE_BYTES + free))
        if not fits:
            with pytest.raises(DiskFull, match="stay so"):
                await loader(tmp_path).fetch("m", [file])
            continue
        assert (await loader(tmp_path).fetch("m", [file]) / "file.gguf").read_bytes() == DATA


@pytest.mark.skipif(sys.platform != "linux", reason="a folder in which nobody may make one")
async def test_a_folder_that_may_not_be_written_is_no_full_disk(hub: Hub) -> None:
    with pytest.raises(DownloadFailed, match="cannot be written") as raised:
        await Downloader(Path("/sys/parley"), {"127.0.0.1"}).fetch("m", [remote(hub)])
    assert "may write" in str(raised.value)


class TestTwoSourcesOfOneName:
    """The hub has owner/a and owner/b, and a file of the same name in each."""

    def one(self, hub: Hub, repo: str, data: bytes, path: str = "m.gguf") -> RemoteFile:
        hub.data = data
        address = f"{hub.url}/owner/{repo}/resolve/main/{path}"
        return RemoteFile(address, path, len(data), hashlib.sha256(data).hexdigest())

    async def test_the_second_gets_another_folder(self, hub: Hub, tmp_path: Path) -> None:
        first = await loader(tmp_path).fetch("m", [self.one(hub, "a", DATA)], otherwise="a--m")
        second = await loader(tmp_path).fetch("m", [self.one(hub, "b", OTHER)], otherwise="b--m")
        assert (first.name, (first / "m.gguf").read_bytes()) == ("m", DATA)
        assert (second.name, (second / "m.gguf").read_bytes()) == ("b--m", OTHER)
        asked = len(hub.ranges)
        assert await loader(tmp_path).fetch("m", [self.one(hub, "b", OTHER)], otherwise="b--m") == second
        assert len(hub.ranges) == asked

    async def test_without_another_name_it_is_refused(self, hub: Hub, tmp_path: Path) -> None:
        first = await loader(tmp_path).fetch("m", [self.one(hub, "a", DATA, "q4.gguf")])
        with pytest.raises(DownloadRefused, match="another model of that name"):
            await loader(tmp_path).fetch("m", [self.one(hub, "b", OTHER, "q8.gguf")])
        assert [path.name for path in first.glob("*.gguf")] == ["q4.gguf"]

    async def test_of_one_source_the_files_come_together(self, hub: Hub, tmp_path: Path) -> None:
        await loader(tmp_path).fetch("m", [self.one(hub, "a", DATA, "q4.gguf")])
        folder = await loader(tmp_path).fetch("m", [self.one(hub, "a", OTHER, "q8.gguf")])
        assert {path.name for path in folder.glob("*.gguf")} == {"q4.gguf", "q8.gguf"}

    async def test_what_was_put_there_by_hand_is_not_touched(self, hub: Hub, tmp_path: Path) -> None:
        mine = tmp_path / "models" / "m" / "m.gguf"
        mine.parent.mkdir(parents=True)
        mine.write_bytes(OTHER)
        folder = await loader(tmp_path).fetch("m", [self.one(hub, "a", DATA)], otherwise="a--m")
        assert folder.name == "a--m" and mine.read_bytes() == OTHER
        mine.write_bytes(DATA)
        assert (await loader(tmp_path).fetch("m", [self.one(hub, "a", DATA)], otherwise="x")).name == "m"

    async def test_a_newer_version_takes_the_place_of_the_old(self, hub: Hub, tmp_path: Path) -> None:
        await loader(tmp_path).fetch("m", [self.one(hub, "a", DATA)])
        folder = await loader(tmp_path).fetch("m", [self.one(hub, "a", OTHER)])
        assert (folder / "m.gguf").read_bytes() == OTHER


async def interrupted(hub: Hub, tmp_path: Path) -> None:
    """A download that was ended in the middle."""
    hub.cut_after, hub.cuts = 1_000_000, 1
    with anyio.move_on_after(0.4):
        await loader(tmp_path).fetch("m", [remote(hub)])
    assert leftovers(tmp_path) == []


async def test_a_killed_download_leaves_no_model_and_goes_on(hub: Hub, tmp_path: Path) -> None:
    await interrupted(hub, tmp_path)
    assert Store(tmp_path).installed("llm") == Store(tmp_path / "empty").installed("llm")
    folder = await loader(tmp_path).fetch("m", [remote(hub, sha256=SHA)])
    assert (folder / "file.gguf").read_bytes() == DATA
    assert hub.ranges[-1].startswith("bytes=")


async def test_wrong_bytes_are_thrown_away(hub: Hub, tmp_path: Path) -> None:
    hub.data = DATA[:-1] + b"x"
    with pytest.raises(ChecksumWrong):
        await loader(tmp_path).fetch("m", [remote(hub, sha256=SHA)])
    assert leftovers(tmp_path) == []
    hub.data = DATA
    await loader(tmp_path).fetch("m", [remote(hub, sha256=SHA)])


async def test_a_server_that_sends_another_length_is_refused(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="announced"):
        await loader(tmp_path).fetch("m", [remote(hub, size=17)])
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_refusals_say_what_to_do(hub: Hub, tmp_path: Path, status: int) -> None:
    hub.status = status
    with pytest.raises(DownloadFailed, match=str(status)):
        await loader(tmp_path).fetch("m", [remote(hub)])


@pytest.mark.parametrize(
    "address",
    [
        "http://192.0.2.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/x",
        "https://[::1]/x",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "https://user:word@example.org/x",
        "http://[::1/x",
        "https://example.org:99999/x",
        "https://./x",
    ],
)
async def test_redirects_into_the_house_are_not_followed(hub: Hub, tmp_path: Path, address: str) -> None:
    hub.redirect = address
    with pytest.raises(DownloadRefused):
        await loader(tmp_path).fetch("m", [remote(hub)])


@pytest.mark.parametrize(
    "host",
    [
        "127。0。0。1",  # the full stop of Chinese; aiohttp asks 127.0.0.1
        "①②⑦.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::ffff:a00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::10.0.0.1]",  # through NAT64
        "[2002:a00:1::]",  # 6to4
        "[fec0::1]",
        "[fe80::1%25eth0]",
        "[ff0e::1]",
        "224.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
    ],
)
def test_no_spelling_of_an_address_leads_into_the_house(host: str) -> None:
    with pytest.raises(DownloadRefused, match="private network"):
        check_url(f"https://{host}/x", ())


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0177.0.0.1", "0", "127.0.0.1."])
def test_a_number_that_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(DownloadRefused, match="is not an address"):
        check_url(f"https://{host}/x", ())


def test_public_addresses_and_trusted_hosts_are_asked() -> None:
    for host in ("example.org", "müller.example", "8.8.8.8", "[2606:4700::1111]", "[64:ff9b::8.8.8.8]"):
        check_url(f"https://{host}/x", ())
    for host in ("nas.local", "NAS.local", "nas。local", "192.168.1.20"):
        check_url(f"http://{host}/x", ("nas.local", "192.168.1.20"))


async def test_a_name_that_leads_into_the_house_is_refused_when_it_is_resolved(tmp_path: Path) -> None:
    check_url("https://localhost/x", ())  # a name says nothing yet
    with pytest.raises(DownloadRefused):
        await Downloader(tmp_path / "models").fetch("m", [RemoteFile("https://localhost:1/x", "x")])


async def test_a_token_goes_to_the_first_host_only(hub: Hub, tmp_path: Path) -> None:
    other = hub.url.replace("127.0.0.1", "localhost")
    hub.redirect = f"{other}/file.gguf"
    downloader = Downloader(tmp_path / "models", {"127.0.0.1", "localhost"}, {"Authorization": "Bearer secret"})
    with pytest.raises(DownloadRefused, match="redirects"):
        await downloader.fetch("m", [remote(hub)])
    assert hub.seen_keys[0] == "Bearer secret" and set(hub.seen_keys[1:]) == {""}


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", ".hidden", "a\\b"])
async def test_paths_stay_in_the_store(hub: Hub, tmp_path: Path, path: str) -> None:
    with pytest.raises(DownloadRefused):
        await loader(tmp_path).fetch("m", [RemoteFile(f"{hub.url}/file.gguf", path)])
    with pytest.raises(DownloadRefused):
        await loader(tmp_path).fetch(path, [remote(hub)])


async def test_a_name_that_no_disk_takes_is_refused(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(DownloadRefused, match="under its name"):
        await loader(tmp_path).fetch("m", [RemoteFile(f"{hub.url}/file.gguf", "x" * 300)])


async def test_the_disk_is_looked_at_first(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(DiskFull):
        await loader(tmp_path).fetch("m", [remote(hub, size=1 << 60)])
    assert hub.ranges == []


async def test_two_that_want_the_same_fetch_it_once(hub: Hub, tmp_path: Path) -> None:
    downloader = loader(tmp_path)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(downloader.fetch, "m", [remote(hub)])
    assert len(hub.ranges) == 1


class TestHub:
    async def listed(self, hub: Hub, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> tuple[RemoteFile, ...]:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        return await anyio.to_thread.run_sync(lambda: huggingface.list_files(*arguments))  # type: ignore[arg-type]

    async def test_files_with_sizes_and_checksums(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        (file,) = await self.listed(hub, monkeypatch, "owner/repo")
        assert (file.path, file.size, file.sha256) == ("model.gguf", len(DATA), SHA)

    async def test_what_is_not_there(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ModelNotFound):
            await self.listed(hub, monkeypatch, "owner/other")
        with pytest.raises(ModelNotFound, match=r"it has: model\.gguf"):
            await self.listed(hub, monkeypatch, "owner/repo", ("x.gguf",))

    async def test_no_network(self, hub: Hub, monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
        hub.url = f"http://127.0.0.1:{free_port}"
        with pytest.raises(DownloadFailed):
            await self.listed(hub, monkeypatch, "owner/repo")

    async def test_the_command(self, hub: Hub, tmp_path: Path) -> None:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "PARLEY_HOME": str(tmp_path)}
        command = [sys.executable, "-m", "web.main", "download-model", "owner/repo"]
        done = await anyio.run_process(command, env=environment, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout.decode()
        assert (tmp_path / "models" / "repo" / "model.gguf").read_bytes() == DATA
        done = await anyio.run_process([*command[:-1], "owner/nothing"], env=environment, check=False)
        assert done.returncode != 0 and b"Traceback" not in done.stderr

    async def test_the_command_with_an_address(self, hub: Hub, tmp_path: Path) -> None:
        """From a host of one's own, which has to be named; its checksum is the address's."""
        config = tmp_path / "parley.toml"
        environment = {**os.environ, "PARLEY_CONFIG": str(config), "PARLEY_HOME": str(tmp_path / "home")}
        command = [sys.executable, "-m", "web.main", "download-model"]

        async def fetch(checksum: str) -> tuple[int, str]:
            address = f"{hub.url}/file.gguf#sha256={checksum}"
            done = await anyio.run_process(
                [*command, address], env=environment, check=False, stderr=subprocess.STDOUT
            )
            return done.returncode, " ".join(done.stdout.decode().split())

        config.write_text("")
        status, told = await fetch(SHA)
        assert status != 0 and "trusted_hosts" in told and not hub.ranges
        config.write_text('[models]\ntrusted_hosts = ["127.0.0.1"]\n')
        status, told = await fetch("0" * 64)
        assert status != 0 and "is not what the source says it is" in told
        status, told = await fetch(SHA.upper())
        assert status == 0, told
        assert (tmp_path / "home" / "models" / "file" / "file.gguf").read_bytes() == DATA


class TestWanted:
    def test_an_address_may_bring_its_checksum(self) -> None:
        wanted = want(f"https://example.org/x.gguf?k=1#sha256={SHA}", ("example.org",))
        assert wanted.files == (RemoteFile("https://example.org/x.gguf?k=1", "x.gguf", None, SHA),)
        assert wanted.trusted_hosts == {"example.org"} and wanted.name == "x"
        for wrong in (
            "https://example.org/x.gguf#sha256=12",
            f"https://example.org/x-00001-of-00002.gguf#sha256={SHA}",
        ):
            with pytest.raises(BadInput):
                want(wrong)

    def test_a_model_in_parts_is_wanted_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        wanted = want("https://example.org/a%20b/x-00002-of-00003.gguf?k=1")
        assert [file.path for file in wanted.files] == [f"x-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
        assert wanted.files[2].url == "https://example.org/a%20b/x-00003-of-00003.gguf?k=1"
        assert (wanted.name, wanted.otherwise) == ("x-00002-of-00003", "example.org--x-00002-of-00003")

    async def test_of_many_quantisations_one_is_fetched(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        names = ["x-Q2_K.gguf", "x-Q4_K_M-00001-of-00002.gguf", "x-Q4_K_M-00002-of-00002.gguf", "mmproj-F16.gguf"]
        hub.names = [*names, "mmproj-F32.gguf", "config.json", "chat_template.jinja", "pytorch_model.bin"]
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        files = await anyio.to_thread.run_sync(lambda: huggingface.list_files("owner/repo"))
        assert [file.path for file in files] == [*names[1:], "config.json", "chat_template.jinja"]


class TestCatalogue:
    def test_a_model_for_every_stage_in_english_and_german(self) -> None:
        for kind in ("stt", "tts", "llm"):
            for language in ("en", "de"):
                entry = catalog.recommend(kind, language, ram_gib=8)
                assert entry is not None and entry.licence and entry.size_mb

    def test_a_small_machine_gets_a_small_model(self) -> None:
        small, large = catalog.recommend("stt", "en", 2), catalog.recommend("stt", "en", 64)
        assert small is not None and large is not None and small.size_mb < large.size_mb
        assert catalog.recommend("llm", "en", 0.5) is None

    @pytest.mark.parametrize("language", ["en", "de"])
    @pytest.mark.parametrize("ram_gib", [4, 8, 16, 64])
    def test_a_whole_set_for_every_machine(self, language: str, ram_gib: float) -> None:
        chosen = catalog.recommended_set(language, ram_gib)
        assert tuple(entry.kind for entry in chosen) == catalog.SET_KINDS
        assert all(entry.licence and entry.size_mb for entry in chosen)

    def test_names(self) -> None:
        assert catalog.find("whisper-base").repo.endswith("base")
        with pytest.raises(ModelError, match="whisper-small"):
            catalog.find("wisper-small")
