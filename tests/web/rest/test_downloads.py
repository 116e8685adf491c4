"""The admin surface of downloads, and the figures of performance, on a real server."""

from __future__ import annotations

import json

import aiohttp
import anyio
import pytest

from tests.parley_process import ParleyProcess

JOBS = "/admin/api/models/download"


async def test_a_download_is_watched_until_it_is_over(parley_server: ParleyProcess) -> None:
    """Nothing outside this machine is asked: the address leads into a private network, and that is what is told."""
    async with aiohttp.ClientSession(parley_server.base_url, headers=parley_server.headers) as http:
        async with http.post(JOBS, json={"model": "https://localhost:1/tiny.gguf"}) as answer:
            assert answer.status == 202
            job = await answer.json()
        assert job["name"] == "tiny" and job["status"] in ("queued", "running")
        events = []
        with anyio.fail_after(60):
            async with http.get(f"{JOBS}/{job['job']}", headers={"accept": "text/event-stream"}) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                events = [json.loads(line[6:]) async for line in answer.content if line.startswith(b"data: ")]
        assert events[-1]["status"] == "failed" and events[-1]["error"]["code"] == "download_refused"
        async with http.get(f"{JOBS}/{job['job']}") as answer:
            assert (await answer.json()) == events[-1]
        async with http.get(JOBS) as answer:
            listed = await answer.json()
        assert listed["jobs"][0] == events[-1] and 0 < listed["disk"]["free_bytes"] < listed["disk"]["total_bytes"]
        async with http.delete(f"{JOBS}/{job['job']}") as answer:
            assert answer.status == 202


async def test_a_model_can_be_named_by_its_repository_and_by_its_address(parley_server: ParleyProcess) -> None:
    async with aiohttp.ClientSession(parley_server.base_url, headers=parley_server.headers) as http:
        async with http.post(JOBS, json={"url": "https://localhost:1/other.gguf"}) as answer:
            assert answer.status == 202 and (await answer.json())["model"] == "https://localhost:1/other.gguf"
        async with http.post(JOBS, json={"url": "https://localhost:1/sum.gguf", "sha256": "a" * 64}) as answer:
            assert answer.status == 202 and (await answer.json())["name"] == "sum"
        async with http.post(JOBS, json={"url": "https://localhost:1/sum.gguf", "sha256": "x" * 64}) as answer:
            assert answer.status == 400 and (await answer.json())["error"]["param"] == "sha256"
        async with http.post(JOBS, json={"repo_id": "owner/repo", "filename": "../x.gguf"}) as answer:
            assert answer.status == 400 and "'owner/repo/../x.gguf'" in (await answer.json())["error"]["message"]


async def test_the_catalogue_says_what_suits_this_machine(parley_server: ParleyProcess) -> None:
    (parley_server.home / "models" / "thorsten").mkdir(parents=True)
    async with aiohttp.ClientSession(parley_server.base_url, headers=parley_server.headers) as http:
        async with http.get("/admin/api/models/catalog?language=de") as answer:
            found = await answer.json()
    (parley_server.home / "models" / "thorsten").rmdir()
    rows = {row["name"]: row for row in found["models"]}
    assert rows["thorsten"]["installed"] and rows["thorsten"]["recommended"] and rows["thorsten"]["licence"]
    assert not rows["ljspeech"]["installed"] and not rows["ljspeech"]["recommended"]
    assert "de" in found["languages"] and "*" not in found["languages"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", JOBS, {"model": ""}, 400),
        ("POST", JOBS, {"model": "a/../b"}, 400),
        ("POST", JOBS, {"model": "no-such-name-at-all"}, 404),
        ("POST", JOBS, {"url": "x"}, 400),
        ("POST", JOBS, {}, 400),
        ("POST", JOBS, {"url": "https://localhost:1/x.gguf", "model": "x"}, 400),
        ("POST", JOBS, {"repo_id": "../..", "filename": "x"}, 400),
        ("POST", JOBS, {"repo_id": "just-a-name"}, 400),
        ("POST", JOBS, {"repo_id": "owner/repo", "filename": "../x"}, 400),
        ("POST", JOBS, {"filename": "x.gguf", "model": "owner/repo"}, 400),
        ("GET", f"{JOBS}/nothing", None, 404),
        ("GET", "/admin/api/models/search", None, 400),
        ("GET", "/admin/api/models/catalog?language=xx", None, 400),
        ("GET", "/admin/api/models/search?q=x&format=exe", None, 400),
        ("GET", "/admin/api/models/search?q=x&limit=1000", None, 400),
    ],
)
async def test_what_is_wrong_is_told(
    parley_server: ParleyProcess, method: str, path: str, body: object, status: int
) -> None:
    async with aiohttp.ClientSession(headers=parley_server.headers) as http:
        async with http.request(method, parley_server.base_url + path, json=body) as answer:
            assert answer.status == status, await answer.text()
            assert (await answer.json())["error"]["message"]


@pytest.mark.parametrize("path", [JOBS, "/admin/api/models/search?q=x", "/v1/stats/performance"])
async def test_they_need_a_key(parley_server: ParleyProcess, path: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(parley_server.base_url + path) as answer:
        assert answer.status == 401


async def test_a_reply_shows_in_the_figures(parley_server: ParleyProcess) -> None:
    # so many that they take longer than what is too short to measure, also where they all come at once
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 300, "ignore_eos": True}
    async with aiohttp.ClientSession(parley_server.base_url, headers=parley_server.headers) as http:
        async with http.post("/v1/chat/completions", json=body) as answer:
            assert answer.status == 200
        async with http.get("/v1/stats/performance?latest=3") as answer:
            rows = (await answer.json())["backends"]
        for wrong in ("-1", "257", "x", "9" * 5000):
            async with http.get("/v1/stats/performance", params={"latest": wrong}) as answer:
                assert answer.status == 400
        async with http.get("/metrics") as answer:
            metrics = await answer.text()
    (row,) = [row for row in rows if row.get("slot") == 1]
    assert row["requests"] >= 1 and row["completion_tokens"] >= 300
    first_s, _queue_s, tokens_per_s = row["latest"][-1]
    assert len(row["latest"]) <= 3 and first_s >= 0 and tokens_per_s > 0
    assert row["memory_bytes"] > 0 and row["running"] == 0
    assert "parley_backend_first_token_seconds_bucket" in metrics
