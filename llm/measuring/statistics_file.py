"""The figures of slots and backends, kept over restarts in `{home}/performance.json`. Written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskStatus

from llm.measuring.statistics import Measuring
from models.whole_file import write_whole

__all__ = ["keep_statistics"]

EVERY_S = 30.0
VERSION = 1
MAX_BYTES = 16 << 20

log = structlog.get_logger(__name__)


async def keep_statistics(
    measuring: Measuring, path: Path, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Read the file, then write it while there is news, and once more at the end. Off the event loop."""
    measuring.restore(await anyio.to_thread.run_sync(_read, path))
    task_status.started()
    try:
        while True:
            await anyio.sleep(EVERY_S)
            await _save(measuring, path)
    finally:
        with anyio.CancelScope(shield=True):
            await _save(measuring, path)


async def _save(measuring: Measuring, path: Path) -> None:
    if measuring.changed:
        measuring.changed = False
        text = json.dumps({"version": VERSION, "rows": measuring.rows()})
        await anyio.to_thread.run_sync(_write, path, text)


def _read(path: Path) -> object:
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return body.get("rows") if isinstance(body, dict) and body.get("version") == VERSION else None


def _write(path: Path, text: str) -> None:
    """What cannot be written is lost without harm."""
    try:
        write_whole(path, text + "\n", durable=False)
    except OSError as error:
        log.warning("statistics.not_kept", reason=error.strerror)
