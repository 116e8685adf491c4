"""The admin surface of the slots and its commands, on a real server with a real second model."""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.llm.slot_house import small_model
from tests.parley_process import ParleyProcess, running_parley
from tests.speech_models import piper_mini, whisper_mini
from web.main import main

CONFIG = """
[llm]
model = "parley-mini"
[llm.engine]
ctx_size = 256
parallel = 2
[voice.stt]
engine = "pocketsphinx"
[voice.tts]
engine = "espeak"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ParleyProcess]:
    home = tmp_path_factory.mktemp("slots")
    (home / "models").mkdir()
    shutil.copyfile(small_model(), home / "models" / "tiny.gguf")
    shutil.copytree(whisper_mini(), home / "models" / "whisper-mini")
    shutil.copytree(piper_mini().parent, home / "models" / "piper")
    with running_parley(home, config=CONFIG) as server:
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


@dataclass(frozen=True, slots=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def parley(
    server: ParleyProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """A command in this process, as the server's owner would give it."""
    monkeypatch.setenv("PARLEY_HOME", str(server.home))
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str) -> Done:
        code = main(arguments)
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return run


def test_the_slots_are_shown_with_the_voices_model_pinned(server: ParleyProcess) -> None:
    status, answer = ask(server, "/admin/api/slots")
    assert status == 200 and len(answer["slots"]) == 7
    first, second = answer["slots"][:2]
    assert (first["model"], first["status"], first["pinned"], first["type"]) == ("parley-mini", "ready", True, "text")
    assert first["port"] == server.slot_port_base and second["port"] == server.slot_port_base + 1
    assert {slot["model"] for slot in answer["slots"] if slot["status"] == "empty"} == {None}
    assert answer["memory"]["total_bytes"] > answer["memory"]["available_bytes"] > 0
    _, health = ask(server, "/health")
    assert health["active_models"] == ["parley-mini"]


def test_what_is_on_this_machine(server: ParleyProcess) -> None:
    _, answer = ask(server, "/admin/api/models/local")
    rows = {row["name"]: row for row in answer["models"]}
    assert rows["parley-mini"]["bundled"] and rows["parley-mini"]["slot"] == 1
    assert (rows["tiny"]["format"], rows["tiny"]["bundled"]) == ("gguf", False)


def test_load_and_unload_by_the_commands(server: ParleyProcess, parley: Callable[..., Done]) -> None:
    done = parley("load-model", "tiny", "--slot", "3", "--ctx", "128")
    assert done.returncode == 0, done.stderr
    assert "tiny" in done.stdout and "ready" in done.stdout
    listed = parley("list-loaded")
    assert listed.returncode == 0 and "parley-mini" in listed.stdout and "tiny" in listed.stdout
    row = json.loads(parley("list-loaded", "--json").stdout)["slots"][2]
    assert (row["model"], row["context"], row["status"]) == ("tiny", 128, "ready")
    status, answer = ask(
        server,
        "/v1/chat/completions",
        {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3},
    )
    assert status == 200 and answer["model"] == "tiny"
    gone = parley("unload-model", "tiny")
    assert gone.returncode == 0 and "slot 3: tiny" in gone.stdout
    again = parley("unload-model", "nonsense")
    assert again.returncode == 2 and "no slot holds" in again.stderr


def test_a_restarted_slot_keeps_its_options(server: ParleyProcess) -> None:
    assert ask(server, "/admin/api/slots/load", {"model_path": "tiny", "slot": 3, "ctx_size": 192})[0] == 202
    before = wait_ready(server, 3)
    status, row = ask(server, "/admin/api/slots/3/restart", {})
    assert status == 202 and row["model"] == "tiny"
    with_new_worker = time.monotonic() + 60
    while (after := wait_ready(server, 3))["pid"] == before["pid"]:
        assert time.monotonic() < with_new_worker
    assert (after["model"], after["context"], after["pinned"]) == ("tiny", 192, before["pinned"])
    assert ask(server, "/admin/api/slots/3/restart", {"now": True})[0] == 400
    for what in ("restart", "pin", "unload"):
        status, refused = ask(server, f"/admin/api/slots/3/{what}", {"model": "parley-mini"})  # it was there before
        assert (status, refused["error"]["code"]) == (409, "slot_changed") and "tiny" in refused["error"]["message"]
    assert wait_ready(server, 3)["pid"] == after["pid"]
    assert ask(server, "/admin/api/slots/6/restart", {})[0] == 400
    assert ask(server, "/admin/api/slots/3/unload", {"model": "tiny"})[0] == 200


