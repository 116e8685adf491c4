"""Which backend answers, over HTTP: strategies, aliases, the trace in the header, vectors; sick ones in between."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog

from tests.faults.sick_upstream import SickUpstream, sick_upstream
from tests.scripted.backend_servers import Served, serving
from tests.web.house import House, house


def _entry(name: str, url: str, **more: Any) -> str:
    fields = {"name": name, "type": "openai", "base_url": url, **more}
    return "[[backends]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())


@asynccontextmanager
async def _gateway(home: Path, *faults: str, llm: str = "", **more: Any) -> AsyncIterator[tuple[House, SickUpstream]]:
    """A house whose backends have these faults, and are called so."""
    async with sick_upstream() as upstream:
        entries = [_entry(fault, upstream.url(fault), **more) for fault in faults]
        async with house(home, "\n".join(entries) + f"\n[llm]\nslots = 0\n{llm}") as found:
            with anyio.fail_after(60):
                yield found, upstream


async def _ask(found: House, model: str, stream: bool = False) -> tuple[int, str, dict[str, str]]:
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "how are you"}]}
    async with found.client.post("/v1/chat/completions", json=body) as answer:
        text, headers = await answer.text(), {name.lower(): value for name, value in answer.headers.items()}
    # a stream that had to wait for a second is open already when the route is known, and tells it in a comment
    comments = [line[2:].split(": ", 1) for line in text.splitlines() if line.startswith(": x-parley-")]
    return answer.status, text, headers | {name: value for name, value in comments}


# ---- strategies ------------------------------------------------------------------------------------------------


async def test_the_first_that_has_the_model_answers_and_the_header_says_so(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "well", "well2") as (found, upstream):
        for stream in (False, True):
            status, _, headers = await _ask(found, "shared", stream)
            assert (status, headers["x-parley-route"]) == (200, "well/shared; strategy=failover")
        assert upstream.asked == ["well", "well"]


async def test_the_higher_priority_goes_first(tmp_path: Path) -> None:
    async with sick_upstream() as upstream:
        config = _entry("low", upstream.url("low")) + _entry("high", upstream.url("high"), priority=5)
        async with house(tmp_path, config + "[llm]\nslots = 0\n") as found:
            await _ask(found, "shared")
    assert upstream.asked == ["high"]


async def test_in_turn(tmp_path: Path) -> None:
    llm = 'selection_strategy = "round_robin"\n'
    async with _gateway(tmp_path, "a", "b", "c", llm=llm) as (found, upstream):
        for _ in range(6):
            status, _, headers = await _ask(found, "shared")
            assert status == 200 and "strategy=round_robin" in headers["x-parley-route"]
    assert sorted(upstream.asked[:3]) == ["a", "b", "c"] and upstream.asked[:3] == upstream.asked[3:]


async def test_who_is_busy_is_spared(tmp_path: Path) -> None:
    llm = 'selection_strategy = "least_busy"\n'
    async with _gateway(tmp_path, "endless", "well", llm=llm) as (found, upstream):
        body = {"model": "shared", "stream": True, "messages": [{"role": "user", "content": "go on for ever"}]}
        async with found.client.post("/v1/chat/completions", json=body) as long:
            await long.content.readline()
            for _ in range(3):
                assert (await _ask(found, "shared"))[0] == 200
    assert upstream.asked == ["endless", "well", "well", "well"]


async def test_the_quickest_is_asked_once_all_are_known(tmp_path: Path) -> None:
    llm = 'selection_strategy = "lowest_latency"\n'
    async with _gateway(tmp_path, "late", "well", llm=llm) as (found, upstream):
        for _ in range(5):
            assert (await _ask(found, "shared"))[0] == 200
    assert sorted(upstream.asked[:2]) == ["late", "well"]
    assert upstream.asked[2:] == ["well"] * 3


async def test_an_alias_stands_for_several_in_its_own_order(tmp_path: Path) -> None:
    llm = '[llm.aliases]\nquick = "oops/shared, well/shared"\nnobody = "nothing"\n'
    async with _gateway(tmp_path, "well", "oops", llm=llm) as (found, upstream):
        status, _, headers = await _ask(found, "quick")
        assert status == 200
        assert headers["x-parley-route"] == "well/shared; strategy=failover; passed=oops:backend_failed"
        assert upstream.asked == ["oops", "well"]
        status, text, _ = await _ask(found, "nobody")
        assert status == 404 and "aliases" in json.loads(text)["error"]["hint"]


# ---- one that is sick never slows a request for another ----------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_dead_silent_pausing_and_broken_ones_are_passed_over_and_named(
    tmp_path: Path, stream: bool, free_port: int
) -> None:
    """Dead: refused at once. Silent: given up after first_token_timeout_s. 429 and 500: at once, and remembered."""
    async with sick_upstream() as upstream:
        config = _entry("dead", f"http://127.0.0.1:{free_port}/v1", model="shared", priority=9)
        for rank, fault in enumerate(("silent", "busy", "oops", "well")):
            limit_s = 0.3 if fault == "silent" else 20.0
            config += _entry(fault, upstream.url(fault), priority=8 - rank, first_token_timeout_s=limit_s)
        async with house(tmp_path, config + "[llm]\nslots = 0\n") as found:
            with anyio.fail_after(60):
                await found.services.router.refresh()
                status, text, headers = await _ask(found, "shared", stream)
                assert status == 200 and "well" in text
                route = headers["x-parley-route"]
                assert route.startswith("well/shared; strategy=failover; passed=silent:backend_unreachable,")
                assert "busy:rate_limit_exceeded" in route and "oops:backend_failed" in route
                status, _, headers = await _ask(found, "shared", stream)
                assert status == 200 and "busy" not in headers["x-parley-route"]
        assert upstream.asked.count("busy") == 1, "it said when to come again"


async def test_a_silent_backend_keeps_no_page_and_nobody_else_waiting(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "mute", "well") as (found, upstream), anyio.create_task_group() as group:
        group.start_soon(_ask, found, "mute/shared")
        while not upstream.open.get("mute"):
            await anyio.sleep(0.01)
        with anyio.fail_after(60):
            for path in ("/v1/models", "/health", "/metrics"):
                async with found.client.get(path) as answer:
                    assert answer.status == 200, path
            for stream in (False, True):
                assert (await _ask(found, "well/shared", stream))[0] == 200
        assert upstream.open["mute"], "nobody waited until it was given up"
        group.cancel_scope.cancel()


async def test_alone_it_may_take_as_long_as_timeout_s_says(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "late", first_token_timeout_s=0.05) as (found, _):
        for stream in (False, True):
            assert (await _ask(found, "shared", stream))[0] == 200


async def test_a_total_is_kept_to(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "endless", total_timeout_s=0.4) as (found, _):
        status, text, _ = await _ask(found, "shared", True)
        assert status == 200 and '"well"' in text and '"backend_unreachable"' in text


async def test_a_request_that_nobody_answers_says_who_was_asked(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "oops") as (found, _):
        for stream in (False, True):
            status, _, headers = await _ask(found, "oops/shared", stream)
            assert status == 502
            assert headers["x-parley-route"] == "none; strategy=failover; passed=oops:backend_failed"
        async with found.client.post("/v1/embeddings", json={"model": "oops/shared", "input": "a"}) as answer:
            assert answer.headers["x-parley-route"].startswith("none; strategy=failover; passed=oops:")


async def test_the_log_has_what_did_not_go_to_the_first_choice(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "oops", "well") as (found, _):
        with structlog.testing.capture_logs() as logs:
            await _ask(found, "shared")
            await _ask(found, "well/shared")
            await _ask(found, "shared")
    assert [row["log_level"] for row in logs if row["event"] == "backend.chosen"] == ["info", "debug", "debug"]
    assert len([row for row in logs if row["event"] == "backend.passed_over"]) == 1, "the same is not said twice"


# ---- vectors and ranks -------------------------------------------------------------------------------------------


@asynccontextmanager
async def _servers(home: Path, *kinds: str) -> AsyncIterator[tuple[House, dict[str, Served]]]:
    async with AsyncExitStack() as stack:
        servers = {kind: await stack.enter_async_context(serving(kind)) for kind in kinds}
        config = "".join(_entry(kind, server.url, type=kind, model="qwen3:4b") for kind, server in servers.items())
        found = await stack.enter_async_context(house(home, config + "[llm]\nslots = 0\n"))
        with anyio.fail_after(60):
            yield found, servers


def _rows(*vectors: list[float]) -> bytes:
    rows = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    return json.dumps({"object": "list", "data": rows[::-1], "model": "e", "usage": {"prompt_tokens": 4}}).encode()


async def test_vectors_of_every_server_come_in_openais_form(tmp_path: Path) -> None:
    kinds = ("openai", "vllm", "llamacpp", "lmstudio", "tabbyapi", "ollama")
    async with _servers(tmp_path, *kinds) as (found, servers):
        for kind, server in servers.items():
            server.answers["/v1/embeddings"] = (200, _rows([0.5, 1.0], [0.25, 0.0]))
            server.answers["/api/embed"] = (200, b'{"embeddings": [[0.5, 1.0], [0.25, 0.0]], "prompt_eval_count": 4}')
            body = {"model": f"{kind}/e", "input": ["one", "two"]}
            async with found.client.post("/v1/embeddings", json=body) as answer:
                told = await answer.json()
                assert answer.status == 200, (kind, told)
                assert answer.headers["x-parley-route"] == f"{kind}/e; strategy=failover"
            assert [row["embedding"] for row in told["data"]] == [[0.5, 1.0], [0.25, 0.0]]
            assert [row["index"] for row in told["data"]] == [0, 1]
            assert told["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
            async with found.client.post("/v1/embeddings", json={**body, "encoding_format": "base64"}) as answer:
                told = await answer.json()
            first = base64.b64decode(told["data"][0]["embedding"])
            assert struct.unpack("<2f", first) == (0.5, 1.0), "also where a server gives lists, as LM Studio does"
            path, sent = next(posted for posted in server.posted if "embed" in posted[0])
            assert path == ("/api/embed" if kind == "ollama" else "/v1/embeddings")
            assert sent["model"] == "e" and sent["input"] == ["one", "two"]
        measured = found.services.measuring.all()
        counted = {name: (one.totals.requests, one.totals.prompt_tokens) for name, _, one in measured}
        assert counted == dict.fromkeys(kinds, (2, 8))


async def test_ranks_come_best_first_with_their_documents(tmp_path: Path) -> None:
    ranks = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]
    bare = [{"index": 0, "score": 0.1}, {"index": 1, "score": 0.9}]
    good: tuple[Any, ...] = ({"results": ranks}, {"results": ranks[::-1]}, bare)
    bad: tuple[Any, ...] = ({}, {"results": ranks[:1]}, {"results": [{"index": 2, "relevance_score": 1}]})
    body: dict[str, Any] = {"model": "vllm/r", "query": "q", "documents": ["a", {"text": "b"}]}
    async with _servers(tmp_path, "vllm") as (found, servers):
        for told in good:
            servers["vllm"].answers["/v1/rerank"] = (200, json.dumps(told).encode())
            asked = {**body, "top_n": 1, "return_documents": True}
            async with found.client.post("/v1/rerank", json=asked) as answer:
                ranked = await answer.json()
            assert ranked["results"] == [{"index": 1, "relevance_score": 0.9, "document": {"text": "b"}}]
            assert servers["vllm"].posted[-1][1]["documents"] == ["a", "b"]
        for told in bad:
            servers["vllm"].answers["/v1/rerank"] = (200, json.dumps(told).encode())
            async with found.client.post("/v1/rerank", json=body) as answer:
                assert answer.status == 502, told


async def test_who_has_no_vectors_is_passed_over_and_stays_in_use(tmp_path: Path) -> None:
    async with _servers(tmp_path, "tgi", "llamacpp", "vllm") as (found, servers):
        refusal = b'{"error":{"code":501,"message":"start it with --embeddings","type":"not_supported_error"}}'
        servers["llamacpp"].answers["/v1/embeddings"] = (501, refusal)
        servers["vllm"].answers["/v1/embeddings"] = (200, _rows([1.0]))
        for _ in range(4):
            async with found.client.post("/v1/embeddings", json={"model": "qwen3:4b", "input": "one"}) as answer:
                assert answer.status == 200, await answer.text()
        assert len(servers["llamacpp"].posted) == 4, "its breaker is closed: it writes as well as ever"
        del servers["vllm"].answers["/v1/embeddings"]
        async with found.client.post("/v1/embeddings", json={"model": "qwen3:4b", "input": "one"}) as answer:
            assert answer.status == 404


async def test_vectors_that_are_none_are_a_typed_error(tmp_path: Path) -> None:
    answers = (b"{}", b"[]", b'{"data": []}', b'{"data": [{"index": 0}]}', b'{"data": 3}', b"nothing")
    rows = (b'{"index": 7, "embedding": [1]}', b'{"index": 0, "embedding": "!!"}', b'{"embedding": ["x"]}')
    async with _servers(tmp_path, "openai") as (found, servers):
        for answer in (*answers, *(b'{"data": [' + row + b"]}" for row in rows)):
            servers["openai"].answers["/v1/embeddings"] = (200, answer)
            async with found.client.post("/v1/embeddings", json={"model": "openai/e", "input": "one"}) as told:
                code = (await told.json())["error"]["code"]
            assert (told.status, code) in ((502, "backend_failed"), (503, "backend_unreachable")), answer


async def test_ollama_says_what_it_cannot_do(tmp_path: Path) -> None:
    async with _servers(tmp_path, "ollama") as (found, _):
        async with found.client.post("/v1/embeddings", json={"model": "ollama/e", "input": [1, 2]}) as answer:
            assert answer.status == 400 and (await answer.json())["error"]["param"] == "input"
        body = {"model": "ollama/e", "query": "q", "documents": ["a"]}
        async with found.client.post("/v1/rerank", json=body) as answer:
            assert answer.status == 404 and "slot" in (await answer.json())["error"]["hint"]


async def test_images_go_to_each_server_in_its_own_form(tmp_path: Path) -> None:
    """vLLM is asked with a message for each; Ollama has none, so another that can be asked is."""
    shown = {"image": "data:image/png;base64,aGVsbG8="}
    async with _servers(tmp_path, "ollama", "openai", "vllm") as (found, servers):
        for kind in ("openai", "vllm"):
            servers[kind].answers["/v1/embeddings"] = (200, _rows([0.5, 1.0]))
        body: dict[str, Any] = {"model": "vllm/e", "input": ["one", {"image": "aGVsbG8="}, {"text": "two"}]}
        async with found.client.post("/v1/embeddings", json={**body, "encoding_format": "base64"}) as answer:
            rows = (await answer.json())["data"]
        assert [struct.unpack("<2f", base64.b64decode(row["embedding"])) for row in rows] == [(0.5, 1.0)] * 3
        first, second, third = (sent for _, sent in servers["vllm"].posted)
        assert (first["input"], third["input"]) == ("one", "two") and "input" not in second
        (message,) = second["messages"]
        url = message["content"][0]["image_url"]["url"]
        assert base64.b64decode(url.partition(",")[2]) == b"hello"
        async with found.client.post("/v1/embeddings", json={"model": "openai/e", "input": shown}) as answer:
            assert answer.status == 200
        assert servers["openai"].posted[-1][1]["input"] == [shown]
        async with found.client.post("/v1/embeddings", json={"model": "ollama/e", "input": shown}) as answer:
            told = (await answer.json())["error"]
        assert answer.status == 400 and told["param"] == "input[0]" and "vision-embedding" in told["hint"]
        async with found.client.post("/v1/embeddings", json={"model": "qwen3:4b", "input": shown}) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.headers["x-parley-route"].startswith("openai/")
        for url in ("https://127.0.0.1/a.png", "http://example.org/a.png", "https://169.254.169.254/a"):
            async with found.client.post(
                "/v1/embeddings", json={"model": "vllm/e", "input": {"image": url}}
            ) as answer:
                told = (await answer.json())["error"]
            assert answer.status == 400 and told["param"] == "input" and "cannot be used" in told["message"]
