"""`parley up` as a process: what it prints, how it ends, what it leaves."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.parley_process import end_with_parent
from tests.ports import free_port, free_port_block
from tests.scripted.process import ScriptedProcess
from web.keys import KeyFile
from web.serving.foreground import wants_browser
from web.serving.runfile import RunFile, RunningServer

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Up:
    process: subprocess.Popen[bytes]
    home: Path
    port: int
    log_path: Path

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def wait_ready(self, within_s: float = 60) -> dict[str, object]:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                    health = json.loads(answer.read())
                if health["status"] == "ok" and "/signin/" in self.log:
                    return dict(health)
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"not ready\n{self.log}")

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def session(self, key: str) -> str:
        """The path of a new one."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/audio/live",
            b"{}",
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return "/v1/audio/live/" + str(json.loads(answer.read())["session_token"])

    def get(self, path: str, key: str) -> int:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {key}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code


@contextmanager
def _up(
    home: Path, config: str, *arguments: str, port: int | None = None, stdout: int | None = None, **env: str
) -> Iterator[Up]:
    home.mkdir(exist_ok=True)
    (home / "parley.toml").write_text(config, encoding="utf-8")
    port = port or free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    log_path = home / "up.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "web.main", "up", "--no-browser", *arguments],
            cwd=ROOT,
            env={
                **environment,
                "PARLEY_HOME": str(home),
                "PARLEY_CONFIG": str(home / "parley.toml"),
                "PARLEY_PORT": str(port),
                "PARLEY_SLOT_PORT_BASE": str(free_port_block()),
                **env,
            },
            stdin=subprocess.DEVNULL,
            stdout=stdout or log,
            stderr=log,
            start_new_session=True,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )
    found = Up(process, home, port, log_path)
    try:
        yield found
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def config(scripted_service: ScriptedProcess) -> str:
    """Scripted recogniser and model, and a synthesiser in a worker process of its own."""
    return f"""
[[backends]]
name = "scripted"
type = "openai"
base_url = "{scripted_service.base_url}"
[voice.llm]
model = "scripted/any"
[voice.stt]
engine = "openai"
base_url = "{scripted_service.base_url}"
[voice.tts]
engine = "espeak"
[llm]
model = "none"
"""


