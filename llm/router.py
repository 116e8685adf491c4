"""Which backends may answer a request, and in which order. Pure.

A name is, in this order:
1. empty, "default" or "auto": the configured default; where that is empty too, any backend, by preference
2. "backend/model": that backend and no other, the model as written (the backend may know models it does not list)
3. the name of a backend: that backend with its own default model
4. a model that one or more backends list: those
Preference: healthy before unknown before unhealthy, then the configured priority (higher first), then as configured.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from llm.errors import UnknownModel

__all__ = ["Candidate", "Choice", "route"]

ANY = ("", "default", "auto")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backend as the router sees it. `healthy` None: not known yet. `model` is what it answers with by default."""

    name: str
    model: str
    models: tuple[str, ...] = ()
    healthy: bool | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    backend: str
    model: str


def route(name: str, default: str, candidates: Sequence[Candidate]) -> tuple[Choice, ...]:
    """The choices for `name`, best first, at least one. Raises UnknownModel with the nearest name there is."""
    ranked = sorted(candidates, key=lambda c: ({True: 0, None: 1, False: 2}[c.healthy], -c.priority))
    if name in ANY and default not in ANY:
        name = default  # 1
    if name in ANY:
        choices = [Choice(c.name, _own(c)) for c in ranked]
        if not choices:
            raise UnknownModel(
                "no backend is configured and no slot is loaded", hint="`parley doctor` says what to do"
            )
        return tuple(choices)
    backend, slash, model = name.partition("/")
    exact = [Choice(c.name, model) for c in ranked if slash and c.name == backend]  # 2
    named = [Choice(c.name, _own(c)) for c in ranked if c.name == name]  # 3
    listed = [Choice(c.name, name) for c in ranked if name in c.models or name == c.model]  # 4
    if choices := exact or named or listed:
        return tuple(choices)
    known = sorted({m for c in candidates for m in (*c.models, c.model, c.name) if m})
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else "GET /v1/models lists what there is"
    raise UnknownModel(f"the model {name[:200]!r} does not exist here", hint=hint, param="model")


def _own(candidate: Candidate) -> str:
    return candidate.model or (candidate.models[0] if candidate.models else "")
