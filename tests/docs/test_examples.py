"""The Python examples of README.md and docs/ run as they stand, against a real server."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT
from tests.bench.utterances import RATE_HZ, quiet, utterances
from tests.parley_process import ParleyProcess
from voice.port import EngineConfig

_PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"```python\n# docs-example: (?P<name>[\w-]+)\n(?P<code>.*?)```", re.DOTALL)
EXAMPLES = {
    found["name"]: found["code"] for page in _PAGES for found in _BLOCK.finditer(page.read_text(encoding="utf-8"))
}


def _run(name: str, server: ParleyProcess, folder: Path, *arguments: str) -> str:
    """The output of an example, with the address and the key of a real server in place of the page's."""
    code = EXAMPLES[name].replace("http://127.0.0.1:4000", server.base_url).replace("sk-...", server.admin_key)
    script = folder / f"{name}.py"
    script.write_text(code, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests" / "network_guard")},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_every_example_has_a_test() -> None:
    assert set(EXAMPLES) == {"engine", "openai-sdk", "python-client", "realtime", "websocket"}


def test_engine_example(tmp_path: Path) -> None:
    """The smallest engine there can be is one, as discovery and a worker would use it."""
    path = tmp_path / "beep.py"
    path.write_text(EXAMPLES["engine"], encoding="utf-8")
    spec = importlib.util.spec_from_file_location("beep", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.SPEC.name == path.stem
    engine = module.SPEC.load(EngineConfig())
    chunks = list(engine.synthesize("one two", "default", 2.0, None))
    assert [len(chunk.pcm) for chunk in chunks] == [1600, 1600]
    assert chunks[0].rate_hz == engine.voices()[0].rate_hz


def test_openai_sdk_example(parley_server: ParleyProcess, tmp_path: Path) -> None:
    said = _run("openai-sdk", parley_server, tmp_path)
    assert len(said.split()) >= 2


def test_python_client_example(parley_server: ParleyProcess, tmp_path: Path) -> None:
    assert _run("python-client", parley_server, tmp_path).startswith("True True\n")


def test_websocket_example(parley_server: ParleyProcess, tmp_path: Path) -> None:
    [request] = utterances(1)
    with wave.open(str(tmp_path / "question.wav"), "wb") as clip:
        clip.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        clip.writeframes(quiet(0.5).tobytes() + request.pcm.tobytes())
    said = _run("websocket", parley_server, tmp_path, "question.wav", "answer.wav")
    assert re.search(r"^heard: \S+", said, re.MULTILINE)
    assert re.search(r"^said: +\S+", said, re.MULTILINE)
    with wave.open(str(tmp_path / "answer.wav")) as clip:
        assert clip.getnframes() > 24000 // 4


def test_realtime_example(parley_server: ParleyProcess, tmp_path: Path) -> None:
    assert re.search(r"\w", _run("realtime", parley_server, tmp_path))


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Links to files of the project; addresses elsewhere are not asked."""
    found = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in found if not (page.parent / link).exists()] == []
