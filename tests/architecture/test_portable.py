"""Every module can be imported where there is no POSIX: such imports stand inside functions, or are guarded."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
POSIX_ONLY = {"crypt", "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("models", "llm", "voice", "web")
    for path in (ROOT / package).rglob("*.py")
)


@pytest.mark.parametrize("module", MODULES)
def test_imports_of_a_module(module: str) -> None:
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    for node in tree.body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        bad = POSIX_ONLY & {name.partition(".")[0] for name in names}
        assert not bad, f"{module} imports {', '.join(bad)}, which Windows has not"
