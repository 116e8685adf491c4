"""How a bench module hands in its figures, and how they become docs/performance.md.

A bench module is a file `tests/bench/bench_NAME.py` with `def run(options: Options) -> Section`. `make bench` runs
all of them, one after the other, each in a process of its own; `make bench ARGS="slot ears"` runs these two.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["Bars", "Options", "Section", "Table", "commit", "machine", "milliseconds", "percentile"]

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class Options:
    """`quick`: enough to see that the bench works; its figures are not written down."""

    quick: bool = False
    turns: int = 24
    """Measured turns of the end-to-end benches."""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells are written as they are; the first column is left-aligned, the others right-aligned."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    title: str = ""

    def markdown(self) -> str:
        head = f"**{self.title}**\n\n" if self.title else ""
        lines = [self.columns, ("---", *("---:" for _ in self.columns[1:])), *self.rows]
        return head + "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar chart for the page: one bar a label, in the unit of the title."""

    title: str
    bars: tuple[tuple[str, float], ...]
    mark: float | None = None
    """A line across all bars, for example the silence that is waited for."""
    mark_label: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """What one bench found. `text` says in plain words what was measured and how."""

    title: str
    text: str
    tables: tuple[Table, ...]
    bars: Bars | None = None
    notes: tuple[str, ...] = field(default_factory=tuple)
    failures: tuple[str, ...] = ()
    """What must not happen and did; stands in the section, and the bench ends with an error."""

    def markdown(self, name: str, chart: str | None) -> str:
        parts = [f"## {self.title}\n", self.text.strip() + "\n", *(table.markdown() for table in self.tables)]
        if chart is not None:
            parts.append(f"![{self.title}]({chart})\n")
        if self.notes:
            parts.append("\n".join(f"- {note}" for note in self.notes) + "\n")
        parts += [f"**FAILED: {failure}**\n" for failure in self.failures]
        stamp = f"{datetime.now(UTC):%Y-%m-%d}, commit {commit()}"
        parts.append(f'<sub>{stamp}; {machine()}; again with `make bench ARGS="{name}"`</sub>\n')
        return "\n".join(parts)


def percentile(values: Iterable[float], percent: float) -> float:
    """With linear interpolation between the two nearest. Raises ValueError without values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def milliseconds(seconds: Sequence[float]) -> tuple[str, str, str, int]:
    """(p50, p95, worst, how many) of durations in seconds, as whole milliseconds."""
    return (
        f"{percentile(seconds, 50) * 1000:.0f}",
        f"{percentile(seconds, 95) * 1000:.0f}",
        f"{max(seconds) * 1000:.0f}",
        len(seconds),
    )


def machine() -> str:
    """One line: processor, cores, memory, system, Python."""
    return (
        f"{_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
