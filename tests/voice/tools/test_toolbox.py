"""The server's tools: what they answer, and that nothing they do can harm a session."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from models.clock import Clock, SystemClock
from models.errors import SettingsError
from voice.settings import HttpToolSettings, ToolSettings
from voice.tools.calculate import SPEC as CALCULATE
from voice.tools.get_time import SPEC as GET_TIME
from voice.tools.spec import ToolFailed, ToolSpec
from voice.tools.toolbox import ToolBox, open_toolbox

BOX = ToolBox((CALCULATE, GET_TIME), SystemClock())


async def run(name: str, **arguments: Any) -> str:
    return await BOX.run(name, json.dumps(arguments), 5.0)


class TestCalculate:
    @pytest.mark.parametrize(
        ("expression", "result"),
        [
            ("2 + 3 * 4", "14"),
            ("(17 + 4) * 2.5", "52.5"),
            ("2 ^ 10", "1024"),
            ("-7 // 2", "-4"),
            ("10 / 4", "2.5"),
            ("sqrt(2) * sqrt(2)", "2"),
            ("0.1 + 0.2", "0.3"),
            ("99999999999 * 99999999999", "9999999999800000000001"),
        ],
    )
    async def test_sums(self, expression: str, result: str) -> None:
        assert await run("calculate", expression=expression) == result

    @pytest.mark.parametrize(
        "expression",
        [
            "",
            "1 / 0",
            "9 ** 9 ** 9",
            "10 ** 400 * 10 ** 400",
            "__import__('os').system('true')",
            "(lambda: 1)()",
            "'a' * 10",
            "True + 1",
            "1e308 * 10",
            "sqrt(-1)",
            "-8 ** 0.5 * (0 - 1) ** 0.5",
            "(" * 150,
            "1+" * 150,
        ],
    )
    async def test_what_is_no_sum_is_an_error(self, expression: str) -> None:
        assert "error" in json.loads(await run("calculate", expression=expression))


class TestTime:
    async def test_here_and_elsewhere(self) -> None:
        here, rome = json.loads(await run("get_time")), json.loads(await run("get_time", timezone="Europe/Rome"))
        assert set(here) == set(rome) == {"time", "weekday", "date", "timezone"}
        assert rome["timezone"] == "Europe/Rome"

    @pytest.mark.parametrize("zone", ["Nowhere/Land", "../../etc/passwd", 7, "x" * 500])
    async def test_a_wrong_zone_is_an_error(self, zone: object) -> None:
        assert "error" in json.loads(await run("get_time", timezone=zone))


class TestBox:
    @pytest.mark.parametrize("arguments", ["{", "[]", "7", "[" * 100_000])
    async def test_arguments_that_are_no_object(self, arguments: str) -> None:
        assert "error" in json.loads(await BOX.run("calculate", arguments, 5.0))

    async def test_a_tool_that_breaks_or_hangs_is_an_error_for_the_model(self) -> None:
        async def broken(arguments: Mapping[str, Any], clock: Clock) -> str:
            raise RuntimeError("secret")

        async def hangs(arguments: Mapping[str, Any], clock: Clock) -> str:
            await anyio.sleep_forever()
            raise AssertionError

        async def refuses(arguments: Mapping[str, Any], clock: Clock) -> str:
            raise ToolFailed("not on Sundays")

        tools = {run.__name__: ToolSpec(run.__name__, "", {}, run) for run in (broken, hangs, refuses)}
        box = ToolBox(tools.values(), SystemClock())
        assert await box.run("broken", "", 1.0) == '{"error": "the tool failed"}'
        assert "in time" in await box.run("hangs", "", 0.01)
        assert "not on Sundays" in await box.run("refuses", "", 1.0)

    async def test_what_is_offered_must_be_there(self) -> None:
        with pytest.raises(SettingsError, match="no tool 'rocket'"):
            async with open_toolbox(ToolSettings(offer=("rocket",)), SystemClock()):
                raise AssertionError
        async with open_toolbox(ToolSettings(offer=("get_time",)), SystemClock()) as box:
            assert list(box.schemas) == ["get_time"]


class TestHttpTools:
    @asynccontextmanager
    async def box(self, path: str, method: str = "POST", trusted: bool = True) -> AsyncIterator[ToolBox]:
        app = web.Application()

        async def echo(request: web.Request) -> web.Response:
            body = await request.json() if request.can_read_body else dict(request.query)
            return web.json_response({"got": body, "key": request.headers.get("X-Key")})

        async def away(request: web.Request) -> web.Response:
            raise web.HTTPFound("/echo")

        async def long(request: web.Request) -> web.Response:
            return web.Response(text="x" * 1_000_000)

        app.router.add_route("*", "/echo", echo)
        app.router.add_route("*", "/away", away)
        app.router.add_route("*", "/long", long)
        async with TestServer(app) as server:
            declared = HttpToolSettings(
                "house", "The house.", str(server.make_url(path)), method, headers={"X-Key": "k"}
            )
            hosts = ("127.0.0.1",) if trusted else ()
            async with open_toolbox(ToolSettings(http=(declared,), trusted_hosts=hosts), SystemClock()) as box:
                yield box

    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_the_arguments_are_query_or_body(self, method: str) -> None:
        async with self.box("/echo", method) as box:
            result = json.loads(await box.run("house", '{"room": "kitchen"}', 5.0))
        assert result == {"got": {"room": "kitchen"}, "key": "k"}

    @pytest.mark.parametrize("path", ["/away", "/missing"])
    async def test_redirects_are_not_followed_and_errors_are_told(self, path: str) -> None:
        async with self.box(path) as box:
            assert "status" in json.loads(await box.run("house", "{}", 5.0))["error"]

    async def test_an_endless_answer_is_cut(self) -> None:
        async with self.box("/long") as box:
            assert 0 < len(await box.run("house", "{}", 5.0)) <= 64 * 1024

    async def test_a_private_address_must_be_trusted(self) -> None:
        with pytest.raises(SettingsError, match="house"):
            async with self.box("/echo", trusted=False):
                raise AssertionError

    async def test_a_service_that_is_not_there(self) -> None:
        declared = HttpToolSettings("house", "", "http://127.0.0.1:9/")
        async with open_toolbox(ToolSettings(http=(declared,), trusted_hosts=("127.0.0.1",)), SystemClock()) as box:
            assert "cannot be reached" in await box.run("house", "{}", 5.0)
