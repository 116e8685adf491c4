"""Dates that a schema's format asks for: those that are in the calendar, and no others."""

from __future__ import annotations

import re
from datetime import date

from llm.json_schema.prepare import prepared
from llm.json_schema.rules import SchemaRules

YEARS = (0, 1, 4, 10, 100, 200, 400, 1600, 1900, 1996, 1999, 2000, 2023, 2024, 2026, 2100, 9996, 9999)


def _regex_of(schema: dict[str, str]) -> re.Pattern[str]:
    """Of the grammar, whose rules do not call themselves."""
    rules = SchemaRules()
    root = rules.add(prepared(schema, "response_format"), "root")
    bodies = dict(line.split(" ::= ", 1) for line in rules.text().splitlines() if line)

    def written(body: str) -> str:
        parts = re.split(r'("(?:\\.|[^"\\])*"|\[[^\]]*\]|\{\d+\})', body)
        return "".join(_part(part) for part in parts)

    def _part(part: str) -> str:
        if part.startswith('"'):
            return re.escape(part[1:-1].replace('\\"', '"')).replace("\\ ", r"\x20")
        if part.startswith(("[", "{")):
            return part
        named = re.sub(r"[a-z][\w-]*", lambda name: f"(?:{written(bodies[name[0]])})", part) if part.strip() else ""
        return named.replace(" ", "")

    return re.compile(written(bodies[root]))


def _in_calendar(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def test_only_days_that_there_are() -> None:
    reads = _regex_of({"type": "string", "format": "date"})
    for year in YEARS:
        for month in range(14):
            for day in range(33):
                text = f'"{year:04}-{month:02}-{day:02}"'
                assert bool(reads.fullmatch(text)) == _in_calendar(year, month, day), text


def test_a_moment_is_such_a_day_with_a_time() -> None:
    reads = _regex_of({"type": "string", "format": "date-time"})
    assert reads.fullmatch('"2024-02-29T23:59:59.123+01:00"') and not reads.fullmatch('"2023-02-29T23:59:59Z"')