def test_the_answer_to_an_order_is_of_the_slot_it_is_for(server: ParleyProcess) -> None:
    order = {"model_path": "tiny", "slot": 3, "ctx_size": 128}
    assert ask(server, "/admin/api/slots/load", order)[0] == 202
    before = wait_ready(server, 3)
    status, row = ask(server, "/admin/api/slots/load", order)  # it is there
    assert (status, row["slot"], row["status"], row["pid"]) == (202, 3, "ready", before["pid"])
    status, row = ask(server, "/admin/api/slots/load", {"model_path": "tiny", "ctx_size": 192})
    assert (status, row["slot"], row["status"], row["context"]) == (202, 3, "waiting", 192)
    end_s = time.monotonic() + 60
    while wait_ready(server, 3)["context"] != 192:
        assert time.monotonic() < end_s
    status, row = ask(server, "/admin/api/slots/load", {**order, "slot": 4})
    assert (status, row["slot"]) == (202, 4)
    status, lost = ask(server, "/admin/api/slots/load", {"model_path": "parley-mini", "slot": 4})
    assert status == 202 and lost["order"] > row["order"]
    shown = ask(server, "/admin/api/slots")[1]["lost_orders"]
    # A machine that stood still in between has loaded the first one.
    assert [(one["order"], one["code"]) for one in shown] in ([(row["order"], "load_replaced")], [])
    wait_ready(server, 4)
    for number in (3, 4):
        assert ask(server, f"/admin/api/slots/{number}/unload", {})[0] == 200


def wait_ready(server: ParleyProcess, number: int) -> dict[str, Any]:
    """The slot's row when its model answers."""
    end_s = time.monotonic() + 60
    while True:
        row: dict[str, Any] = ask(server, "/admin/api/slots")[1]["slots"][number - 1]
        if row["status"] == "ready":
            return row
        assert time.monotonic() < end_s, row
        time.sleep(0.05)


def test_a_stream_for_a_model_in_no_slot_loads_it(server: ParleyProcess) -> None:
    body = {"model": "tiny", "stream": True, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}
    request = urllib.request.Request(
        server.base_url + "/v1/chat/completions", json.dumps(body).encode(), server.headers
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        lines = [line for line in answer.read().decode().split("\n") if line]
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith(("data: ", ": ")) for line in lines)


