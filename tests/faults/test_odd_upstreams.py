"""Backends that are odd in rare ways, behind the whole application: what is right passes, what is broken is typed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from tests.faults.gateway_client import ask, events_of, said_in
from tests.faults.odd_upstream import BROKEN, INSIDE, RIGHT, OddUpstream, odd_upstream
from tests.web.house import House, house

UNASKED = (
    *("deflate", "raw_deflate", "gzip", "hints", "no_reason", "one_by_one", "says_close"),
    *("called_json", "called_stream", "whole_behind_a_mark"),
)
"""Right, too, in the way they are sent."""


@asynccontextmanager
async def _gateway(home: Path, *oddities: str) -> AsyncIterator[tuple[House, OddUpstream]]:
    """A house whose backends these are, the first with the highest priority."""
    async with odd_upstream() as upstream:
        entries = [
            f'[[backends]]\nname = "{name}"\ntype = "openai"\nbase_url = "{upstream.url(name)}"\n'
            f"timeout_s = 60\npriority = {200 - index}\n"
            for index, name in enumerate(oddities)
        ]
        async with house(home, "\n".join(entries) + "\n[llm]\nslots = 0\n") as found:
            with anyio.fail_after(60):
                yield found, upstream


async def test_what_is_odd_but_right_loses_nothing(tmp_path: Path) -> None:
    names = (*RIGHT, *UNASKED)
    async with _gateway(tmp_path, *names) as (found, _):
        for name in names:
            status, _, text = await ask(found, f"{name}/shared", True)
            events = events_of(text)
            assert (status, said_in(events), events[-1]) == (200, "all well", "[DONE]"), (name, text)
            choices = [choice for event in events[:-1] for choice in event["choices"]]
            assert {choice["finish_reason"] for choice in choices} - {None} == {"stop"}, name
            status, _, text = await ask(found, f"{name}/shared", False)
            assert json.loads(text)["choices"][0]["message"]["content"] == "all well", name
        counted = {backend: figures.totals for backend, _, figures in found.services.measuring.all()}
        assert {name: counted[name].completion_tokens for name in names} == dict.fromkeys(names, 4)


async def test_what_is_broken_before_the_first_word_is_a_typed_error_that_says_what_to_do(tmp_path: Path) -> None:
    async with _gateway(tmp_path, *BROKEN) as (found, upstream):
        for name in BROKEN:
            status, _, text = await ask(found, f"{name}/shared", True)
            error = json.loads(text)["error"]
            assert status in (502, 503) and error["code"].startswith("backend_"), (name, text)
            assert error["hint"], (name, error)
            if name.startswith("error_"):
                assert "out of memory" in error["message"], (name, error)
        with anyio.fail_after(60):
            while upstream.open > len(BROKEN):  # those that may be used again stay
                await asyncio.sleep(0.01)


async def test_another_takes_over_from_all_that_break_before_the_first_word(tmp_path: Path) -> None:
    async with _gateway(tmp_path, *BROKEN, "well") as (found, upstream):
        for stream in (False, True):
            status, _, text = await ask(found, "shared", stream)
            said = said_in(events_of(text)) if stream else json.loads(text)["choices"][0]["message"]["content"]
            assert (status, said) == (200, "all well")
    assert upstream.asked.count("well") == 2


async def test_what_breaks_behind_the_first_words_ends_with_an_error_and_keeps_the_words(tmp_path: Path) -> None:
    async with _gateway(tmp_path, *INSIDE, "well") as (found, upstream):
        for name in INSIDE:
            status, _, text = await ask(found, f"{name}/shared", True)
            events = events_of(text)
            assert (status, said_in(events[:-1])) == (200, "all well"), (name, text)
            assert events[-1]["error"]["code"] == "backend_failed", (name, events[-1])
            if name.startswith("error_"):
                assert "out of memory" in events[-1]["error"]["message"], name
    assert "well" not in upstream.asked


async def test_a_bomb_is_given_up_long_before_it_is_unpacked(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "bomb", "raw_bomb") as (found, _):
        for name in ("bomb", "raw_bomb"):
            for stream in (False, True):
                status, _, text = await ask(found, f"{name}/shared", stream)
                assert status == 502 and "beyond reason" in text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", ["stale", "stale_reset"])
async def test_a_connection_that_was_closed_just_as_it_was_used_is_nobodys_error(
    tmp_path: Path, name: str, stream: bool
) -> None:
    async with _gateway(tmp_path, name) as (found, upstream):
        for _ in range(4):
            status, _, text = await ask(found, f"{name}/shared", stream)
            assert status == 200 and "well" in text
        assert len(upstream.asked) > 4, "some were asked twice, or this shows nothing"


@pytest.mark.parametrize("name", ["stale", "stale_reset"])
async def test_what_many_connections_kept_is_not_tried_one_stale_one_after_another(tmp_path: Path, name: str) -> None:
    async with _gateway(tmp_path, name) as (found, upstream):
        answers = await asyncio.gather(*(ask(found, f"{name}/shared", False) for _ in range(3)))
        assert len(set(upstream.asked_on)) > 1, "several are kept, or this shows nothing"
        answers.append(await ask(found, f"{name}/shared", False))
        assert [status for status, _, _ in answers] == [200] * 4


async def test_connections_are_used_again_but_not_where_the_server_says_no(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "well", "says_close", "junk_between") as (found, upstream):
        for name in ("well", "says_close"):
            for stream in (False, True) * 3:
                await ask(found, f"{name}/shared", stream)
        assert len(set(upstream.asked_on[:6])) <= 3, "as many as the servers were first asked for their models on"
        assert len(set(upstream.asked_on[6:])) == 6
        for _ in range(3):
            status, _, text = await ask(found, "junk_between/shared", True)
            assert status == 200 and "well" in text
            await asyncio.sleep(0.05)


async def test_a_model_that_fails_is_left_alone_and_its_neighbours_answer(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "large_fails", "well") as (found, upstream):
        for _ in range(5):
            assert (await ask(found, "large_fails/large", False))[0] in (502, 503)
        assert upstream.asked == ["large_fails/large"] * 3
        _, _, text = await ask(found, "large_fails/large", False)
        assert "large_fails/large failed 3 times in a row" in json.loads(text)["error"]["message"]
        status, headers, _ = await ask(found, "shared", True)
        assert (status, headers["x-parley-route"]) == (200, "large_fails/shared; strategy=failover")
        status, headers, _ = await ask(found, "large", False)
        assert (status, headers["x-parley-route"]) == (200, "well/large; strategy=failover")
        async with found.client.get("/admin/api/backends") as answer:
            row = next(row for row in (await answer.json())["backends"] if row["name"] == "large_fails")
        assert row["breaker"] == "closed" and [one["model"] for one in row["left_alone"]] == ["large"]


async def test_a_proxy_that_fails_is_left_alone_for_every_model(tmp_path: Path) -> None:
    async with _gateway(tmp_path, "gateway_fails") as (found, upstream):
        for model in ("shared", "large", "shared"):
            assert (await ask(found, f"gateway_fails/{model}", False))[0] == 502
        status, _, text = await ask(found, "gateway_fails/other", False)
        assert status == 503 and "gateway_fails failed 3 times" in text
        assert len(upstream.asked) == 3


@pytest.mark.parametrize("name", ["starts_over", "starts_over_undated", "starts_over_ms"])
async def test_when_to_come_again_is_kept_to_however_it_is_said(tmp_path: Path, name: str) -> None:
    async with _gateway(tmp_path, name) as (found, upstream):
        for _ in range(2):
            status, headers, _ = await ask(found, f"{name}/shared", False)
            assert status == 503 and 30 <= int(headers["retry-after"]) <= 40
    assert len(upstream.asked) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_function_call_of_before_there_were_tools_is_a_tool_call(tmp_path: Path, stream: bool) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    body = {"model": "legacy_call/shared", "stream": stream, "tools": [tool]}
    async with _gateway(tmp_path, "legacy_call") as (found, _):
        body["messages"] = [{"role": "user", "content": "how are you"}]
        async with found.client.post("/v1/chat/completions", json=body) as answer:
            text = await answer.text()
    whole = [json.loads(text)] if not stream else [event for event in events_of(text) if event != "[DONE]"]
    said = [choice.get("delta") or choice.get("message") or {} for one in whole for choice in one["choices"]]
    calls = [call for one in said for call in one.get("tool_calls") or ()]
    assert "".join(call["function"]["arguments"] for call in calls) == '{"x":1}'
    assert (calls[0]["function"]["name"], bool(calls[0]["id"])) == ("f", True)
    assert whole[-1]["choices"][0]["finish_reason"] == "tool_calls"
