"""Imports go down only, siblings do not know each other, and importing a package is cheap."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT

HEAVY = ("onnxruntime", "llama_cpp", "faster_whisper", "ctranslate2", "av", "torch", "piper", "pocketsphinx", "onnx")
LIGHT_ENTRIES = ("models", "llm", "voice", "web", "voice.stt", "voice.tts", "llm.engines", "llm.backends", "web.main")


def test_import_contracts_hold() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "KEPT" in found.stdout


@pytest.mark.parametrize("entry", LIGHT_ENTRIES)
def test_imports_are_light(entry: str) -> None:
    """Heavy libraries are loaded by the worker that needs them, inside load(), and by nobody else."""
    script = (
        "import importlib, pkgutil, sys\n"
        f"package = importlib.import_module({entry!r})\n"
        f"children = {entry!r} in ('voice.stt', 'voice.tts', 'llm.engines', 'llm.backends')\n"
        "for info in pkgutil.iter_modules(package.__path__) if children else ():\n"
        f"    importlib.import_module({entry!r} + '.' + info.name)\n"
        f"print(' '.join(name for name in {HEAVY!r} if name in sys.modules))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == []


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_ours(package: str) -> None:
    """`llm` and `web` are also names of other people's packages; the environment must hold ours."""
    module = importlib.import_module(package)
    assert module.__file__ == str(ROOT / package / "__init__.py")
