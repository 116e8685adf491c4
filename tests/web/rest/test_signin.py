"""Signing a browser in: the link, the key, the cookie."""

from __future__ import annotations

import re

import aiohttp

from tests.web.house import KEY, House
from web.signin import COOKIE


def _browser(home: House) -> aiohttp.ClientSession:
    """No key; keeps cookies, asks for pages."""
    jar = aiohttp.CookieJar(unsafe=True)
    return aiohttp.ClientSession(home.url, cookie_jar=jar, headers={"Accept": "text/html"})


async def _new_link(home: House) -> str:
    async with home.client.post("/admin/api/signin-links") as response:
        assert response.status == 200
        body = await response.json()
    assert body["expires_in_s"] == 600
    return str(body["path"])


async def test_a_link_signs_one_browser_in(home: House) -> None:
    path = await _new_link(home)
    async with _browser(home) as browser:
        async with browser.get("/v1/models") as response:
            assert response.url.path == "/signin"
        for _ in range(3):  # looking ahead, as mail scanners and chat programs do, uses nothing up
            async with browser.get(path) as response:
                assert response.status == 200
                page = await response.text()
                policy = response.headers["content-security-policy"]
        assert "<form method=post>" in page and "unsafe" not in policy
        async with browser.post(path, headers={"Origin": home.url}, allow_redirects=False) as response:
            assert response.status == 303 and response.headers["location"] == "/live"
            cookie = response.headers["set-cookie"]
        assert re.search("httponly", cookie, re.IGNORECASE) and re.search("samesite=strict", cookie, re.IGNORECASE)
        assert KEY not in cookie and path.rsplit("/", 1)[1] not in cookie
        async with browser.get("/v1/models", headers={"Accept": "*/*"}) as response:
            assert response.status == 200
    async with _browser(home) as other:
        async with other.post(path, headers={"Origin": home.url}) as response:
            assert response.status == 403
            page = await response.text()
            assert "used already" in page and page.count("<h1>") == 1
        assert not list(other.cookie_jar)


async def test_the_pages_script_is_the_one_its_policy_allows(home: House) -> None:
    import base64
    import hashlib

    async with _browser(home) as browser, browser.get(await _new_link(home)) as response:
        page, policy = await response.text(), response.headers["content-security-policy"]
    for tag in ("script", "style"):
        [inside] = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


async def test_a_link_cannot_be_posted_from_elsewhere(home: House) -> None:
    path = await _new_link(home)
    async with _browser(home) as browser:
        async with browser.post(path, headers={"Origin": "https://evil.example"}) as response:
            assert response.status == 403
        async with browser.post(path, headers={"Origin": home.url}, allow_redirects=False) as response:
            assert response.status == 303


async def test_the_key_signs_in_and_leads_back(home: House) -> None:
    async with _browser(home) as browser:
        async with browser.post("/signin", data={"key": "sk-wrong", "next": "/x"}) as response:
            assert response.status == 401 and "not valid" in await response.text()
        for wanted, led in (
            ("/user/?a=1", "/user/?a=1"),
            ("//evil.example", "/live"),
            ("/\\evil.example", "/live"),
            ("https://evil.example", "/live"),
            ("/a\r\nSet-Cookie: x=1", "/live"),
            ("", "/live"),
        ):
            data = {"key": f" {KEY} ", "next": wanted}
            async with browser.post("/signin", data=data, allow_redirects=False) as response:
                assert response.status == 303 and response.headers["location"] == led
        assert [cookie.key for cookie in browser.cookie_jar] == [COOKIE]
        async with browser.post("/signout", allow_redirects=False) as response:
            assert response.status == 303
        async with browser.get("/v1/models", headers={"Accept": "*/*"}) as response:
            assert response.status == 401


async def test_what_the_form_shows_is_escaped(home: House) -> None:
    async with _browser(home) as browser, browser.get('/signin?next=/"><script>alert(1)</script>') as response:
        assert "<script>alert" not in await response.text()


async def test_odd_forms_are_refused_politely(home: House) -> None:
    async with _browser(home) as browser:
        async with browser.post("/signin", data=b"\xff\xfe=\xff&key") as response:
            assert response.status == 401
        async with browser.post("/signin", data={f"field{n}": "x" for n in range(50)}) as response:
            assert response.status == 400
        async with browser.post("/signin", json={"key": KEY}) as response:
            assert response.status == 401
        form = aiohttp.FormData()
        form.add_field("key", b"x", filename="key.txt")
        async with browser.post("/signin", data=form) as response:
            assert response.status == 400


async def test_only_with_a_key_there_are_new_links(home: House) -> None:
    async with _browser(home) as browser:
        async with browser.post("/admin/api/signin-links") as response:
            assert response.status == 401
    async with home.client.post("/admin/api/signin-links", json={"for": "me"}) as response:
        assert response.status == 400


async def test_pages_need_signing_in_and_their_parts_do_not(home: House) -> None:
    async with _browser(home) as browser:
        async with browser.get("/live") as response:
            assert response.url.path == "/signin" and response.url.query["next"] == "/live"
            assert "parley link" in await response.text()
        async with browser.get("/static/live/index.html") as response:
            assert response.status == 200 and response.headers["cache-control"] == "no-cache"
            etag = response.headers["etag"]
        async with browser.get("/static/live/index.html", headers={"If-None-Match": etag}) as response:
            assert response.status == 304
        for path in (
            "/static/",
            "/static/../app.py",
            "/static/..%2fapp.py",
            "/static/%2e%2e/keys.py",
            "/static/live",
        ):
            async with browser.get(path) as response:
                assert response.status in (404, 200) and "import" not in await response.text()
        async with browser.post("/signin", data={"key": KEY, "next": "/live"}) as response:
            assert response.url.path == "/live" and response.status == 200
            assert "script-src 'self'" in response.headers["content-security-policy"]
