"""What is measured of slots and backends: sums, medians, bounds, and that it survives a restart."""

from __future__ import annotations

import json
from pathlib import Path

import anyio

from llm.measuring.statistics import KEPT_LATEST, KEPT_NAMES, Measuring
from llm.measuring.statistics_file import keep_statistics


def one(measuring: Measuring, *, at: float = 0.0, tokens: int = 11) -> None:
    """Waits half a second, its first token after one second, then ten tokens in two seconds."""
    request = measuring.begin("slots", "m", at)
    request.waits(at + 0.5)
    for number in range(tokens):
        request.piece(at + 1.0 + number * 0.2)
    request.finished(at + 3.0, 100, tokens, 90)
    request.cancelled()  # as a clean-up does: it has ended already


def test_one_request() -> None:
    measuring = Measuring()
    one(measuring)
    ((backend, model, figures),) = measuring.all()
    assert (backend, model) == ("slots", "m")
    summary = figures.summary()
    assert summary["time_to_first_token_s"] == {"median": 1.0, "p95": 1.0}
    assert summary["queue_wait_s"] == {"median": 0.5, "p95": 0.5}
    assert summary["tokens_per_s"] == {"median": 5.0, "p95": 5.0}
    assert (summary["requests"], summary["cancelled"], summary["running"]) == (1, 0, 0)
    assert (summary["prompt_tokens"], summary["cached_tokens"], summary["completion_tokens"]) == (100, 90, 11)


def test_an_answer_that_comes_whole_shows_no_first_token_and_the_speed_of_all_its_time() -> None:
    measuring = Measuring()
    request = measuring.begin("slots", "m", 0.0)
    request.waits(0.5)
    request.piece(2.5)
    request.finished(2.5, 100, 20, 0)
    ((_, _, figures),) = measuring.all()
    summary = figures.summary()
    assert summary["time_to_first_token_s"] is None
    assert summary["tokens_per_s"] == {"median": 10.0, "p95": 10.0}
    assert figures.totals.busy_s == 2.0


def test_pieces_that_come_together_are_not_taken_for_speed() -> None:
    """Of ten tokens six come at once, the others within two seconds."""
    measuring = Measuring()
    request = measuring.begin("slots", "m", 0.0)
    request.piece(1.0, 6)
    for at in (1.5, 2.0, 2.5, 3.0):
        request.piece(at)
    request.finished(3.0, 100, 10, 0)
    ((_, _, figures),) = measuring.all()
    assert figures.summary()["tokens_per_s"] == {"median": 2.0, "p95": 2.0}


def test_a_reply_that_comes_in_two_packets_tells_no_speed() -> None:
    measuring = Measuring()
    request = measuring.begin("slots", "m", 0.0)
    request.piece(1.0)
    request.piece(1.0005, 7)
    request.finished(1.0006, 100, 8, 0)
    ((_, _, figures),) = measuring.all()
    summary = figures.summary()
    assert summary["tokens_per_s"] is None and summary["time_to_first_token_s"] == {"median": 1.0, "p95": 1.0}


def test_every_end_counts_once() -> None:
    measuring = Measuring()
    for end in ("failed", "cancelled"):
        request = measuring.begin("b", "m", 0.0)
        request.failed("backend_failed") if end == "failed" else request.cancelled()
        request.cancelled()
        request.failed("again")
    ((_, _, figures),) = measuring.all()
    assert (figures.totals.requests, figures.totals.errors, figures.totals.cancelled) == (2, 1, 1)
    assert figures.last_error == "backend_failed" and figures.running == 0 and not figures.latest


def test_it_is_bounded() -> None:
    measuring = Measuring()
    busy = measuring.begin("busy", "m", 0.0)
    for number in range(KEPT_NAMES * 2):
        measuring.begin(f"b{number}", "m", 0.0).cancelled()
    for _ in range(KEPT_LATEST + 50):
        one(measuring)
    names = [backend for backend, _, _ in measuring.all()]
    assert len(names) == KEPT_NAMES and "busy" in names and "b0" not in names
    assert len(dict((name, figures) for name, _, figures in measuring.all())["slots"].latest) == KEPT_LATEST
    busy.cancelled()


def test_it_survives_a_restart_and_damage() -> None:
    measuring = Measuring()
    one(measuring)
    rows = json.loads(json.dumps(measuring.rows()))
    again = Measuring()
    again.restore([*rows, {"backend": "x"}, 5, None, {**rows[0], "latest": "no", "backend": "y"}])
    assert again.rows() == measuring.rows()
    again.restore("nonsense")


async def test_the_file_is_written_at_the_end_and_read_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "home" / "performance.json"
    first = Measuring()
    async with anyio.create_task_group() as group:
        await group.start(keep_statistics, first, path)
        one(first)
        group.cancel_scope.cancel()
    second = Measuring()
    async with anyio.create_task_group() as group:
        await group.start(keep_statistics, second, path)
        group.cancel_scope.cancel()
    assert second.rows() == first.rows() != []
    assert [file.name for file in path.parent.iterdir()] == ["performance.json"]
    path.write_text("{ half")
    third = Measuring()
    async with anyio.create_task_group() as group:
        await group.start(keep_statistics, third, path)
        group.cancel_scope.cancel()
    assert third.rows() == []