def test_recognisers_and_voices_are_models_of_slots(server: ParleyProcess) -> None:
    """Named by a request they are loaded; the live sessions' own pair is asked under every other name."""
    voice = next(row["name"] for row in ask(server, "/admin/api/models/local")[1]["models"] if row["type"] == "tts")
    for model, loaded in (("tts-1", False), ("espeak", False), (voice, True)):
        body = {"model": model, "input": "one two three", "response_format": "wav"}
        request = urllib.request.Request(
            server.base_url + "/v1/audio/speech", json.dumps(body).encode(), server.headers
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            wav = answer.read()
        assert wav[:4] == b"RIFF" and len(wav) > 8000
        assert any(row["model"] == voice for row in ask(server, "/admin/api/slots")[1]["slots"]) == loaded
    status, answer = transcribe(server, "whisper-mini", wav)
    assert status == 200 and "text" in answer
    types = {row["model"]: row["type"] for row in ask(server, "/admin/api/slots")[1]["slots"] if row["model"]}
    assert (types[voice], types["whisper-mini"], types["parley-mini"]) == ("tts", "audio", "text")


def transcribe(server: ParleyProcess, model: str, wav: bytes) -> tuple[int, dict[str, Any]]:
    mark = b"----parley"
    head = b'--%s\r\nContent-Disposition: form-data; name="model"\r\n\r\n%s\r\n' % (mark, model.encode())
    head += b'--%s\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' % mark
    headers = {**server.headers, "Content-Type": "multipart/form-data; boundary=" + mark.decode()}
    data = head + wav + b"\r\n--" + mark + b"--\r\n"
    request = urllib.request.Request(server.base_url + "/v1/audio/transcriptions", data, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.status, json.loads(answer.read())


def test_vectors_and_ranks_come_from_a_slot(server: ParleyProcess) -> None:
    status, answer = ask(server, "/v1/embeddings", {"input": ["hello there", "goodbye"], "encoding_format": "float"})
    assert status == 200 and answer["model"] == "parley-mini" and len(answer["data"]) == 2
    assert len(answer["data"][0]["embedding"]) == 256 and answer["usage"]["prompt_tokens"] > 0
    status, answer = ask(
        server, "/v1/rerank", {"model": "parley-mini", "query": "lamp", "documents": ["lamp", "sea"]}
    )
    assert status == 200 and [row["index"] for row in answer["results"]] == [0, 1]
    for body, code in (({"input": []}, 400), ({"input": "x", "model": "no-such"}, 404), ({"input": "x" * 9000}, 400)):
        assert ask(server, "/v1/embeddings", body)[0] == code


def test_the_public_list_tells_what_is_loaded(server: ParleyProcess) -> None:
    rows = {row["id"]: row for row in ask(server, "/api/models")[1]["models"]}
    assert rows["parley-mini"] == {"id": "parley-mini", "type": "text", "status": "ready"}
    assert rows["tiny"]["status"] in ("available", "ready")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/admin/api/slots/load", {"model_path": "no-such"}, 404, "model_not_found"),
        ("/admin/api/slots/load", {}, 400, "invalid_request"),
        ("/admin/api/slots/load", {"model_path": "tiny", "slot": 99}, 400, "invalid_request"),
        ("/admin/api/slots/load", {"model_path": "tiny", "slot": "two"}, 400, "invalid_request"),
        ("/admin/api/slots/load", {"model_path": "tiny", "model_type": "tts"}, 400, "invalid_request"),
        ("/admin/api/slots/load", {"model_path": "tiny", "colour": "red"}, 400, "invalid_request"),
        ("/admin/api/slots/load", {"model_path": "tiny", "chat_template": "/etc/passwd"}, 400, "invalid_request"),
        ("/admin/api/slots/load", {"model_path": "tiny", "threads": 100000}, 400, "invalid_request"),
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


def test_one_who_asks_once_does_not_wait_behind_all_of_one_who_asks_much(server: ParleyProcess) -> None:
    over: list[str] = []

    def complete(user: str, tokens: int) -> None:
        status, _ = ask(
            server,
            "/v1/chat/completions",
            {
                "model": "parley-mini",
                "messages": [{"role": "user", "content": f"hello from {user} for {tokens}"}],
                "max_tokens": tokens,
                "ignore_eos": True,
                "user": user,
            },
        )
        assert status == 200
        over.append(user)

    with ThreadPoolExecutor(12) as threads:
        asked = [threads.submit(complete, "many", 120 + number) for number in range(10)]
        while ask(server, "/admin/api/slots")[1]["slots"][0].get("waiting", 0) < 3 and len(over) < 5:
            time.sleep(0.01)
        before = len(over)
        asked.append(threads.submit(complete, "few", 2))
        for one in asked:
            one.result()
    assert over.index("few") <= before + 4 < 10


def test_it_needs_the_admin_key(server: ParleyProcess) -> None:
    for path, body in (("/admin/api/slots", None), ("/admin/api/slots/load", {"model_path": "tiny"})):
        assert ask(server, path, body, key="sk-wrong")[0] == 401


def test_fit_shows_the_sum(server: ParleyProcess, parley: Callable[..., Done]) -> None:
    done = parley("fit", "tiny", "--ctx", "128")
    assert done.returncode == 0 and "KV cache" in done.stdout and "It fits." in done.stdout
    path = str(server.home / "models" / "tiny.gguf")
    tight = parley("fit", path, "--memory-mib", "16", "--kv-type", "q8_0")
    assert tight.returncode == 1 and "does not fit" in tight.stdout
    assert parley("fit", "/etc/hostname").returncode == 2
    assert parley("fit", "tiny", "--kv-type", "q9").returncode == 2
