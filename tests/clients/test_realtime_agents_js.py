"""The stock JavaScript realtime session of @openai/agents, unpatched, in Node against a real server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bench.utterances import RATE_HZ, quiet, utterances
from tests.parley_process import ParleyProcess
from tests.scripted.process import ScriptedProcess
from voice.resample import StreamResampler

FOLDER = Path(__file__).parent / "js"
STORY = "And then there was another one of them, long ago. " * 8


@pytest.fixture(autouse=True)
def _installed() -> None:
    if shutil.which("node") is None:
        pytest.skip("no node on this machine")
    if not (FOLDER / "node_modules" / "@openai" / "agents").is_dir():
        pytest.skip("the JavaScript clients are not installed (docs/testing.md)")


@pytest.fixture
def service(scripted_service: ScriptedProcess) -> ScriptedProcess:
    scripted_service.reset()
    scripted_service.script(
        replies=["It is Paris."],
        first_token_ms=20,
        tokens_per_s=400,
        stt_delay_ms=20,
        tts_delay_ms=20,
        tts_ms_per_character=60,
    )
    return scripted_service


def _run(server: ParleyProcess, scenario: str, pcm: Path | None = None) -> list[dict[str, Any]]:
    """What the client noted, one entry an event; the last one is its end."""
    url = f"{server.ws_url}/v1/realtime?model=gpt-realtime"
    ended = subprocess.run(
        ["node", str(FOLDER / "realtime.mjs"), url, scenario, *([str(pcm)] if pcm else [])],
        env={**os.environ, "PARLEY_KEY": server.admin_key, "OPENAI_AGENTS_DISABLE_TRACING": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    notes = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [note for note in notes if note["at"] == "error"] == []
    assert [note for note in notes if note.get("type") == "error"] == []
    assert notes[-1]["at"] == "end"
    return notes


def _said(path: Path) -> Path:
    [said] = utterances(1)
    samples = np.concatenate([quiet(0.3), said.pcm, quiet(1.0)]).astype(np.int16)
    path.write_bytes(StreamResampler(RATE_HZ, 24_000).process(samples, last=True).tobytes())
    return path


def _words(item: dict[str, Any]) -> str:
    [content] = item["content"]
    return str(content.get("transcript") or content.get("text"))


@pytest.mark.parametrize("scenario", ["text", "browser"])
def test_a_text_turn(scripted_parley: ParleyProcess, service: ScriptedProcess, scenario: str) -> None:
    """`browser`: the key among the subprotocols, as there are no headers."""
    end = _run(scripted_parley, scenario)[-1]
    assert [(item["role"], item["status"], _words(item)) for item in end["history"]] == [
        ("user", "completed", "hello there"),
        ("assistant", "completed", "It is Paris."),
    ]


def test_a_tool_call(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    service.script(tool_calls=[["lamp", '{"on": true}']], replies=["It is on."])
    notes = _run(scripted_parley, "tool")
    assert [note["on"] for note in notes if note["at"] == "tool"] == [True]
    items = notes[-1]["history"]
    assert [item["type"] for item in items] == ["message", "function_call", "message"]
    assert items[1]["output"] == "the lamp is on" and items[1]["status"] == "completed"
    assert _words(items[2]) == "It is on."
    told = service.requests("llm")[-1]["request"]["messages"]
    assert [message["role"] for message in told][-3:] == ["user", "assistant", "tool"]


def test_a_spoken_turn(scripted_parley: ParleyProcess, service: ScriptedProcess, tmp_path: Path) -> None:
    end = _run(scripted_parley, "spoken", _said(tmp_path / "said.pcm"))[-1]
    assert [(item["role"], _words(item)) for item in end["history"]] == [
        ("user", "what is the capital of france"),
        ("assistant", "It is Paris."),
    ]
    assert end["audioBytes"] / 48 == pytest.approx(len("It is Paris.") * 60, rel=0.1)


def test_with_the_parts_that_come_with_parley(parley_server: ParleyProcess, tmp_path: Path) -> None:
    end = _run(parley_server, "spoken", _said(tmp_path / "said.pcm"))[-1]
    assert [item["role"] for item in end["history"]] == ["user", "assistant"]
    assert all(_words(item) for item in end["history"])
    assert end["audioBytes"] > 24_000


def test_an_interruption(scripted_parley: ParleyProcess, service: ScriptedProcess, tmp_path: Path) -> None:
    """By speech, then the client's own truncate: both histories end with the same words."""
    service.script(replies=[STORY, "Fine."], transcripts=["wait, what time is it"])
    notes = _run(scripted_parley, "interrupt", _said(tmp_path / "said.pcm"))
    assert any(note["at"] == "audio_interrupted" for note in notes)
    events = [note for note in notes if note["at"] == "transport"]
    [cut] = [event for event in events if event["type"] == "conversation.item.truncated"]
    story = next(item for item in notes[-1]["history"] if item["itemId"] == cut["item_id"])
    assert STORY.startswith(_words(story)) and len(_words(story)) < len(STORY)
    told = service.requests("llm")[-1]["request"]["messages"]
    [heard] = [message["content"] for message in told if message["role"] == "assistant"]
    assert heard.removesuffix("[INTERRUPTED BY USER]").strip() == _words(story).strip()
