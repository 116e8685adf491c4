"""What is printed is shown as it is: brackets of settings, of prompts and of file names are no markup."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from rich.text import Text

import web
from models import catalog
from tests.parley_process import end_with_parent
from web.cli.fetching import offer
from web.stages import Stage
from web.terminal.console import PlainConsole
from web.terminal.welcome import Welcome


def test_brackets_and_colons_are_shown() -> None:
    shown = io.StringIO()
    console = PlainConsole(file=shown, width=80)
    console.print("[llm] model, [/tmp]/a.wav, :warning:")
    assert shown.getvalue() == "[llm] model, [/tmp]/a.wav, :warning:\n"


def test_what_would_steer_the_terminal_is_spelled_out() -> None:
    """A model's words, a file's or a server's: colours of our own stay."""
    shown = io.StringIO()
    console = PlainConsole(file=shown, width=80, force_terminal=True, color_system="standard")
    console.print(Text("red\x1b]0;title\x07 \x9b2J\u202e \ud800\r.", style="red"), "\u05e9\u200f 👩\u200d🔬\tä")
    assert "\x1b[31mred\\x1b]0;title" in shown.getvalue() and r"\x9b2J\u202e \ud800" in shown.getvalue()
    assert "\u05e9\u200f 👩\u200d🔬" in shown.getvalue() and "ä" in shown.getvalue()
    assert shown.getvalue().replace("\x1b[31m", "").replace("\x1b[0m", "").count("\x1b") == 0


def test_the_table_of_the_start_keeps_settings_and_commands_whole() -> None:
    shown = io.StringIO()
    welcome = Welcome(PlainConsole(file=shown, width=80, soft_wrap=True))
    command = "parley download-model --for stt"
    welcome.table((Stage("LLM", "none", False, "[llm] model names nothing", command),))
    assert "[llm]" in shown.getvalue() and command in shown.getvalue()


def test_the_question_says_what_enter_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs = pty.openpty()
    try:
        os.write(mine, b"\n")
        with os.fdopen(theirs, "r") as terminal:
            monkeypatch.setattr("sys.stdin", terminal)
            shown = io.StringIO()
            monkeypatch.setattr("sys.stdout", shown)
            assert offer(tmp_path, catalog.entries()[:1], ask=True) is False
    finally:
        os.close(mine)
    assert "? [y/N] " in shown.getvalue()


def test_ctrl_c_at_the_question_of_the_first_start_ends_it_and_is_no_answer(tmp_path: Path) -> None:
    mine, theirs = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as hub:
        home = {"PARLEY_HOME": str(tmp_path), "HF_ENDPOINT": f"http://127.0.0.1:{hub.getsockname()[1]}"}
        up = subprocess.Popen(
            [sys.executable, "-m", "web.main", "up", "--no-browser"],
            cwd=tmp_path,
            env=os.environ | home,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )
        os.close(theirs)
        try:
            shown = b""
            while b"[y/N]" not in shown:
                shown += os.read(mine, 4096)
            for _ in range(60):  # one that comes before the question is waited at is noticed only after an answer
                up.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    up.wait(1)
                    break
            assert up.returncode == 130
        finally:
            up.kill()
            up.wait()
            os.close(mine)
    assert not (tmp_path / "models" / ".offered").exists()


def test_nothing_prints_with_markup() -> None:
    for path in Path(web.__file__).parent.rglob("*.py"):
        if path.name != "terminal.py":
            assert not re.search(r"\bConsole\(", path.read_text(encoding="utf-8")), f"{path}: use PlainConsole"
