"""Backends that hang, trickle, reset and lie, behind the whole application: typed errors, failover, nothing left.

Which of several backends answers, and how a request goes round a sick one: tests/web/rest/test_routing.py.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.faults.gateway_client import ask, body_of, events_of, said_in
from tests.faults.sick_upstream import SickUpstream, sick_upstream
from tests.web.house import House, house

TIMEOUT_S = 0.4
BEFORE = (
    "silent",
    "reset_first",
    "page",
    "broken_json",
    "short",
    "headers_only",
    "oops",
    "busy",
    "huge",
    "error_first",
    "closes_first",
    "role_only",
    "silent_after_headers",
    "only_comments",
    "no_http",
    "empty_object",
    "a_list",
    "redirect",
    "key",
    "not_squeezed",
)
INSIDE = ("cut", "stops_inside", "error_inside", "broken_inside", "hangs_inside", "pings_inside")
HEALTHY = ("trickle", "no_done", "no_last_line", "crlf", "comments", "late_end", "untyped", "squeezed", "well")
PROMPT = (*HEALTHY, "busy", "used_up", "oops", "cut", "stops_inside", "error_inside", "broken_inside")
"""What these say is to come through on a busy machine, too; the others are given up after TIMEOUT_S."""


@asynccontextmanager
async def _gateway(home: Path, *faults: str) -> AsyncIterator[tuple[House, SickUpstream]]:
    """A house whose backends are these, the first with the highest priority."""
    async with sick_upstream() as upstream:
        entries = [
            f'[[backends]]\nname = "{fault}"\ntype = "openai"\nbase_url = "{upstream.url(fault)}"\n'
            f"timeout_s = {60 if fault.removeprefix('bare_') in PROMPT else TIMEOUT_S}\npriority = {100 - index}\n"
            for index, fault in enumerate(faults)
        ]
        async with house(home, "\n".join(entries) + "\n[llm]\nslots = 0\n") as found:
            with anyio.fail_after(60):
                yield found, upstream


async def _nothing_open(upstream: SickUpstream) -> None:
    """The gateway has let go of every request it made."""
    with anyio.fail_after(60):
        while any(upstream.open.values()):
            await asyncio.sleep(0.01)


def _both(faults: tuple[str, ...]) -> tuple[str, ...]:
    """In frames that pass as they are, and in those that are converted."""
    return tuple(name for fault in faults for name in (fault, f"bare_{fault}"))


async def test_a_backend_that_fails_before_its_first_word_gives_a_typed_error(tmp_path: Path) -> None:
    async with _gateway(tmp_path, *BEFORE) as (found, upstream), anyio.create_task_group() as group:

        async def alone(fault: str) -> None:
            for stream in (False, True):
                status, headers, text = await ask(found, f"{fault}/shared", stream)
                error = json.loads(text)["error"]
                assert set(error) == {"message", "type", "param", "code", "hint"}, (fault, error)
                if fault == "busy":
                    assert (status, error["code"]) == (429, "rate_limit_exceeded")
                    assert 1 <= int(headers["retry-after"]) <= 7
                else:
                    assert status in (502, 503, 504), (fault, stream, status)
                    assert error["code"].startswith("backend_"), (fault, error)

        for fault in BEFORE:
            group.start_soon(alone, fault)
    await _nothing_open(upstream)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_another_backend_takes_over_before_the_first_word(tmp_path: Path, stream: bool) -> None:
    async with _gateway(tmp_path, *BEFORE, "well") as (found, upstream):
        status, _, text = await ask(found, "shared", stream)
        assert status == 200
        said = said_in(events_of(text)) if stream else json.loads(text)["choices"][0]["message"]["content"]
        assert said == "all well"
        # Who closes a connection that was kept is asked once more, on another.
        assert [fault for fault, _ in groupby(upstream.asked)] == [*BEFORE, "well"]
        assert max(Counter(upstream.asked).values()) <= 2
        await _nothing_open(upstream)


async def test_a_stream_that_breaks_ends_with_an_error_event_and_nobody_takes_over(tmp_path: Path) -> None:
    inside = _both(INSIDE)
    async with _gateway(tmp_path, *inside, "well") as (found, upstream):
        for fault in inside:
            status, _, text = await ask(found, f"{fault}/shared", True)
            events = events_of(text)
            assert status == 200
            assert said_in(events[:-1]) == "all well", fault  # what came before the fault is not lost
            assert events[-1]["error"]["code"].startswith("backend_"), (fault, events[-1])
        assert upstream.asked == list(inside)
        await _nothing_open(upstream)


async def test_another_backend_takes_over_a_whole_answer_that_breaks(tmp_path: Path) -> None:
    """Its client has heard nothing of it. With tools it is asked for as a stream, and put together here."""
    function = {"name": "f", "description": "nothing", "parameters": {"type": "object", "properties": {}}}
    body = {**body_of("shared", False), "tools": [{"type": "function", "function": function}]}
    async with _gateway(tmp_path, *INSIDE, "well") as (found, upstream):
        async with found.client.post("/v1/chat/completions", json=body) as answer:
            assert answer.status == 200
            assert (await answer.json())["choices"][0]["message"]["content"] == "all well"
            assert answer.headers["x-parley-route"].startswith("well/shared; strategy=failover; passed=cut:backend_")
        assert upstream.asked == [*INSIDE, "well"]
        await _nothing_open(upstream)


async def test_slow_and_careless_backends_lose_nothing(tmp_path: Path) -> None:
    healthy = _both(HEALTHY)
    async with _gateway(tmp_path, *healthy) as (found, upstream):
        for fault in healthy:
            status, _, text = await ask(found, f"{fault}/shared", True)
            events = events_of(text)
            assert (status, said_in(events), events[-1]) == (200, "all well", "[DONE]"), fault
            assert not any(event.get("usage") for event in events[:-1]), "nobody asked for it"
        await _nothing_open(upstream)


async def test_usage_comes_to_the_client_that_asks_and_is_counted_for_both(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "well") as (found, _):
        body = {**body_of("well/shared", True), "stream_options": {"include_usage": True}}
        async with found.client.post("/v1/chat/completions", json=body) as answer:
            events = events_of(await answer.text())
        assert [event["usage"]["completion_tokens"] for event in events[:-1] if event.get("usage")] == [2]
        await ask(found, "well/shared", True)
        await ask(found, "well/shared", False)
        [(_, _, figures)] = found.services.measuring.all()
        assert (figures.totals.requests, figures.totals.completion_tokens) == (3, 6)


@pytest.mark.parametrize(("fault", "stream"), [("endless", True), ("silent", True), ("silent", False)])
async def test_a_client_that_leaves_closes_the_upstream_socket(tmp_path: Path, fault: str, stream: bool) -> None:
    async with sick_upstream() as upstream:
        config = f'[[backends]]\nname = "{fault}"\ntype = "openai"\nbase_url = "{upstream.url(fault)}"\n'
        async with house(tmp_path, config + "[llm]\nslots = 0\n") as found:
            host, port = found.url.removeprefix("http://").split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            data = json.dumps(body_of(f"{fault}/shared", stream))
            key = found.client.headers["Authorization"]
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: {key}\r\n"
            writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n{data}".encode())
            with anyio.fail_after(60):
                while not upstream.open.get(fault):
                    await asyncio.sleep(0.005)
            writer.transport.abort()
            await _nothing_open(upstream)


_TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", {"messages": [{"role": "user", "content": "a"}], "tools": [_TOOL]}),  # streamed upstream
        ("completions", {"prompt": "a"}),
        ("responses", {"input": "a"}),
    ],
)
@pytest.mark.parametrize("fault", ["never_stops", "bare_never_stops"])
async def test_a_reply_without_an_end_is_not_gathered_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, path: str, body: dict[str, Any]
) -> None:
    monkeypatch.setattr("web.http.generation._MOST_BYTES", 20_000)
    async with sick_upstream() as upstream:
        config = f'[[backends]]\nname = "{fault}"\ntype = "openai"\nbase_url = "{upstream.url(fault)}"\n'
        async with house(tmp_path, config + "[llm]\nslots = 0\n") as found:
            with anyio.fail_after(60):
                async with found.client.post(f"/v1/{path}", json={"model": f"{fault}/shared", **body}) as answer:
                    error = (await answer.json())["error"]
                    assert (answer.status, error["code"]) == (502, "backend_failed")
                    assert "has no end" in error["message"]
            await _nothing_open(upstream)


async def test_a_connection_whose_end_comes_late_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm.remote.backend_http._READ_OUT_S", 30.0)  # on a busy machine, too
    async with _gateway(tmp_path, "late_end") as (found, upstream):
        for _ in range(4):
            assert said_in(events_of((await ask(found, "late_end/shared", True))[2])) == "all well"
            await _nothing_open(upstream)
    assert upstream.connections < 4


async def test_a_list_of_models_with_broken_rows_is_listed_without_them(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "well") as (found, _), found.client.get("/v1/models") as answer:
        assert {"shared", "half a ?"} == {row["id"] for row in (await answer.json())["data"]}


async def test_retry_after_is_kept_to(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "busy") as (found, upstream):
        for _ in range(3):
            status, headers, _ = await ask(found, "busy/shared", True)
            assert status == 429 and 1 <= int(headers["retry-after"]) <= 7
    assert upstream.asked == ["busy"]


async def test_an_account_that_is_used_up_is_not_worth_a_second_try_but_another_server(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "used_up", "well") as (found, _):
        status, headers, text = await ask(found, "used_up/shared", False)
        assert (status, json.loads(text)["error"]["code"]) == (429, "insufficient_quota")
        assert "retry-after" not in headers
        assert headers["x-parley-route"] == "none; strategy=failover; passed=used_up:insufficient_quota"
        assert (await ask(found, "shared", False))[0] == 200


async def test_a_server_that_fails_again_and_again_is_left_alone(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "oops", "well") as (found, upstream):
        for _ in range(8):
            assert (await ask(found, "shared", True))[0] == 200
    assert (upstream.asked.count("oops"), upstream.asked.count("well")) == (3, 8)
