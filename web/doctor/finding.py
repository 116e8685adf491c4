"""What the doctor says about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Level", "worst"]

Level = Literal["ok", "warn", "fail"]
"""ok; works, and could be better; does not work."""

_ORDER: tuple[Level, ...] = ("ok", "warn", "fail")


@dataclass(frozen=True, slots=True)
class Finding:
    level: Level
    subject: str
    text: str
    next: str = ""
    """What to do about it; empty where nothing is to be done."""


def worst(findings: list[Finding]) -> Level:
    return max((finding.level for finding in findings), key=_ORDER.index, default="ok")
