"""The catalogue: which models we recommend for a stage, a language and a machine. The data is catalog.toml."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from models.errors import ModelNotFound

__all__ = ["SET_KINDS", "Entry", "entries", "find", "recommend", "recommended_set"]

SET_KINDS = ("stt", "tts", "llm", "embedding", "vision")
"""What a whole assistant is made of, in the order in which it is missed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`files` empty: the whole repository. Sizes are estimates for choosing."""

    name: str
    kind: str
    repo: str
    languages: tuple[str, ...]
    size_mb: int
    ram_gib: float
    licence: str
    note: str
    files: tuple[str, ...] = ()

    def speaks(self, language: str) -> bool:
        return "*" in self.languages or language in self.languages


@cache
def entries() -> tuple[Entry, ...]:
    """All entries, as they stand in the file: for one kind the smaller first."""
    rows = tomllib.loads((Path(__file__).parent / "catalog.toml").read_text(encoding="utf-8"))["model"]
    return tuple(_entry(row) for row in rows)


def _entry(row: dict[str, Any]) -> Entry:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return Entry(**fields)


def find(name: str) -> Entry:
    """Raises ModelNotFound naming the nearest."""
    for entry in entries():
        if entry.name == name:
            return entry
    near = difflib.get_close_matches(name, [entry.name for entry in entries()], n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else "`parley download-model --list` shows the catalogue"
    raise ModelNotFound(f"the catalogue has no {name[:100]!r}", hint=hint)


def recommend(kind: str, language: str, ram_gib: float, among: Sequence[Entry] | None = None) -> Entry | None:
    """The largest model of a kind that speaks the language and suits a machine with this much memory."""
    fitting = [
        entry
        for entry in (entries() if among is None else among)
        if entry.kind == kind and entry.speaks(language) and entry.ram_gib <= ram_gib
    ]
    return max(fitting, key=lambda entry: entry.ram_gib, default=None)


def recommended_set(language: str, ram_gib: float, kinds: Sequence[str] = SET_KINDS) -> tuple[Entry, ...]:
    """What suits a machine that runs all of it: hearing, speaking and answering share the memory, and what is loaded
    on demand (vectors, images) takes turns with them.
    """
    chosen: list[Entry] = []
    for kind in kinds:
        share = ram_gib if kind in ("llm", "tts") else ram_gib / 2
        entry = recommend(kind, language, share)
        if entry is not None:
            chosen.append(entry)
    return tuple(chosen)
