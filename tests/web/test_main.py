"""The command line, as a person calls it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from models import catalog, telemetry
from tests import ports
from tests.scripted.process import ScriptedProcess
from web.main import main

ROOT = Path(__file__).resolve().parents[2]


def _parley(*arguments: str, home: Path, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    return subprocess.run(
        [sys.executable, "-m", "web.main", *arguments],
        cwd=ROOT,
        env={**environment, "PARLEY_HOME": str(home), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def _free_ports() -> dict[str, str]:
    """For the doctor, who finds fault with ports that another program on this machine has."""
    return {"PARLEY_PORT": str(ports.free_port()), "PARLEY_SLOT_PORT_BASE": str(ports.free_port_block(32))}


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    for command in ("up", "talk", "doctor", "keys", "link", "download-model"):
        assert re.search(rf"^    {command}\b", shown, re.MULTILINE)


@pytest.mark.parametrize("command", ["up", "talk", "doctor", "keys", "link", "download-model"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert "--port" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (["dcotor"], ["no command 'dcotor'", "`parley doctor`"]),
        (["serve"], ["no command 'serve'", "`parley up`"]),
        (["up", "--prot", "3"], ["parley up:", "'--prot'", "--port?", "`parley up --help`"]),
        (["bench", "nope"], ["parley bench:", "'nope'", "`parley bench --help`"]),
        (["fit"], ["parley fit:", "model", "`parley fit --help`"]),
        (["--nope"], ["'--nope'", "`parley --help`"]),
    ],
)
def test_a_mistake_is_told_with_what_was_probably_meant(
    mistake: list[str], told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(mistake)
    except SystemExit as left:
        assert isinstance(left.code, int)
        status = left.code
    shown = capsys.readouterr()
    assert status == 2 and not shown.out
    assert [part for part in told if part not in shown.err] == []
    assert shown.err.count("\n") == 2, "one sentence and one hint"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("parley 0.")


def test_keys_are_shown_once_and_change(tmp_path: Path) -> None:
    assert "none yet" in _parley("keys", home=tmp_path).stdout
    first = _parley("keys", "reset", home=tmp_path)
    second = _parley("keys", "reset", home=tmp_path)
    assert first.returncode == second.returncode == 0
    keys = [done.stdout.splitlines()[0] for done in (first, second)]
    assert keys[0] != keys[1] and all(key.startswith("sk-") for key in keys)
    shown = _parley("keys", home=tmp_path).stdout
    assert keys[1][:7] in shown and keys[1] not in shown


def test_a_wrong_configuration_is_a_sentence_and_no_trace(tmp_path: Path) -> None:
    (tmp_path / "parley.toml").write_text("[voice.turn]\nsilence = 3\n", encoding="utf-8")
    for command in (["up", "--no-browser"], ["talk", "--text", "hi"], ["keys"]):
        done = _parley(*command, home=tmp_path, PARLEY_CONFIG=str(tmp_path / "parley.toml"))
        assert done.returncode == 2
        assert "voice.turn.silence" in done.stderr and "silence_ms" in done.stderr
        assert "Traceback" not in done.stderr


def test_without_a_server_link_and_talk_say_so(tmp_path: Path) -> None:
    done = _parley("link", home=tmp_path)
    assert done.returncode == 2 and "parley up" in done.stderr
    done = _parley("talk", "--text", "hi", "--url", "http://127.0.0.1:9", home=tmp_path)
    assert done.returncode == 2 and "needs a key" in done.stderr and "parley up" not in done.stderr
    done = _parley("talk", "--text", "hi", "--url", "http://127.0.0.1:9", "--key", "sk-x-y-z-w", home=tmp_path)
    assert done.returncode == 2 and "does not answer" in done.stderr
    done = _parley("talk", "nothing.wav", home=tmp_path)
    assert done.returncode == 2 and "nothing.wav" in done.stderr
    assert not list(tmp_path.iterdir()), "nothing was started for a file that is not there"


def test_the_doctor_finds_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "broken.gguf").write_bytes(b"GGUF and then nonsense")
    done = _parley("doctor", home=tmp_path, PARLEY_PROT="4001")
    assert "Traceback" not in done.stderr
    assert "PARLEY_PROT" in done.stdout and "PARLEY_PORT" in done.stdout
    assert "broken.gguf" in done.stdout
    assert "hey jarvis" in done.stdout
    assert "llama.cpp (language models): 0." in done.stdout
    tables = ("[models]", "directories = ['/not/mounted']", "[llm]", "model = 'parley-mimi'")
    settings = "\n".join((*tables, "[voice.tts]", "model = 'nobody'", "[voice.stt]", "language = 'de'"))
    (tmp_path / "parley.toml").write_text(settings, encoding="utf-8")
    absent = _parley("doctor", home=tmp_path)
    assert absent.returncode == 1 and "/not/mounted" in absent.stdout
    assert "no model called 'parley-mimi'" in absent.stdout and "did you mean 'parley-mini'" in absent.stdout
    assert "the model 'nobody' is not in the store" in absent.stdout
    assert "it does not know 'de'" in absent.stdout
    assert "parley download-model --for stt --language de" in absent.stdout
    (tmp_path / "parley.toml").unlink()
    wrong = _parley("doctor", home=tmp_path, PARLEY_PORT="seven")
    assert wrong.returncode == 1 and "PARLEY_PORT" in wrong.stdout


@pytest.mark.parametrize(
    "command", [["keys", "reset"], ["add-server", "--name", "x", "--model", "m", "--url", "http://h"]]
)
def test_a_data_folder_that_is_a_file_is_a_sentence(tmp_path: Path, command: list[str]) -> None:
    home = tmp_path / "file"
    home.touch()
    done = _parley(*command, home=home)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert str(home) in done.stderr and "PARLEY_HOME" in done.stderr


def test_doctor_sees_what_would_stop_the_server(tmp_path: Path) -> None:
    (tmp_path / "servers.json").write_text("{nope", encoding="utf-8")
    done = _parley("doctor", home=tmp_path)
    assert done.returncode == 1 and "servers.json is not what add-server writes" in done.stdout


def test_doctor_asks_the_servers_that_are_named(
    tmp_path: Path, free_port: int, scripted_service: ScriptedProcess
) -> None:
    away = f"""
