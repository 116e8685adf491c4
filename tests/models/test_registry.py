"""A part that cannot be loaded is told with its place; what is found else is found by everybody's tests."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models.errors import PartBroken
from models.registry import discover

_NUMBERS = itertools.count()
Package = Callable[..., str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """A package of the files that are given, under a name of its own: discovery looks once."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def make(**files: str) -> str:
        name = f"parts_of_a_test_{next(_NUMBERS)}"
        (tmp_path / name).mkdir()
        for part, text in {"__init__": "", **files}.items():
            (tmp_path / name / f"{part}.py").write_text(text, encoding="utf-8")
        made.append(name)
        return name

    yield make
    for module in [module for module in sys.modules if module.split(".")[0] in made]:
        del sys.modules[module]


_PART = "import types\nSPEC = types.SimpleNamespace(name='{}')\n"


def test_parts_are_found_and_other_files_are_left_alone(package: Package) -> None:
    name = package(b=_PART.format("b"), a=_PART.format("a"), shared="X = 1\n")
    assert list(discover(name)) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("X = 1\nSPEC = = 2\n", ["SyntaxError", "part.py:2"]),
        ("\n\nimport no_such_library_at_all\n", ["ModuleNotFoundError", "no_such_library_at_all", "part.py:3"]),
        ("SPEC = {}\n", ["the SPEC of", "has no name"]),
        (_PART.format("whole"), ["two parts", "'whole'"]),
    ],
)
def test_a_part_that_is_broken_is_told_with_its_place(package: Package, text: str, told: list[str]) -> None:
    name = package(part=text, whole=_PART.format("whole"))
    with pytest.raises(PartBroken) as broken:
        discover(name)
    assert [words for words in (*told, name) if words not in broken.value.message] == []
    assert broken.value.hint
