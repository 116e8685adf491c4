"""The data folder of a server."""

from __future__ import annotations

import os
from pathlib import Path

from web.serving.data_folder import claimed


def test_a_new_folder_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    """Who may write there could put another key in place of ours."""
    before = os.umask(0)
    try:
        with claimed(tmp_path / "home"):
            pass
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "home", tmp_path / "home" / "run")} == {0o700}
