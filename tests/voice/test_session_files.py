"""Kept sessions on the disk: what is no record goes, what cannot be read stays."""

from __future__ import annotations

from pathlib import Path

from voice.session.files import SessionFiles


def test_what_cannot_be_read_is_left(tmp_path: Path) -> None:
    (tmp_path / "unreadable.json").mkdir()
    (tmp_path / "nonsense.json").write_text('{"name": 1', encoding="utf-8")
    (tmp_path / "half.json.part").write_text("{", encoding="utf-8")
    assert SessionFiles(tmp_path).load() == {}
    assert [path.name for path in tmp_path.iterdir()] == ["unreadable.json"]
