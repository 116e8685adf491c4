"""Kept sessions on the disk: what is no record goes, what cannot be read stays, and how long they are kept."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.whole_file import remove_half_files, write_whole
from tests.web.moved_clock import MovedClock
from voice.errors import SessionGone
from voice.session.config import SessionConfig
from voice.session.files import LiveRecord, SessionFiles
from voice.session.hub import Hub
from voice.session.work import SessionParts
from voice.settings import VoiceSettings


def test_what_cannot_be_read_is_left(tmp_path: Path) -> None:
    (tmp_path / "unreadable.json").mkdir()
    (tmp_path / "nonsense.json").write_text('{"name": 1', encoding="utf-8")
    (tmp_path / ".half.json.0a1b2c3d").write_text("{", encoding="utf-8")
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "notes.txt").write_text("somebody else's", encoding="utf-8")
    assert SessionFiles(tmp_path).load() == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lost+found", "notes.txt", "unreadable.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="it forks")
def test_what_a_killed_process_was_writing_goes(tmp_path: Path) -> None:
    started = os.fork()
    if not started:  # killed between the last byte and the name
        Path.replace = lambda *_: os._exit(0)  # type: ignore[method-assign,assignment]
        try:
            write_whole(tmp_path / "kept.json", "{}")
        finally:
            os._exit(1)
    os.waitpid(started, 0)
    assert len(list(tmp_path.iterdir())) == 1
    remove_half_files(tmp_path)
    assert not list(tmp_path.iterdir())


async def test_what_the_disk_does_not_take_is_written_when_there_is_room(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    folder = tmp_path / "live"
    files = SessionFiles(folder)
    files.load()
    files.put("ended", LiveRecord("s-0", "me", SessionConfig(), now, now))
    await files.flush()
    folder.rename(tmp_path / "away")
    folder.write_text("no folder", encoding="utf-8")
    files.put("kept", LiveRecord("s-1", "me", SessionConfig(), now, now))
    files.remove("ended")
    await files.flush()
    folder.unlink()
    (tmp_path / "away").rename(folder)
    files.put("later", LiveRecord("s-2", "me", SessionConfig(), now, now))
    await files.flush()
    assert sorted(path.stem for path in folder.iterdir()) == ["kept", "later"]


@pytest.mark.parametrize("set_by_s", [3600, -3600])
async def test_a_clock_that_is_set_ends_no_session_and_keeps_none_for_ever(tmp_path: Path, set_by_s: int) -> None:
    def parts() -> SessionParts:
        raise AssertionError("nobody connects")

    clock = MovedClock()
    hub, later = (Hub(VoiceSettings(), tmp_path, clock, parts) for _ in range(2))
    token, record = hub.create("me", SessionConfig())
    await hub.flush()
    clock.set_by_s = set_by_s
    assert hub.get(token) is record
    later.load()
    clock.seconds += record.config.ttl_minutes * 60 + 1
    for each in (hub, later):
        with pytest.raises(SessionGone):
            each.get(token)
