"""`parley talk` as a process, against real servers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.bench.utterances import RATE_HZ, quiet, utterances
from tests.parley_process import ParleyProcess
from tests.ports import free_port, free_port_block
from tests.scripted.process import ScriptedProcess
from web.serving.runfile import RunFile

ROOT = Path(__file__).resolve().parents[3]
PARIS = "The capital of France is Paris."


@pytest.fixture
def service(scripted_service: ScriptedProcess) -> ScriptedProcess:
    scripted_service.reset()
    scripted_service.script(
        stt_delay_ms=10,
        first_token_ms=10,
        tokens_per_s=400,
        tts_delay_ms=10,
        replies=[PARIS],
        tts_ms_per_character=30,
    )
    return scripted_service


def _command(home: Path, *arguments: str, **env: str) -> dict[str, object]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    return {
        "args": [sys.executable, "-m", "web.main", "talk", *arguments],
        "cwd": ROOT,
        "env": {**environment, "PARLEY_HOME": str(home), **env},
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def _talk(home: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(**_command(home, *arguments, **env), timeout=250, check=False)  # type: ignore[call-overload, no-any-return]


def _write(path: Path, pcm: np.ndarray, rate_hz: int = RATE_HZ, channels: int = 1) -> str:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate_hz, 0, "NONE", ""))
        file.writeframes(np.repeat(pcm, channels).astype("<i2").tobytes())
    return str(path)


def test_clips_are_answered_and_the_answers_saved(
    scripted_parley: ParleyProcess, service: ScriptedProcess, tmp_path: Path
) -> None:
    first, second = utterances(2)
    clips = [
        _write(tmp_path / "one.wav", np.concatenate([quiet(0.2), first.pcm]), channels=2),
        _write(tmp_path / "two.wav", second.pcm),
    ]
    done = _talk(scripted_parley.home, *clips, "--save", str(tmp_path / "answer.wav"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("you     what is the capital of france") == 2
    assert done.stdout.count(f"parley  {PARIS}") == 2
    assert re.search(r"turn 1 +turn 2", done.stdout)
    for stage in ("transcript", "first token", "audio sent", "audio played"):  # words may be there before the end
        assert re.search(rf"^{stage} +-?\d+ +-?\d+", done.stdout, re.MULTILINE), done.stdout
    with wave.open(str(tmp_path / "answer.wav")) as file:
        seconds = file.getnframes() / file.getframerate()
        assert np.abs(np.frombuffer(file.readframes(file.getnframes()), "<i2")).max() > 1000
    assert seconds == pytest.approx(2 * len(PARIS) * 0.03, rel=0.1)


def test_typed_lines(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    done = _talk(scripted_parley.home, "--text", "what is the capital of france", "--text", "and again")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"parley  {PARIS}") == 2
    asked = [record["request"]["messages"] for record in service.requests("llm")]
    assert [message["content"] for message in asked[1][-3:]] == ["what is the capital of france", PARIS, "and again"]


def test_a_reader_that_goes_away_ends_it(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    """As `parley talk | head -1`."""
    with subprocess.Popen(
        **_command(scripted_parley.home, "--text", "what is the capital of france", "--text", "and again")  # type: ignore[call-overload]
    ) as talking:
        assert talking.stdout.readline()
        talking.stdout.close()
        error = talking.stderr.read()
        assert talking.wait(60) == 1
    assert "Traceback" not in error, error


def test_a_server_elsewhere_by_address_and_key(
    scripted_parley: ParleyProcess, service: ScriptedProcess, tmp_path: Path
) -> None:
    arguments = ["--text", "hello", "--url", f"{scripted_parley.ws_url}/v1/audio/live"]
    done = _talk(tmp_path, *arguments, "--key", scripted_parley.admin_key)
    assert done.returncode == 0 and PARIS in done.stdout
    done = _talk(tmp_path, *arguments, PARLEY_ADMIN_KEY=scripted_parley.admin_key)
    assert done.returncode == 0 and PARIS in done.stdout
    done = _talk(tmp_path, *arguments, "--key", "sk-wrong")
    assert done.returncode == 2 and "the key is not valid here" in done.stderr
    done = _talk(
        tmp_path, "--text", "hello",
        PARLEY_PORT=str(scripted_parley.port), PARLEY_ADMIN_KEY=scripted_parley.admin_key,
    )  # fmt: skip
    assert done.returncode == 0 and PARIS in done.stdout


def test_silence_is_not_answered_and_that_is_a_failure(
    scripted_parley: ParleyProcess, service: ScriptedProcess, tmp_path: Path
) -> None:
    done = _talk(scripted_parley.home, _write(tmp_path / "quiet.wav", quiet(0.5)), "--patience", "2")
    assert done.returncode == 1
    assert "no answer for 2 s" in done.stdout and "was there speech" in done.stdout
    assert not service.requests()


@pytest.mark.parametrize(("words", "shown"), [("", "(nothing)"), ("mm-hm", "mm-hm  (no request)")])
def test_what_is_no_request_is_told_and_not_waited_for(
    words: str, shown: str, scripted_parley: ParleyProcess, service: ScriptedProcess, tmp_path: Path
) -> None:
    service.script(transcripts=[words])
    done = _talk(scripted_parley.home, _write(tmp_path / "one.wav", utterances(1)[0].pcm), "--patience", "200")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"you     {shown}\n" in done.stdout and "no answer" not in done.stdout


def test_what_the_server_refuses_is_told(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    done = _talk(scripted_parley.home, "--text", "hello", "--model", "no-such-model")
    assert done.returncode == 2
    assert "no language model called 'no-such-model' can answer" in done.stderr and "Traceback" not in done.stderr


def test_a_voice_that_is_not_there_is_told_before_anything_is_said(parley_server: ParleyProcess) -> None:
    done = _talk(parley_server.home, "--text", "hello", "--voice", "nope")
    assert done.returncode == 2
    assert "'nope'" in done.stderr and "there is" in done.stderr and "en-us" in done.stderr, done.stderr
    assert "hello" not in done.stdout and "Traceback" not in done.stderr


def test_a_failing_model_is_told_and_is_a_failure(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    service.script(llm_fault={"kind": "error", "status": 500})
    done = _talk(scripted_parley.home, "--text", "hello", "--patience", "10")
    assert "the script says so" in done.stdout
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_in_order(scripted_parley: ParleyProcess, service: ScriptedProcess, tmp_path: Path) -> None:
    service.script(replies=[PARIS + " It is a long story." * 50])
    with subprocess.Popen(
        **_command(scripted_parley.home, "--text", "tell me", "--save", str(tmp_path / "part.wav"))  # type: ignore[call-overload]
    ) as talk:
        deadline = time.monotonic() + 60
        while not service.requests("tts") and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0)
        talk.send_signal(signal.SIGINT)
        said, errors = talk.communicate(timeout=60)
    assert talk.returncode == 130
    assert PARIS in said and "Traceback" not in errors
    with wave.open(str(tmp_path / "part.wav")) as file:
        assert 0.3 < file.getnframes() / file.getframerate() < 20


def test_without_a_server_one_is_started_and_ended(service: ScriptedProcess, tmp_path: Path) -> None:
    (tmp_path / "parley.toml").write_text(service.parley_config('[llm]\nmodel = "none"\n'), encoding="utf-8")
    env = {
        "PARLEY_PORT": str(free_port()),
        "PARLEY_SLOT_PORT_BASE": str(free_port_block()),
        "PARLEY_CONFIG": str(tmp_path / "parley.toml"),
    }
    before = {process.pid for process in psutil.process_iter()}
    done = _talk(tmp_path / "home", "--text", "hello", **env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "starting one" in done.stdout and PARIS in done.stdout
    assert RunFile(tmp_path / "home").read() is None
    left = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if process.pid not in before and str(tmp_path) in " ".join(process.info["cmdline"] or [])
    ]
    assert left == []


def test_a_server_that_cannot_start_is_told_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "parley.toml").write_text("[voice.stt]\nengine = 'piper'\n", encoding="utf-8")
    done = _talk(tmp_path / "home", "--text", "hello", "--config", str(tmp_path / "parley.toml"))
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_the_microphone_without_its_library_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise ImportError('not here')\n", encoding="utf-8")
    done = _talk(tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "sounddevice" in done.stderr and "parley-voice[mic]" in done.stderr and "Traceback" not in done.stderr
