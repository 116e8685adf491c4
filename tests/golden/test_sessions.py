"""Recorded sessions: each file in sessions/ must give the same actions again. A bug report is a file moved there."""

from __future__ import annotations

from pathlib import Path

import pytest

from voice.records.replay import Replay

SESSIONS = sorted((Path(__file__).parent / "sessions").glob("*.jsonl"))


def test_there_are_some() -> None:
    assert len(SESSIONS) >= 4


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_the_same_comes_of_it(path: Path) -> None:
    steps = 0
    with path.open(encoding="utf-8") as lines:
        for step in Replay(lines).steps():
            assert step.same, f"line {step.line}: {step.difference()}"
            steps += 1
    assert steps > 10
