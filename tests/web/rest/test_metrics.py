"""GET /metrics: who may read it, and that it tells of a real turn."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.scripted.process import ScriptedProcess
from tests.web.house import House, house
from tests.web.sockets.test_live import _open, _until


async def test_a_turn_shows_up_for_an_admin_and_for_nobody_else(home: House, service: ScriptedProcess) -> None:
    service.script(replies=["Yes."])
    opened = await _open(home)
    async with home.client.ws_connect(opened["websocket_url"]) as socket:
        await socket.send_json({"type": "end_turn", "transcript": "a secret of mine"})
        await _until(socket, "turn_complete")
        await socket.send_json({"type": "dance"})
        await _until(socket, "error")
        async with home.client.get("/metrics") as response:
            assert response.status == 200
            assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
            text = await response.text()
        async with home.client.get("/admin/api/turns?limit=5") as response:
            kept = await response.text()
            ledger = json.loads(kept)
        for wrong in ("0", "201", "x"):
            async with home.client.get("/admin/api/turns", params={"limit": wrong}) as response:
                assert response.status == 400
    assert ledger["total"] == 1 and ledger["turns"][0]["status"] == "completed"
    assert ledger["turns"][0]["first_sound_ms"] == ledger["stages"]["first_sound"]["median_ms"] > 0
    assert "secret" not in kept and "Yes" not in kept and opened["session_token"] not in kept
    families = {family.name: family for family in text_string_to_metric_families(text)}
    value = {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families.values() for s in f.samples}
    assert value["parley_turns_total", (("status", "completed"),)] == 1
    assert value["parley_session_errors_total", (("code", "invalid_message"),)] == 1
    assert value["parley_sessions_connected", ()] == 1
    assert value["parley_turn_stage_seconds_count", (("stage", "first_audio_sent"),)] == 1
    assert "secret" not in text and opened["session_token"] not in text
    for path in ("/metrics", "/admin/api/turns", "/admin/api/models/catalog"):
        async with aiohttp.ClientSession(home.url) as stranger, stranger.get(path) as response:
            assert response.status == 401


@pytest.mark.parametrize(("access", "status"), [("open", 200), ("off", 404)])
async def test_access_is_a_setting(tmp_path: Path, service: ScriptedProcess, access: str, status: int) -> None:
    config = f'[server]\nmetrics = "{access}"\n' + service.parley_config('[llm]\nmodel = "none"\n')
    async with house(tmp_path, config) as home, aiohttp.ClientSession(home.url) as stranger:
        async with stranger.get("/metrics") as response:
            assert response.status == status
