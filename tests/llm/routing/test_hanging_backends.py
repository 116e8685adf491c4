"""Backends that begin to hang between two probes: given up soon where another could answer, and only then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
import anyio
import pytest

from llm import generate
from llm.errors import BackendFailed, BackendUnreachable
from llm.generate import Router
from llm.messages import GenerateRequest, Message
from llm.port import BackendConfig
from llm.routing import breaker, silence_watch
from llm.routing.configured_backends import load_backends
from llm.routing.route_trace import RouteTrace
from llm.stream import Finish, Relayed, TextDelta
from tests.faults.sick_upstream import SickUpstream, sick_upstream

RELAYS: tuple[Literal["", "stream", "whole"], ...] = ("", "stream", "whole")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, seconds in (
        (silence_watch, "HUSH_S", 0.15),
        (silence_watch, "TICK_S", 0.03),
        (generate, "DOUBT_S", 0.4),
        (generate, "HESITATE_S", 0.1),
        (generate, "EVERY_S", 600.0),  # nothing else finds out
        (generate, "EVERY_UNWELL_S", 600.0),
    ):
        monkeypatch.setattr(module, name, seconds)


@dataclass(slots=True)
class Asker:
    router: Router
    upstream: SickUpstream
    passed: list[str]
    """Who did not answer before the last answer."""

    async def ask(self, relay: Literal["", "stream", "whole"] = "") -> str:
        """Who answered."""
        found: list[RouteTrace] = []
        request = GenerateRequest((Message("user", "hello"),), "shared", relay=relay, on_route=found.append)
        async with aclosing(self.router.generate(request)) as events:
            kinds = [event async for event in events]
        assert any(isinstance(event, TextDelta | Relayed | Finish) for event in kinds)
        return self._told(found)

    async def vectors(self) -> str:
        found: list[RouteTrace] = []
        try:
            await self.router.vectors("embeddings", {"model": "shared", "input": "a"}, on_route=found.append)
        except BackendFailed:
            pass  # none of them has vectors; who was asked is told
        return self._told(found)

    def _told(self, found: list[RouteTrace]) -> str:
        self.passed = [part for part in str(found[-1]).partition("passed=")[2].split(",") if part]
        return str(found[-1]).partition("/")[0]


@asynccontextmanager
async def asking(first: str, *others: str, **more: Any) -> AsyncIterator[Asker]:
    async with sick_upstream() as upstream, aiohttp.ClientSession() as http, anyio.create_task_group() as tasks:
        more = {"first_token_timeout_s": 200.0, **more}  # by that alone nobody is given up in time
        configs = [BackendConfig(first, "openai", upstream.url(first), priority=1, model="shared", **more)]
        configs += [BackendConfig(other, "openai", upstream.url(other), model="shared") for other in others]
        backends = load_backends(configs, http)
        router = Router(lambda: backends, "")
        await router.refresh()
        await tasks.start(router.run)
        with anyio.fail_after(60):
            yield Asker(router, upstream, [])
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("relay", RELAYS)
async def test_one_that_hangs_wholly_is_given_up_and_asked_by_nobody_more(
    relay: Literal["", "stream", "whole"],
) -> None:
    async with asking("first", "well") as asker:
        assert await asker.ask(relay) == "first"
        asker.upstream.hung.add("first")
        told: list[tuple[str, list[str]]] = []

        async def ask() -> None:
            told.append((await asker.ask(relay), asker.passed))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(ask)
        assert told == [("well", ["first:backend_unreachable"])] * 4
        asked = asker.upstream.asked.count("first")
        await ask()
        assert told[-1] == ("well", []) and asker.upstream.asked.count("first") == asked
        while asker.upstream.open.get("first"):  # the connections of those that were given up are closed
            await anyio.sleep(0.01)


async def test_who_comes_while_it_is_in_doubt_goes_to_another_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "DOUBT_S", 60.0)
    async with asking("first", "well") as asker, anyio.create_task_group() as tasks:
        asker.upstream.hung.add("first")
        tasks.start_soon(asker.ask)
        while asker.router.views()[0].healthy:
            await anyio.sleep(0.01)
        assert await asker.ask() == "well" and not asker.passed
        tasks.cancel_scope.cancel()  # that client goes away: nothing was proven
        asker.upstream.hung.clear()
        await asker.router.refresh()
        assert await asker.ask() == "first"


async def test_embeddings_are_taken_elsewhere_too() -> None:
    async with asking("first", "empty_object") as asker:
        asker.upstream.hung.add("first")
        with pytest.raises(BackendUnreachable, match="does not say that it is well"):
            await asker.vectors()  # the error is the first one's; but another was asked
        assert asker.upstream.asked == ["first", "empty_object"]


@pytest.mark.parametrize("relay", RELAYS)
async def test_one_that_is_slow_and_says_that_it_is_well_is_waited_for(
    relay: Literal["", "stream", "whole"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked several times while it works."""
    monkeypatch.setattr(generate, "DOUBT_S", 10.0)  # on a busy machine, too
    async with asking("slow", "well") as asker:
        assert await asker.ask(relay) == "slow" and not asker.passed
        assert asker.upstream.asked == ["slow"] and asker.router.views()[0].healthy


