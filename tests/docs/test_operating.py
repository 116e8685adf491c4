"""docs/operating.md: its nginx lets pages, streams and WebSockets through; its table knows every file there is."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import anyio
import pytest

from tests.architecture.source_tree import ROOT
from tests.parley_process import ParleyProcess
from tests.ports import free_port

PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@pytest.fixture
def proxy(parley_server: ParleyProcess, tmp_path: Path) -> Iterator[str]:
    """The page's nginx, without TLS, before a real server."""
    if NGINX is None:
        pytest.skip("no nginx on this machine (Debian: apt install nginx-light)")
    [block] = re.findall(r"```nginx\n(.*?)```", PAGE, re.DOTALL)
    port = free_port()
    block = re.sub(r"^ *ssl_.*\n", "", block, flags=re.MULTILINE).replace("443 ssl", f"127.0.0.1:{port}")
    block = block.replace("http://127.0.0.1:4000", parley_server.base_url)
    aside = f"daemon off; pid {tmp_path / 'pid'}; error_log stderr; events {{}}"
    folders = "".join(
        f"{kind}_temp_path {tmp_path / kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = tmp_path / "nginx.conf"
    config.write_text(f"{aside} http {{ access_log off; {folders} {block} }}", encoding="utf-8")
    process = subprocess.Popen([NGINX, "-c", str(config), "-e", "stderr"], stderr=subprocess.PIPE)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=60)


async def test_nginx_lets_pages_and_sockets_through(proxy: str, parley_server: ParleyProcess) -> None:
    key = parley_server.headers
    async with aiohttp.ClientSession(proxy, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        with anyio.fail_after(60):
            while True:
                try:
                    async with browser.get("/health") as answer:
                        assert answer.status == 200
                    break
                except aiohttp.ClientConnectorError:
                    await anyio.sleep(0.05)
        forwarded = {"Origin": proxy}
        fields = {"key": parley_server.admin_key, "next": "/live"}
        async with browser.post("/signin", data=fields, headers=forwarded, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["location"]) == (303, "/live")
        async with browser.post("/v1/audio/live", json={"spoken": False}, headers=key) as answer:
            path = (await answer.json())["websocket_url"]
        async with browser.ws_connect(path, headers=forwarded) as socket:
            assert (await socket.receive_json(timeout=60))["type"] == "ready"
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await browser.ws_connect(path, headers={"Origin": "https://elsewhere.example"})


def test_the_table_knows_every_file_of_the_data_folder(parley_server: ParleyProcess) -> None:
    named: set[str] = set()
    for cell in re.findall(r"^\| (`[^|]*) \|", PAGE.split("| in `PARLEY_HOME`")[1], re.MULTILINE):
        named |= {name.rstrip("/") for name in re.findall(r"`([^`]+)`", cell)}
    found = {path.name for path in parley_server.home.iterdir() if not path.name.startswith(".")}
    assert found - {parley_server.log_path.name} <= named
    assert {"keys.json", "run", "sessions"} <= found & named