def _gone(family: list[psutil.Process], within_s: float = 60.0) -> list[str]:
    """What is still there of these processes."""
    _, alive = psutil.wait_procs(family, timeout=within_s)
    left = [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    return [" ".join(process.cmdline()) for process in left]


def test_listening_for_other_machines_is_warned_of(tmp_path: Path) -> None:
    """On an address that no machine has (RFC 5737), so that no port is opened."""
    with _up(tmp_path, "", "--host", "192.0.2.1") as up:
        assert up.process.wait(60) == 2
        assert "other machines can reach it" in up.log and "reverse proxy" in up.log, up.log
        assert "cannot listen on 192.0.2.1" in up.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything(tmp_path: Path, config: str, number: signal.Signals) -> None:
    with _up(tmp_path / "home", config) as up:
        up.wait_ready()
        family = up.family()
        assert len(family) == 1, "the synthesiser"
        assert RunFile(up.home).read() is not None
        up.process.send_signal(number)
        assert up.process.wait(timeout=60) == 0
        assert _gone(family, 0.5) == []
        assert "Traceback" not in up.log and "Stopped." in up.log
        assert RunFile(up.home).read() is None


def test_a_signal_during_the_start_ends_everything(tmp_path: Path, config: str) -> None:
    with _up(tmp_path / "home", config) as up:
        deadline = time.monotonic() + 60
        while not (family := up.family()) and time.monotonic() < deadline:
            time.sleep(0.01)
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(timeout=60) == 0
        assert family and _gone(family, 0.5) == []
        assert "Traceback" not in up.log


def test_workers_end_with_a_server_that_is_killed(tmp_path: Path, config: str) -> None:
    with _up(tmp_path / "home", config) as up:
        up.wait_ready()
        family = up.family()
        up.process.kill()
        up.process.wait()
        assert family and _gone(family) == []
        assert RunFile(up.home).read() is None, "the file of a dead server is not believed"


def test_a_server_goes_on_though_nobody_reads_what_it_prints(tmp_path: Path, config: str) -> None:
    reading, writing = os.pipe()
    with _up(tmp_path / "home", config, stdout=writing) as up:
        os.close(writing)
        os.close(reading)
        deadline = time.monotonic() + 60
        while RunFile(up.home).read() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(timeout=60) == 0
        assert "Traceback" not in up.log


def test_the_server_of_a_command_that_is_killed_ends_in_order(tmp_path: Path, config: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "parley.toml").write_text(config, encoding="utf-8")
    ports = {"PARLEY_PORT": str(free_port()), "PARLEY_SLOT_PORT_BASE": str(free_port_block())}
    with subprocess.Popen(
        [sys.executable, "-m", "web.main", "talk", "--text", "hello", "--text", "hello"],
        cwd=ROOT,
        env={**os.environ, **ports, "PARLEY_HOME": str(home), "PARLEY_CONFIG": str(home / "parley.toml")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=end_with_parent if sys.platform == "linux" else None,
    ) as talk:
        deadline = time.monotonic() + 60
        while RunFile(home).read() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        family = psutil.Process(talk.pid).children(recursive=True)
        assert RunFile(home).read() is not None and family
        talk.kill()
        assert _gone(family) == []
    assert not (home / "run" / "server.json").exists()
    assert "Stopped." in (home / "run" / "up.log").read_text(encoding="utf-8")


def test_a_key_file_that_cannot_be_used_changes_nothing(tmp_path: Path, config: str) -> None:
    with _up(tmp_path / "home", config) as up:
        up.wait_ready()
        [key] = re.findall(r"\bsk-\S+", up.log)
        (up.home / "keys.json").write_text("", encoding="utf-8")
        deadline = time.monotonic() + 60
        while "keys.unusable" not in up.log and up.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "keys.unusable" in up.log and up.get("/v1/models", key) == 200
        fresh = KeyFile(up.home / "keys.json").reset()
        while up.get("/v1/models", fresh) != 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert up.get("/v1/models", fresh) == 200


def test_the_first_start_shows_a_key_and_the_second_does_not(tmp_path: Path, config: str) -> None:
    with _up(tmp_path / "home", config) as up:
        up.wait_ready()
        [key] = re.findall(r"\bsk-\S+", up.log)
        assert up.get("/v1/models", key) == 200
        assert up.get("/v1/models", "sk-other") == 401
        session = up.session(key)
        assert up.get(session, key) == 200
        for stage in ("VAD", "wake word", "STT", "LLM", "TTS"):
            assert re.search(rf"^{stage} ", up.log, re.MULTILINE)
        assert "scripted/any" in up.log and f"http://127.0.0.1:{up.port}" in up.log
        for path in (up.home / "keys.json", up.home / "run" / "server.json"):
            assert path.stat().st_mode & 0o077 == 0 and key not in path.read_text(encoding="utf-8")
        reset = subprocess.run(
            [sys.executable, "-m", "web.main", "keys", "reset"],
            cwd=ROOT,
            env={**os.environ, "PARLEY_HOME": str(up.home)},
            capture_output=True,
            text=True,
            timeout=200,
            check=True,
        )
        fresh = reset.stdout.splitlines()[0]
        deadline = time.monotonic() + 60
        while up.get("/v1/models", fresh) != 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert up.get("/v1/models", fresh) == 200 and up.get("/v1/models", key) == 401
        assert up.get(session, fresh) == 404, "it was opened with the old key"
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(timeout=60) == 0
        up.log_path.unlink()
    with _up(tmp_path / "home", config) as up:
        up.wait_ready()
        assert not re.findall(r"\bsk-\S+", up.log)
        assert up.get("/v1/models", fresh) == 200


def test_the_environments_key_is_the_admins_and_is_not_shown(tmp_path: Path, config: str) -> None:
    with _up(tmp_path / "home", config, PARLEY_ADMIN_KEY="sk-from-the-environment", PARLEY_PROT="1") as up:
        up.wait_ready()
        assert up.get("/v1/models", "sk-from-the-environment") == 200
        assert not re.findall(r"\bsk-\S+", up.log)
        assert "PARLEY_PROT" in up.log


def test_link_and_doctor_find_the_running_server(tmp_path: Path, config: str) -> None:
    with _up(tmp_path / "home", config) as up:
        up.wait_ready()
        said = {}
        for command in ("link", "doctor"):
            done = subprocess.run(
                [sys.executable, "-m", "web.main", command],
                cwd=ROOT,
                env={**os.environ, "PARLEY_HOME": str(up.home)},
                capture_output=True,
                text=True,
                timeout=200,
                check=True,
            )
            said[command] = done.stdout
        link = said["link"].strip()
        assert link.startswith(f"http://127.0.0.1:{up.port}/signin/")
        browser = http.client.HTTPConnection("127.0.0.1", up.port, timeout=5)
        browser.request("POST", link.removeprefix(f"http://127.0.0.1:{up.port}"))
        answer = browser.getresponse()
        assert (answer.status, answer.getheader("location")) == (303, "/live")
        browser.close()
        assert "Stage STT" in said["doctor"] and "says: ok" in said["doctor"]


def test_without_any_model_the_table_says_so_at_once(tmp_path: Path, scripted_service: ScriptedProcess) -> None:
    config = scripted_service.parley_config('[llm]\nmodel = "no-such-model"\n').replace('"scripted/any"', '""')
    config = config.replace('name = "scripted"', 'name = "scripted"\nenabled = false')
    with _up(tmp_path / "home", config) as up:
        deadline = time.monotonic() + 60
        while "/signin/" not in up.log and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "Not ready: LLM" in up.log and "no-such-model" in up.log
        assert up.get("/health", "sk-any") == 401
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(timeout=60) == 0


def test_a_signal_in_the_middle_of_a_conversation_ends_it(
    tmp_path: Path, config: str, scripted_service: ScriptedProcess
) -> None:
    scripted_service.reset()
    scripted_service.script(tokens_per_s=5, replies=["and so on " * 500])
    with _up(tmp_path / "home", config) as up:
        up.wait_ready()
        with subprocess.Popen(
            [sys.executable, "-m", "web.main", "talk", "--text", "tell me a story"],
            cwd=ROOT,
            env={**os.environ, "PARLEY_HOME": str(up.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as talk:
            deadline = time.monotonic() + 60
            while not scripted_service.requests("llm") and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(1.0)
            up.process.send_signal(signal.SIGTERM)
            assert up.process.wait(timeout=60) == 0
            said, errors = talk.communicate(timeout=60)
        assert talk.returncode == 2 and "1012" in errors, said + errors
        assert "Traceback" not in up.log + errors


def test_a_taken_port_is_a_sentence(tmp_path: Path, config: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with _up(tmp_path / "home", config, port=port) as up:
            assert up.process.wait(timeout=60) == 2
            assert str(port) in up.log and "--port" in up.log and "Traceback" not in up.log
            assert not (up.home / "keys.json").exists()


def test_a_second_start_says_that_it_runs_already(tmp_path: Path, config: str) -> None:
    with _up(tmp_path / "home", config, PARLEY_ADMIN_KEY="short") as up:
        up.wait_ready()
        assert "PARLEY_ADMIN_KEY is so short" in up.log
        with _up(tmp_path / "home", config, port=up.port) as again:
            assert again.process.wait(timeout=60) == 2
            assert "runs already" in again.log and "parley link" in again.log
        assert up.process.poll() is None and RunFile(up.home).read() is not None


def test_a_second_server_on_one_data_folder_is_refused_but_not_after_a_kill(tmp_path: Path, config: str) -> None:
    with _up(tmp_path / "home", config) as up:
        up.wait_ready()
        state = up.home / "states" / "of-the-first"
        state.parent.mkdir(exist_ok=True)
        state.touch()
        with _up(up.home, config) as second:
            assert second.process.wait(timeout=60) == 2
        assert f"another Parley runs at http://127.0.0.1:{up.port}" in up.log and "PARLEY_HOME" in up.log
        assert state.exists() and up.process.poll() is None
        family = psutil.Process(up.process.pid).children(recursive=True)
        up.process.kill()
        up.process.wait()
        assert _gone(family) == []
        with _up(up.home, config) as next_one:
            next_one.wait_ready()


def test_a_worker_port_that_is_taken_shows_in_the_health_and_does_not_stop_the_rest(
    tmp_path: Path, config: str
) -> None:
    base = free_port_block()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base + 21))
        taken.listen()
        with _up(tmp_path / "home", config, PARLEY_SLOT_PORT_BASE=str(base)) as up:
            deadline = time.monotonic() + 60
            parts: dict[str, bool] = {}
            while not parts.get("LLM") and time.monotonic() < deadline:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{up.port}/health", timeout=2) as answer:
                        health = json.loads(answer.read())
                    parts = {part["stage"]: part["ready"] for part in health["parts"]}
                except OSError:
                    pass
                time.sleep(0.1)
            assert parts == {"VAD": True, "wake word": True, "STT": True, "LLM": True, "TTS": False}
            assert health["status"] == "degraded"
            up.process.send_signal(signal.SIGTERM)
            assert up.process.wait(timeout=60) == 0


_STT = "[voice.stt]\nengine = 'openai'\nbase_url = 'http://127.0.0.1:1/v1'\n"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (_STT + "[voice.vad]\nengine = 'sileroo'\n", "sileroo"),
        ("[voice.stt]\nengine = 'piper'\n", "piper"),
        (_STT + "[voice.tts]\nengine = 'piperr'\n", "piperr"),
        ("[[backends]]\nname = 'x'\ntype = 'olama'\nbase_url = 'http://127.0.0.1:1'\n", "olama"),
    ],
)
def test_a_part_that_cannot_be_had_is_a_sentence(tmp_path: Path, config: str, said: str) -> None:
    with _up(tmp_path / "home", "[llm]\nmodel = 'none'\n" + config) as up:
        assert up.process.wait(timeout=60) == 2
        assert said in up.log and "parley: " in up.log and "Traceback" not in up.log


def test_a_browser_is_opened_only_where_somebody_sits() -> None:
    assert not wants_browser({"DISPLAY": ":0"}, is_terminal=False)
    assert not wants_browser({"DISPLAY": ":0", "SSH_CONNECTION": "x"}, is_terminal=True)
    assert not wants_browser({"DISPLAY": ":0", "CI": "true"}, is_terminal=True)
    if sys.platform == "linux":
        assert not wants_browser({}, is_terminal=True)
        assert wants_browser({"WAYLAND_DISPLAY": "wayland-0"}, is_terminal=True)


def test_a_run_file_is_removed_only_by_its_own_server(tmp_path: Path) -> None:
    file = RunFile(tmp_path)
    assert file.read() is None
    file.write(RunningServer("http://127.0.0.1:1", os.getppid(), "sk-x"))
    file.remove()
    assert file.read() == RunningServer("http://127.0.0.1:1", os.getppid(), "sk-x")
    file.write(RunningServer("http://127.0.0.1:2", os.getpid(), "sk-y"))
    assert "sk-y" not in repr(file.read())
    file.remove()
    assert file.read() is None
    file.path.write_text("nonsense", encoding="utf-8")
    assert file.read() is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process cannot be told from its successor")
def test_a_run_file_is_not_believed_of_a_later_process_with_its_number(tmp_path: Path) -> None:
    file = RunFile(tmp_path)
    file.write(RunningServer("http://127.0.0.1:1", os.getppid(), "sk-x"))
    fields = json.loads(file.path.read_text(encoding="utf-8"))
    assert file.read() is not None
    for machine, start in ((fields["process"].split()[0], "1"), ("another-boot", fields["process"].split()[1])):
        file.path.write_text(json.dumps({**fields, "process": f"{machine} {start}"}), encoding="utf-8")
        assert file.read() is None