async def test_one_that_lists_its_models_and_answers_nothing_costs_one_request_its_time() -> None:
    async with asking("silent", "well", first_token_timeout_s=0.3) as asker:
        assert await asker.ask() == "well" and asker.passed == ["silent:backend_unreachable"]
        await asker.router.refresh()  # it says that it is well, which is no news
        assert asker.router.views()[0].healthy and asker.router.views()[0].left_alone
        for _ in range(3):
            assert await asker.ask() == "well" and not asker.passed
        assert asker.upstream.asked.count("silent") == 1


async def test_its_next_trial_is_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "SILENT_FIRST_S", 0.1)
    monkeypatch.setattr(generate, "UNWELL_S", 0.1)
    async with asking("silent", "well", first_token_timeout_s=4.0) as asker:
        assert await asker.ask() == "well"
        while asker.router.views()[0].left_alone:
            await anyio.sleep(0.02)
        begun_s = anyio.current_time()
        assert await asker.ask() == "well" and asker.passed == ["silent:backend_unreachable"]
        assert anyio.current_time() - begun_s < 4.0


async def test_what_one_has_waited_in_vain_nobody_else_waits_again() -> None:
    async def well(name: str) -> bool:
        return True

    watch, told = silence_watch.SilenceWatch(well), []

    async def wait(model: str, limit_s: float) -> None:
        try:
            with watch.patience("gpu", model, limit_s, None):
                await anyio.sleep(60)
        except BackendUnreachable as error:
            told.append((model, error.silent, error.of_server))

    async with anyio.create_task_group() as tasks:
        for model, limit_s in (("large", 0.1), ("large", 50.0), ("small", 50.0)):
            tasks.start_soon(wait, model, limit_s)
        with anyio.fail_after(40):
            while len(told) < 2:
                await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()
    assert told == [("large", True, False)] * 2


async def test_an_error_is_an_answer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "DOUBT_S", 10.0)
    async with asking("slow", "well") as asker:
        asker.upstream.lists_nothing = True
        assert await asker.ask() == "slow" and not asker.passed


async def test_alone_and_hanging_it_is_waited_for_and_the_error_says_so() -> None:
    async with asking("first", timeout_s=0.6) as asker:
        asker.upstream.hung.add("first")
        begun_s = anyio.current_time()
        with pytest.raises(BackendUnreachable, match="does not answer"):
            await asker.ask()
        assert anyio.current_time() - begun_s >= 0.6
        assert asker.router.views()[0].healthy is False


async def test_first_token_timeout_0_gives_nobody_up() -> None:
    async with asking("slow", "well", first_token_timeout_s=0.0) as asker, anyio.create_task_group() as tasks:

        async def hang_for_questions() -> None:
            while not asker.upstream.asked:
                await anyio.sleep(0.01)
            asker.upstream.hung.add("slow")

        tasks.start_soon(hang_for_questions)
        assert await asker.ask() == "slow" and not asker.passed
