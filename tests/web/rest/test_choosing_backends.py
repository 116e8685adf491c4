"""What is known of the backends, and choosing who answers by default: at once, kept over restarts, undone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from llm.routing.routing_choice import FILE
from tests.ports import free_port
from tests.scripted.process import ScriptedProcess
from tests.web.house import House, house

SECRET = "sk-a-very-secret-key"
BACKENDS = """
[[backends]]
name = "dead"
type = "openai"
base_url = "http://somebody:hunter2222@127.0.0.1:{port}/v1?api_key={secret}"
model = "nothing"

[[backends]]
name = "off"
type = "openai"
base_url = "http://127.0.0.1:{port}/v1"
enabled = false
"""


@asynccontextmanager
async def opened(home: Path, service: ScriptedProcess, default: str = "") -> AsyncIterator[House]:
    config = service.parley_config("\n".join([f'[llm]\nmodel = "none"\ndefault_model = "{default}"']))
    config = config.replace('model = "scripted/any"', "").replace("[voice.llm]", "")
    config = config.replace('name = "scripted"', f'name = "scripted"\napi_key = "{SECRET}"\nmodel = "any"')
    async with house(home, BACKENDS.format(port=free_port(), secret=SECRET) + config) as found:
        await found.services.router.refresh()
        yield found


async def call(house: House, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    async with house.client.request(method, path, json=body) as answer:
        return answer.status, await answer.json()


async def test_every_backend_is_shown_without_its_secrets(tmp_path: Path, service: ScriptedProcess) -> None:
    async with opened(tmp_path, service) as house:
        status, answer = await call(house, "GET", "/admin/api/backends")
    assert status == 200
    rows = {row["name"]: row for row in answer["backends"]}
    assert list(rows) == ["local", "dead", "scripted", "off"]
    assert (
        rows["scripted"]["healthy"] is True and rows["scripted"]["has_key"] and rows["scripted"]["models_total"] > 0
    )
    assert rows["dead"]["healthy"] is False and rows["dead"]["problem"]["code"] == "backend_unreachable"
    assert rows["off"]["enabled"] is False
    text = str(answer)
    assert "hunter2222" not in text and SECRET not in text and "...@127.0.0.1" in rows["dead"]["base_url"]


async def test_a_choice_is_applied_at_once_and_kept(tmp_path: Path, service: ScriptedProcess) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
    async with opened(tmp_path, service, default="dead") as house:
        _, before = await call(house, "GET", "/admin/api/routing")
        assert before["default_model"] == {"value": "dead", "configured": "dead", "source": "settings"}
        assert (await call(house, "POST", "/v1/chat/completions", body))[0] == 503
        chosen = {"default_model": "scripted", "selection_strategy": "least_busy"}
        status, after = await call(house, "PUT", "/admin/api/routing", chosen)
        assert status == 200 and after["default_model"]["source"] == "chosen"
        assert after["asked"] == [{"backend": "scripted", "model": "any"}]
        assert (await call(house, "POST", "/v1/chat/completions", body))[0] == 200
    async with opened(tmp_path, service, default="dead") as house:
        _, again = await call(house, "GET", "/admin/api/routing")
        assert again["default_model"] == {"value": "scripted", "configured": "dead", "source": "chosen"}
        assert again["selection_strategy"]["value"] == "least_busy"
        assert (await call(house, "POST", "/v1/chat/completions", body))[0] == 200
    async with opened(tmp_path, service, default="scripted/other") as house:  # parley.toml was edited since
        _, edited = await call(house, "GET", "/admin/api/routing")
        assert edited["default_model"]["value"] == "scripted/other"
        assert edited["default_model"]["source"] == "settings"
        status, undone = await call(house, "DELETE", "/admin/api/routing")
        assert undone["selection_strategy"]["value"] == "failover" and not (tmp_path / FILE).exists()


async def test_a_choice_whose_backend_is_gone_is_dropped(tmp_path: Path, service: ScriptedProcess) -> None:
    row = {"value": "gone/model", "instead_of": "", "backend": "gone"}
    (tmp_path / FILE).write_text(json.dumps({"chosen": {"default_model": row}}), encoding="utf-8")
    async with opened(tmp_path, service) as house:
        _, answer = await call(house, "GET", "/admin/api/routing")
        assert answer["default_model"] == {"value": "", "configured": "", "source": "default"}
        assert "gone" not in [choice["backend"] for choice in answer["asked"]]
    assert not (tmp_path / FILE).exists()


WRONG: tuple[tuple[object, str], ...] = (
    ({"default_model": "scriptet"}, "'scripted'"),
    ({"default_model": "x" * 3000}, "default_model"),
    ({"selection_strategy": "by_mood"}, "round_robin"),
    ({"default_model": 7}, "default_model"),
    ({"colour": "red"}, "colour"),
    ({}, "default_model"),
    ([], "object"),
)


async def test_what_is_wrong_is_told_and_changes_nothing(tmp_path: Path, service: ScriptedProcess) -> None:
    async with opened(tmp_path, service) as house:
        before = await call(house, "GET", "/admin/api/routing")
        for body, said in WRONG:
            status, answer = await call(house, "PUT", "/admin/api/routing", body)
            assert status == 400 and said in str(answer), answer
        assert await call(house, "GET", "/admin/api/routing") == before
    assert not (tmp_path / FILE).exists()


async def test_they_need_a_key(home: House) -> None:
    async with aiohttp.ClientSession(home.url) as stranger:
        for method, path in (("GET", "/admin/api/backends"), ("PUT", "/admin/api/routing")):
            async with stranger.request(method, path, json={"default_model": ""}) as answer:
                assert answer.status == 401
