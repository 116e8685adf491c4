"""What the structure tests read: our files, as text and as syntax trees. They import nothing of what they check."""

from __future__ import annotations

import ast
import subprocess
import warnings
from functools import cache
from pathlib import Path

__all__ = ["PACKAGES", "ROOT", "modules", "name_of", "tracked", "tree_of"]

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("models", "llm", "voice", "web")


@cache
def modules() -> tuple[Path, ...]:
    """Every Python file of the four packages, the recipes too."""
    return tuple(sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")))


def name_of(path: Path) -> str:
    """`voice/turn/machine.py` for a file of the project; also good as a test id."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree; what the compiler warns of is reported by one test of its own, not by every reader."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def tracked() -> tuple[Path, ...]:
    """The files that git knows, or all that are not ignored when this is no checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if not any(part.startswith(".v") for part in path.parts)]
    return tuple(path for path in found if path.is_file())
