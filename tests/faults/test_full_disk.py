"""A disk that is full, and a data folder that cannot be: said in a line, no half file, the conversation goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.scripted.process import ScriptedProcess
from tests.web.house import house

resource = pytest.importorskip("resource")


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Writing past `size` bytes of a file fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("audio", [True, False])
async def test_a_recording_ends_and_the_conversation_does_not(
    tmp_path: Path, scripted_service: ScriptedProcess, audio: bool
) -> None:
    scripted_service.reset()
    scripted_service.script(first_token_ms=10, tokens_per_s=400, tts_delay_ms=10, replies=["Yes."])
    async with house(
        tmp_path, scripted_service.parley_config('[llm]\nmodel = "none"\n[voice.record]\nevents = true\n')
    ) as home:
        asked = {"record": audio, "llm_config": {"system_prompt": "" if audio else "Be brief. " * 300}}
        async with home.client.post("/v1/audio/live", json=asked) as response:
            url = (await response.json())["websocket_url"]
        with no_file_beyond(12_000 if audio else 3_000):
            async with home.client.ws_connect(url) as socket:
                for turn in range(2):
                    await socket.send_bytes(bytes(320_000))
                    await socket.send_json({"type": "end_turn", "transcript": f"question {turn}"})
                    while (await socket.receive_json(timeout=60))["type"] != "turn_complete":
                        pass
    found = list((tmp_path / "recordings").iterdir())
    assert bool(found) == audio and all(file.stat().st_size > 44 for file in found), found
    for file in found:
        if file.suffix == ".jsonl":
            for line in file.read_text(encoding="utf-8").splitlines():
                json.loads(line)


async def test_a_choice_that_cannot_be_kept_is_no_fault_of_the_request(tmp_path: Path) -> None:
    async with house(tmp_path, '[llm]\nmodel = "none"\n') as home:
        choice = {"selection_strategy": "least_busy"}
        with no_file_beyond(8):
            async with home.client.put("/admin/api/routing", json=choice) as response:
                error = (await response.json())["error"]
        assert (response.status, error["code"]) == (507, "disk_full") and "free some space" in error["hint"]
        async with home.client.get("/admin/api/routing") as response:
            assert (await response.json())["selection_strategy"]["source"] == "default"


@pytest.mark.skipif(sys.platform != "linux", reason="a folder in which nobody may make one")
def test_a_data_folder_that_cannot_be_is_said_in_a_line(tmp_path: Path) -> None:
    config = tmp_path / "parley.toml"
    config.touch()
    env = {**os.environ, "PARLEY_HOME": "/proc/parley", "PARLEY_PORT": "0", "PARLEY_CONFIG": str(config)}
    command = [sys.executable, "-c", "from web.main import main; raise SystemExit(main())", "up", "--no-browser"]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=200, check=False)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 2 and "Traceback" not in said
    assert "/proc/parley cannot be written" in said and "PARLEY_HOME" in said
