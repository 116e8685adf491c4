"""The admin surface of the slots and its commands, on a real server with a real second model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.llm.slot_house import small_model
from tests.parley_process import ParleyProcess, running_parley

ENGINE = "[llm.engine]\nctx_size = 256\nparallel = 2\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ParleyProcess]:
    home = tmp_path_factory.mktemp("slots")
    (home / "models").mkdir()
    shutil.copyfile(small_model(), home / "models" / "tiny.gguf")
    with running_parley(home, config=f'[llm]\nmodel = "parley-mini"\n{ENGINE}') as server:
        yield server


def ask(server: ParleyProcess, path: str, body: object = None, key: str | None = None) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key}"} if key else server.headers
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.base_url + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def parley(server: ParleyProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PARLEY_HOME": str(server.home), "COLUMNS": "160"}
    command = [sys.executable, "-m", "web.main", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_the_slots_are_shown_with_the_voices_model_pinned(server: ParleyProcess) -> None:
    status, answer = ask(server, "/admin/api/slots")
    assert status == 200 and len(answer["slots"]) == 7
    first, second = answer["slots"][:2]
    assert (first["model"], first["status"], first["pinned"], first["type"]) == ("parley-mini", "ready", True, "text")
    assert first["port"] == server.slot_port_base and second["port"] == server.slot_port_base + 1
    assert (second["model"], second["status"]) == (None, "empty")
    assert answer["memory"]["total_bytes"] > answer["memory"]["available_bytes"] > 0
    _, health = ask(server, "/health")
    assert health["active_models"] == ["parley-mini"]


def test_what_is_on_this_machine(server: ParleyProcess) -> None:
    _, answer = ask(server, "/admin/api/models/local")
    rows = {row["name"]: row for row in answer["models"]}
    assert rows["parley-mini"]["bundled"] and rows["parley-mini"]["slot"] == 1
    assert (rows["tiny"]["format"], rows["tiny"]["bundled"]) == ("gguf", False)


def test_load_and_unload_by_the_commands(server: ParleyProcess) -> None:
    done = parley(server, "load-model", "tiny", "--slot", "3", "--ctx", "128")
    assert done.returncode == 0, done.stderr
    assert "tiny" in done.stdout and "ready" in done.stdout
    listed = parley(server, "list-loaded")
    assert listed.returncode == 0 and "parley-mini" in listed.stdout and "tiny" in listed.stdout
    row = json.loads(parley(server, "list-loaded", "--json").stdout)["slots"][2]
    assert (row["model"], row["context"], row["status"]) == ("tiny", 128, "ready")
    status, answer = ask(
        server,
        "/v1/chat/completions",
        {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3},
    )
    assert status == 200 and answer["model"] == "tiny"
    gone = parley(server, "unload-model", "tiny")
    assert gone.returncode == 0 and "slot 3: tiny" in gone.stdout
    again = parley(server, "unload-model", "nonsense")
    assert again.returncode == 2 and "no slot holds" in again.stderr


def test_a_stream_for_a_model_in_no_slot_loads_it(server: ParleyProcess) -> None:
    body = {"model": "tiny", "stream": True, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}
    request = urllib.request.Request(
        server.base_url + "/v1/chat/completions", json.dumps(body).encode(), server.headers
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        lines = [line for line in answer.read().decode().split("\n") if line]
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith(("data: ", ": ")) for line in lines)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/admin/api/slots/load", {"model_path": "no-such"}, 404, "model_not_found"),
        ("/admin/api/slots/load", {}, 400, "invalid_request"),
        ("/admin/api/slots/load", {"model_path": "tiny", "slot": 99}, 400, "invalid_request"),
        ("/admin/api/slots/load", {"model_path": "tiny", "slot": "two"}, 400, "invalid_request"),
        ("/admin/api/slots/load", {"model_path": "tiny", "model_type": "tts"}, 400, "invalid_request"),
        ("/admin/api/slots/load", {"model_path": "tiny", "colour": "red"}, 400, "invalid_request"),
        ("/admin/api/slots/load", {"model_path": "/etc/hostname"}, 400, "invalid_request"),
        ("/admin/api/slots/7/unload", {}, 400, "invalid_request"),
        ("/admin/api/slots/0/unload", {}, 400, "invalid_request"),
        ("/admin/api/slots/7/pin", {}, 400, "invalid_request"),
        ("/admin/api/slots/seven/unload", {}, 404, "not_found"),
    ],
)
def test_bad_orders_are_typed(server: ParleyProcess, path: str, body: object, status: int, code: str) -> None:
    got, answer = ask(server, path, body)
    assert (got, answer["error"]["code"]) == (status, code)


def test_it_needs_the_admin_key(server: ParleyProcess) -> None:
    for path, body in (("/admin/api/slots", None), ("/admin/api/slots/load", {"model_path": "tiny"})):
        assert ask(server, path, body, key="sk-wrong")[0] == 401


def test_fit_shows_the_sum(server: ParleyProcess) -> None:
    done = parley(server, "fit", "tiny", "--ctx", "128")
    assert done.returncode == 0 and "KV cache" in done.stdout and "It fits." in done.stdout
    path = str(server.home / "models" / "tiny.gguf")
    tight = parley(server, "fit", path, "--memory-mib", "16", "--kv-type", "q8_0")
    assert tight.returncode == 1 and "does not fit" in tight.stdout
    assert parley(server, "fit", "/etc/hostname").returncode == 2
    assert parley(server, "fit", "tiny", "--kv-type", "q9").returncode == 2
