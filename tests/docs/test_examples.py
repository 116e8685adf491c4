"""The Python examples of README.md and docs/ run as they stand, against a real server."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import wave
from pathlib import Path

import aiohttp
import pytest

from tests.architecture.source_tree import ROOT
from tests.bench.utterances import RATE_HZ, quiet, utterances
from tests.parley_process import ParleyProcess
from tests.scripted.process import ScriptedProcess
from tests.web.house import house

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
    assert set(EXAMPLES) == {
        *("endpoint", "engine", "protocol-codec", "protocol-endpoint"),
        *("openai-sdk", "python-client", "realtime", "websocket"),
    }


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("engine", "voice/tts/beep.py"),
        ("endpoint", "web/rest/hello.py"),
        ("protocol-codec", "voice/protocols/lines.py"),
        ("protocol-endpoint", "web/sockets/lines.py"),
    ],
)
def test_a_part_that_is_saved_as_the_page_says_passes_make_check(name: str, file: str) -> None:
    ours = 'lint.isort.known-first-party = ["models", "llm", "voice", "web"]'  # the other half is no file yet
    for command in (["check", "--config", ours], ["format", "--diff"]):
        ended = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "--stdin-filename", file, "-"],
            cwd=ROOT,
            input=EXAMPLES[name],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_engine_example_keeps_the_port_from_another_package(tmp_path: Path) -> None:
    """The smallest engine there can be does what every voice must do, and is found by its entry point."""
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "beep.py").write_text(EXAMPLES["engine"], encoding="utf-8")
    about = tmp_path / "my_package-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1\n", encoding="utf-8")
    (about / "entry_points.txt").write_text("[voice.tts]\nbeep = my_package.beep:SPEC\n", encoding="utf-8")
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/conformance/test_tts.py",
            "-k",
            "beep",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0 and " passed" in ended.stdout, ended.stdout[-4000:] + ended.stderr


async def test_endpoint_example(
    scripted_service: ScriptedProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "web.rest"
    folder.mkdir()
    (folder / "hello.py").write_text(EXAMPLES["endpoint"], encoding="utf-8")
    module = importlib.import_module("web.rest")
    monkeypatch.setattr(module, "__path__", [*module.__path__, str(folder)])
    try:
        async with house(tmp_path, scripted_service.parley_config()) as home:
            async with home.client.get("/v1/hello") as answer:
                assert answer.status == 200 and (await answer.json())["hello"]
            async with aiohttp.ClientSession(home.url) as nobody, nobody.get("/v1/hello") as answer:
                assert answer.status == 401
    finally:
        sys.modules.pop("web.rest.hello", None)


async def test_protocol_example(
    scripted_service: ScriptedProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both files in their folders, and the protocol is served."""
    scripted_service.reset()
    scripted_service.script(replies=["Good morning."])
    for package, name in (("voice.protocols", "protocol-codec"), ("web.sockets", "protocol-endpoint")):
        folder = tmp_path / package
        folder.mkdir()
        (folder / "lines.py").write_text(EXAMPLES[name], encoding="utf-8")
        module = importlib.import_module(package)
        monkeypatch.setattr(module, "__path__", [*module.__path__, str(folder)])
    try:
        async with house(tmp_path, scripted_service.parley_config()) as home:
            async with home.client.ws_connect("/v1/lines") as socket:
                await socket.send_str("hello")
                assert await socket.receive_str(timeout=60) == "Good morning."
                await socket.send_bytes(b"\0")
                assert (await socket.receive_str(timeout=60)).startswith("! this is no line of text")
            async with aiohttp.ClientSession(home.url) as nobody:
                with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
                    await nobody.ws_connect("/v1/lines")
    finally:
        for name in ("voice.protocols.lines", "web.sockets.lines"):
            sys.modules.pop(name, None)


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


@pytest.mark.parametrize("page", [*_PAGES, ROOT / "llm" / "DESIGN.md"], ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    """`voice/turn/machine.py`, `voice/ears/`: written with their folders, from the top."""
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:llm|voice|web|models|tests)/[\w/.-]*)`", text))
    saved = set(re.findall(r" as `([\w/.-]+)`", text))  # examples, which the reader is to write
    assert sorted(path for path in named - saved if not (ROOT / path).exists()) == []
