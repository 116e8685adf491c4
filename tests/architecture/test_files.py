"""File size, file names, what lies at the top, and what must not stand in any file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT, modules, name_of, tracked

MOST_LINES = 600
LONG_LINES = 400
EXCUSE = "Why this file is long"
NO_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "misc"}
TOP_LEVEL = {
    ".ci", ".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "constraints.txt", "docs", "llm",
    "models", "pyproject.toml", "tests", "voice", "web",
}  # fmt: skip
TEXT = {".py", ".md", ".toml", ".txt", ".html", ".css", ".js", ".json", ".svg", ".sh", ""}

# Spelled in pieces, so that this file does not match itself.
HOSTS_AND_PATHS = re.compile(
    "|".join(
        (
            r"pypi\." + "org",
            "files" + r"\.pythonhosted",
            r"registry\." + "npmjs",
            r"deb\." + r"debian\.org",
            "test" + r"\.pypi",
            r"(?<![\w.<{}])/work" + "/",
            r"(?<![\w.<{}])/ro" + r"ot/\w",
            r"(?<![\w.<{}])/ho" + r"me/[a-z]\w*/",
        )
    )
)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_file_is_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n") + 1
    assert lines <= MOST_LINES, f"{lines} lines: split it"
    assert lines <= LONG_LINES or EXCUSE in text, f"{lines} lines: split it, or say '{EXCUSE}: ...' in it"


def test_names_say_what_is_inside() -> None:
    files = [path for path in tracked() if path.suffix == ".py"]
    assert files
    assert [name_of(path) for path in files if NO_NAMES & {path.stem, *path.relative_to(ROOT).parts[:-1]}] == []


def test_no_file_has_the_name_of_a_folder_beside_it() -> None:
    """Which of the two Python takes for the module depends on what was imported before."""
    files = [path for path in tracked() if path.suffix == ".py"]
    folders = {parent for path in files for parent in path.parents}
    assert [name_of(path) for path in files if path.with_suffix("") in folders] == []


def test_top_level_is_what_the_design_says() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= TOP_LEVEL


def test_no_registry_host_and_no_path_of_one_machine() -> None:
    guilty = []
    for path in tracked():
        if path.suffix not in TEXT or path.stat().st_size > 2**20:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if HOSTS_AND_PATHS.search(line):
                guilty.append(f"{name_of(path)}:{number}: {line.strip()[:100]}")
    assert guilty == []


def test_tests_are_namespaces() -> None:
    """An __init__.py in one test folder alone would hide `llm` or `voice` behind the tests of that name."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_packages_say_that_they_are_typed() -> None:
    assert [package for package in PACKAGES if not (ROOT / package / "py.typed").is_file()] == []


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_compiler_has_nothing_to_say(path: Path) -> None:
    compile(path.read_text(encoding="utf-8"), str(path), "exec")  # a SyntaxWarning is an error here
