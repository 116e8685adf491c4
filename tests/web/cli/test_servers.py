"""add-server, list-servers, remove-server: kept over restarts, and used by the server that starts."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest

from llm.servers import FILE, Server, ServersFile
from models.errors import BadInput
from tests.llm.slot_house import small_model
from tests.scripted.process import ScriptedProcess
from tests.web.house import House, house
from web.main import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path))
    monkeypatch.delenv("PARLEY_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add(*flags: str) -> int:
    return main(["add-server", *flags])


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["list-servers", "--json"]) == 0
    servers: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["servers"]
    return servers


def test_all_flags_are_kept(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    model = home / "elsewhere.gguf"
    shutil.copyfile(small_model(), model)
    monkeypatch.setenv("OFFICE_KEY", "sk-secret")
    own = ("--mode", "self-hosted", "--model-path", str(model), "--backend", "llama-cpp", "--gpu-layers", "3")
    assert (
        add("--name", "mine", "--model", "little", *own, "--load-in-4bit", "--tensor-parallel", "2", "--ctx", "128")
        == 0
    )
    there = ("--url", "http://10.0.0.5:11434", "--type", "ollama", "--api-key-env", "OFFICE_KEY")
    assert add("--name", "office", "--model", "qwen3:4b", *there) == 0
    first, second = listed(capsys)
    assert (first["model_path"], first["mode"]) == (str(model), "self-hosted")
    wanted = {"engine": "llama_cpp", "n_gpu_layers": 3, "load_bits": 4, "tensor_parallel": 2, "ctx_size": 128}
    assert first["options"] == wanted
    assert (second["url"], second["type"], second["api_key"]) == ("http://10.0.0.5:11434", "ollama", "***")
    assert (home / FILE).stat().st_mode & 0o077 == 0 and "sk-secret" in (home / FILE).read_text()
    assert main(["list-servers"]) == 0
    shown = capsys.readouterr().out
    assert "office" in shown and "little" in shown and "sk-secret" not in shown
    assert main(["remove-server", "mine"]) == 0
    assert [server["name"] for server in listed(capsys)] == ["office"]


@pytest.mark.parametrize(
    "flags",
    [
        ("--name", "x", "--model", "m"),
        ("--name", "x", "--model", "m", "--url", "ftp://there"),
        ("--name", "x", "--model", "m", "--url", "http://there", "--type", "olama"),
        ("--name", "x", "--model", "m", "--url", "http://there", "--api-key-env", "NOT_SET_ANYWHERE"),
        ("--name", "a/b", "--model", "m", "--url", "http://there"),
        ("--name", "x", "--model", "m", "--mode", "self-hosted"),
        ("--name", "x", "--model", "m", "--mode", "self-hosted", "--load-in-4bit", "--load-in-8bit"),
        ("--name", "taken", "--model", "m", "--url", "http://there"),
    ],
)
def test_what_cannot_be_added(home: Path, flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    ServersFile(home).add(Server("taken", "m", "proxy", url="http://there"))
    before = (home / FILE).read_bytes()
    assert add(*flags) == 2 and capsys.readouterr().err
    assert (home / FILE).read_bytes() == before and sorted(os.listdir(home)) == [FILE]
    assert main(["remove-server", "nobody"]) == 2


def test_a_damaged_file_is_not_written_over(home: Path) -> None:
    (home / FILE).write_text('{"servers": [{"nam')
    for act in (lambda: ServersFile(home).add(Server("x", "m", "proxy")), lambda: ServersFile(home).remove("x")):
        with pytest.raises(BadInput, match="is not what add-server writes"):
            act()
    assert (home / FILE).read_text() == '{"servers": [{"nam'


async def ask(found: House, model: str) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 3}
    async with found.client.post("/v1/chat/completions", json=body) as answer:
        await answer.read()
        return answer.status


async def test_a_server_that_starts_has_them(home: Path, scripted_service: ScriptedProcess) -> None:
    model = home / "elsewhere.gguf"
    shutil.copyfile(small_model(), model)
    file = ServersFile(home)
    file.add(Server("mine", "little", "self-hosted", model_path=str(model), options={"ctx_size": 128}))
    file.add(Server("gone", "lost", "self-hosted", model_path=str(home / "nothing.gguf")))
    file.add(Server("office", "far", "proxy", "openai", scripted_service.base_url))
    async with house(home, '[llm]\nmodel = "none"\n') as found:
        with anyio.fail_after(60):
            while not found.services.pool.ready("elsewhere"):
                await anyio.sleep(0.02)
        (slot,) = found.services.pool.slots
        assert slot.plan.context == 128
        assert [await ask(found, name) for name in ("mine", "little", "office", "far", "lost")] == [200] * 4 + [404]
