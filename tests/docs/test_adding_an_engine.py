"""docs/adding-an-engine.md names every room whose files are found, and files to learn from that are there."""

from __future__ import annotations

import re

from tests.architecture.source_tree import ROOT

PAGE = (ROOT / "docs" / "adding-an-engine.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in row.strip("|").split("|")]
    for row in re.findall(r"^\|.*\|$", PAGE, re.MULTILINE)
    if "---" not in row
][1:]


def test_every_room_is_named() -> None:
    packages = {"web.rest", "web.sockets", "web.pages"}
    for top in ("models", "llm", "voice", "web"):
        for path in (ROOT / top).rglob("*.py"):
            packages |= set(re.findall(r"\bdiscover\(\"([\w.]+)\"\)", path.read_text(encoding="utf-8")))
    named = {folder for row in ROWS for folder in re.findall(r"`([\w/]+)/`", row[1])}
    assert {package.replace(".", "/") for package in packages} <= named


def test_the_files_to_learn_from_are_there() -> None:
    checked = 0
    for _, folders, _, shortest in ROWS:
        for name in re.findall(r"`(\w+\.py)`", shortest):
            assert any((ROOT / folder / name).is_file() for folder in re.findall(r"`([\w/]+)/`", folders)), name
            checked += 1
    assert checked >= 10