[[backends]]
name = "attic"
type = "ollama"
base_url = "http://me:a-password-1@127.0.0.1:{free_port}"
"""
    settings = scripted_service.parley_config().replace('"scripted/any"', '"scripted/nobody"')
    (tmp_path / "parley.toml").write_text(away + settings, encoding="utf-8")
    done = _parley("doctor", home=tmp_path)
    assert " warn  Backend attic: attic at http://" in done.stdout and "nobody listens there" in done.stdout
    assert "has no model 'nobody'" in done.stdout and done.returncode == 1
    assert "a-password-1" not in done.stdout + done.stderr
    found = settings.replace("nobody", "any")
    (tmp_path / "parley.toml").write_text(away + found, encoding="utf-8")
    well = _parley("doctor", home=tmp_path, **_free_ports())
    assert "  ok   Backend scripted: " in well.stdout and "answers, with" in well.stdout and well.returncode == 0


def test_an_address_of_another_machine_is_a_sentence(tmp_path: Path) -> None:
    done = _parley("up", "--no-browser", "--host", "192.0.2.1", home=tmp_path)
    assert done.returncode == 2 and "no such address" in done.stderr and "--host" in done.stderr


def test_names_of_the_catalogue_can_be_copied(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download-model", "--list"]) == 0
    shown = capsys.readouterr().out
    assert [entry.name for entry in catalog.entries() if f"{entry.name} " not in shown] == []


def test_bench_of_nobody_is_a_sentence(tmp_path: Path) -> None:
    done = _parley("bench", "--base-url", "http://me:a-password-1@127.0.0.1:9/v1", home=tmp_path)
    assert done.returncode == 2 and "--base-url" in done.stderr and not done.stdout
    assert "a-password-1" not in done.stderr


def test_no_library_reports_home(tmp_path: Path) -> None:
    """onnxruntime keeps what it is about to send in the user's cache, and a name for the machine. Its connections are
    its own: the guard of the tests does not see them."""
    environment = {name: value for name, value in os.environ.items() if name not in telemetry.OFF}
    cache = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / ".cache"), "PARLEY_HOME": str(tmp_path / "home")}
    environment |= cache | _free_ports()
    loaded = "from voice.vad.silero import SPEC; from voice.port import EngineConfig; SPEC.load(EngineConfig())"
    for command in (["-m", "web.main", "doctor"], ["-c", loaded]):
        subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert not [path for path in tmp_path.rglob("*") if "Microsoft" in path.name or "deviceid" in path.name]


def test_matrix_products_are_left_to_one_thread_before_numpy_is_loaded() -> None:
    script = "import os, sys; from web.main import main; main([])"
    script += "; print('numpy' in sys.modules, os.environ[sys.argv[1]])"
    name = "OPENBLAS_NUM_THREADS"
    for given, kept in ({}, "1"), ({name: "3"}, "3"):
        environment = {key: value for key, value in os.environ.items() if key != name} | given
        command = [sys.executable, "-c", script, name]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout.splitlines()[-1] == f"False {kept}", done.stderr
