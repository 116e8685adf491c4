"""GET /admin/: who gets the page, and with which headers; its parts."""

from __future__ import annotations

import re
from pathlib import Path

import aiohttp
import pytest

from tests.parley_process import ParleyProcess
from web.guards.security_headers import PAGE_POLICY

STATIC = Path(__file__).parents[3] / "web" / "static"


async def test_the_page_is_for_who_is_signed_in(parley_server: ParleyProcess) -> None:
    async with aiohttp.ClientSession(parley_server.base_url) as browser:
        page = {"accept": "text/html"}
        async with browser.get("/admin/", headers=page, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["location"]) == (303, "/signin?next=/admin/")
        async with browser.get("/admin/", allow_redirects=False) as answer:
            assert answer.status == 401
        signed_in = {**page, **parley_server.headers}
        async with browser.get("/admin", headers=signed_in, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["location"]) == (308, "/admin/")
        async with browser.get("/admin/", headers=signed_in) as answer:
            assert answer.status == 200 and answer.headers["content-security-policy"] == PAGE_POLICY
            html = await answer.text()
        async with browser.get("/live/options", headers=signed_in) as answer:
            assert (await answer.json())["admin"] is True
    assert "https://" not in html and "http://" not in html and "style=" not in html
    assert re.findall(r"<script(?! type=\"module\" src=)", html) == []


@pytest.mark.parametrize("page", ["admin", "live"])
async def test_all_parts_of_a_page_are_there(parley_server: ParleyProcess, page: str) -> None:
    """Every part that a page or a script names is served; a name that is wrong would only show in a browser."""
    named = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', (STATIC / page / "index.html").read_text("utf-8")))
    for script in (STATIC / page).glob("*.js"):
        imported = re.findall(r'^import .*from "([^"]+)";$', script.read_text("utf-8"), re.MULTILINE)
        named |= {path if path.startswith("/") else f"/static/{page}/{path[2:]}" for path in imported}
    assert len(named) > 5
    async with aiohttp.ClientSession(parley_server.base_url) as browser:
        for path in sorted(named):
            async with browser.get(path) as answer:
                assert answer.status == 200, path
