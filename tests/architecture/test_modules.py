"""Every module says what it gives (`__all__`), and every part has a SPEC that discovery finds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from models.registry import discover
from tests.architecture.source_tree import ROOT, modules, name_of, tree_of

PART_FOLDERS = (
    "voice.stt",
    "voice.tts",
    "voice.vad",
    "voice.wake",
    "voice.codecs",
    "voice.tools",
    "llm.engines",
    "llm.backends",
)
OWN = [path for path in modules() if "recipes" not in path.parts and path.name not in ("__init__.py", "__main__.py")]


def _declared(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return [str(name) for name in ast.literal_eval(node.value)]
    return None


def _defined(tree: ast.Module) -> tuple[set[str], set[str]]:
    """(names of public functions and classes, every name that the module binds at its top level)"""
    public, bound = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
            if not node.name.startswith("_"):
                public.add(node.name)
    return public, bound


@pytest.mark.parametrize("path", OWN, ids=name_of)
def test_all_is_complete(path: Path) -> None:
    declared = _declared(tree_of(path))
    assert declared is not None, "no __all__"
    public, bound = _defined(tree_of(path))
    assert sorted(public - set(declared)) == [], "public and not in __all__: add it, or call it _name"
    assert sorted(set(declared) - bound) == [], "in __all__ and not there"


@pytest.mark.parametrize("path", OWN, ids=name_of)
def test_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path)), "no docstring at its top"


def _imports(tree: ast.Module) -> set[str]:
    """Full names of the modules (and of the names in them) that a file imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _folder(package: str) -> dict[str, Path]:
    return {
        f"{package}.{path.stem}": path
        for path in sorted((ROOT / package.replace(".", "/")).glob("*.py"))
        if path.stem != "__init__"
    }


def _is_part(path: Path) -> bool:
    return "SPEC" in _defined(tree_of(path))[1]


@pytest.mark.parametrize("package", PART_FOLDERS)
def test_parts_are_discovered_and_described(package: str) -> None:
    specs = discover(package)
    assert specs, f"{package} has no parts"
    files = {name.rsplit(".", 1)[1] for name, path in _folder(package).items() if _is_part(path)}
    assert set(specs) >= files, f"the name in a SPEC is the name of its file: {files - set(specs)}"
    for spec in specs.values():
        assert getattr(spec, "description", "described"), f"{package}.{spec.name} does not say what it is"


@pytest.mark.parametrize("package", PART_FOLDERS)
def test_parts_do_not_know_their_siblings(package: str) -> None:
    """So one can be added, or taken out, without touching another."""
    folder = _folder(package)
    parts = {name for name, path in folder.items() if _is_part(path)}
    knows = {name: sorted((parts - {name}) & _imports(tree_of(folder[name]))) for name in parts}
    assert {name: siblings for name, siblings in knows.items() if siblings} == {}


@pytest.mark.parametrize("package", PART_FOLDERS)
def test_a_file_among_parts_is_a_part_or_serves_one(package: str) -> None:
    """A file without a SPEC that nobody imports is a part that forgot it."""
    imported = set().union(*(_imports(tree_of(path)) for path in modules()))
    assert [name for name, path in _folder(package).items() if not _is_part(path) and name not in imported] == []


def test_every_room_is_on_the_plan() -> None:
    """docs/architecture.md names every folder of modules: a newcomer reads it to find where a thing belongs."""
    plan = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = {path.parent.relative_to(ROOT) for path in modules() if len(path.relative_to(ROOT).parts) == 3}
    assert len(rooms) > 20
    assert sorted(str(room) for room in rooms if f"`{room}/`" not in plan) == []


def test_tests_lie_in_a_folder_of_the_name_of_their_code() -> None:
    packages = ("models", "llm", "voice", "web")
    folders = {
        path.parent.relative_to(ROOT / "tests")
        for name in packages
        for path in (ROOT / "tests" / name).rglob("test_*.py")
    }
    assert len(folders) > 20
    assert sorted(str(folder) for folder in folders if not (ROOT / folder).is_dir()) == []
