"""The slots of a running server as a table on a terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from llm.slots.errors import mib

__all__ = ["slot_table"]


def slot_table(rows: list[dict[str, Any]]) -> Table:
    """`rows` as GET /admin/api/slots gives them."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("slot", "port", "model", "type", "status", "memory", "requests"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(
            str(row["slot"]),
            str(row["port"]),
            Text(row["model"] or "-"),
            row.get("type", ""),
            _status(row),
            _memory(row),
            f"{row['running']} running, {row['waiting']} waiting" if "running" in row else "",
            style="" if row["model"] else "dim",
        )
    return table


def _status(row: dict[str, Any]) -> str:
    status = str(row["status"])
    if status == "loading" and row.get("progress") is not None:
        status += f" {row['progress']:.0%}"
    return f"{status}, pinned" if row.get("pinned") else status


def _memory(row: dict[str, Any]) -> str:
    memory = row.get("memory")
    if not memory:
        return ""
    used, expected = memory["used_bytes"], memory["expected_bytes"]
    return mib(used) if used else f"about {mib(expected)}"
