"""A file that is there whole or not at all, and for its owner alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.whole_file import write_whole


@pytest.mark.parametrize("durable", [True, False])
def test_it_is_there_and_nothing_beside_it(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "new" / "file.json"
    for text in ("first", "sécond"):
        write_whole(path, text, durable=durable)
        assert path.read_text(encoding="utf-8") == text
    assert [each.name for each in path.parent.iterdir()] == ["file.json"]
    assert path.stat().st_mode & 0o077 == 0


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_whole(path, "first")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")
    assert path.read_text(encoding="utf-8") == "first"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_whole(tmp_path / "folder", "text")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file.json", "folder"]
