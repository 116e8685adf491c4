"""docs/http-api.md: its commands run as they stand, one after the other, and every endpoint under /v1 is on it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import wave
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT
from tests.parley_process import ParleyProcess

PAGE = (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="no curl or no bash here")
def test_the_commands_run(parley_server: ParleyProcess, tmp_path: Path) -> None:
    commands = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    script = "\n".join(commands).replace("http://127.0.0.1:4000", parley_server.base_url)
    script = script.replace("sk-...", parley_server.admin_key).replace(
        "curl ", "echo; curl --silent --show-error --fail "
    )
    ended = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    answers = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    assert answers[0]["choices"][0]["message"]["content"]
    assert "data: [DONE]" in ended.stdout
    assert answers[1]["voices"]
    assert answers[2]["text"], "what the synthesiser said is recognised"
    assert [vector["object"] for vector in answers[3]["data"]] == ["embedding"] * 2
    assert len(answers[4]["results"]) == 2
    with wave.open(str(tmp_path / "question.wav")) as clip:
        assert clip.getframerate() >= 16000


def test_every_endpoint_is_on_the_page() -> None:
    text = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("rest", "sockets")
        for path in (ROOT / "web" / folder).glob("*.py")
    )
    paths = {path.split("{")[0].rstrip("/") for path in re.findall(r"Route\(\s*\"(/v1/[^\"]+)\"", text)}
    assert "/v1/chat/completions" in paths
    told = set(re.findall(r"/v1/[\w/]+", PAGE)) | {"/v1/realtime"}
    missing = {path for path in paths if path not in told and not path.startswith("/v1/realtime/")}
    assert sorted(missing) == []
