"""Which backends may answer a request, and in which order. Pure.

A name is, in this order:
1. empty, "default" or "auto": the configured default; where that is empty too, any backend, by preference
2. an alias: what it stands for; several names with commas between them are tried in that order, those known to be
   away last
3. "backend/model": that backend and no other, the model as written (the backend may know models it does not list)
4. the name of a backend: that backend with its own default model
5. a model that one or more backends list: those
Preference: those whose breaker is closed, then healthy before unknown before unhealthy, then the configured priority
(higher first), then the strategy, then as configured. What a request needs besides text goes before these three.
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from llm.errors import UnknownModel
from llm.routing.abilities import Abilities, Ability

__all__ = ["ANY", "Candidate", "Choice", "Strategy", "route"]

_COMPARED = 32
ANY = ("", "default", "auto")

Strategy = Literal["failover", "round_robin", "least_busy", "lowest_latency"]
"""Between backends of the same priority: as configured, in turn, by requests in progress, by first-token time."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backend as the router sees it. `healthy` None: not known yet. `model` is what it answers with by default.

    `admitted`: its breaker lets requests pass. `busy`: requests in progress. `latency_s`: its first-token time of
    late, None where nobody knows: such a one is asked first, or nobody would ever know.
    """

    name: str
    model: str
    models: tuple[str, ...] = ()
    healthy: bool | None = None
    priority: int = 0
    admitted: bool = True
    busy: int = 0
    latency_s: float | None = None
    able: Mapping[str, Abilities] = field(default_factory=dict)
    """By model, what it is known to be able to besides text."""


@dataclass(frozen=True, slots=True)
class Choice:
    backend: str
    model: str


def route(
    name: str,
    default: str,
    candidates: Sequence[Candidate],
    *,
    strategy: Strategy = "failover",
    turn: int = 0,
    aliases: Mapping[str, str] | None = None,
    needs: frozenset[Ability] = frozenset(),
) -> tuple[Choice, ...]:
    """The choices for `name`, best first, at least one. `turn` counts its requests, for round_robin. Of those that
    are there, those come first that are known to do what the request `needs`, then those of whom nobody knows;
    those known not to are left out where there is another.

    Raises UnknownModel with the nearest name there is.
    """
    if name in ANY and default not in ANY:
        name = default  # 1
    known_aliases = aliases or {}
    if name in known_aliases:  # 2
        return _able(_of_alias(name, known_aliases[name], candidates, strategy, turn), candidates, needs)
    choices = _choices(name, _ranked(candidates, strategy))
    if choices:
        return tuple(_in_turn(_able(tuple(choices), candidates, needs), candidates, strategy, turn, needs))
    if name in ANY:
        raise UnknownModel("no backend is configured and no slot is loaded", hint="`parley doctor` says what to do")
    known = sorted({m for c in candidates for m in (*c.models, c.model, c.name) if m} | known_aliases.keys())
    near = difflib.get_close_matches(name, _alike(name, known), n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else "GET /v1/models lists the models"
    raise UnknownModel(f"the model {name[:200]!r} does not exist here", hint=hint, param="model")


def _alike(name: str, known: Sequence[str]) -> Sequence[str]:
    """Those with the most pairs of letters in common: to compare thousands in full would stop everything else."""
    if len(known) <= _COMPARED:
        return known
    pairs = {name[at : at + 2] for at in range(min(len(name), 200) - 1)}
    return heapq.nlargest(_COMPARED, known, key=lambda other: sum(pair in other for pair in pairs) - len(other) / 64)


def _of_alias(
    alias: str, stands_for: str, candidates: Sequence[Candidate], strategy: Strategy, turn: int
) -> tuple[Choice, ...]:
    ranked = _ranked(candidates, strategy)
    found: list[Choice] = []
    for name in (part.strip() for part in stands_for.split(",")):
        equals = _in_turn(_choices(name, ranked), candidates, strategy, turn)
        found += [choice for choice in equals if choice not in found]
    if not found:
        raise UnknownModel(
            f"{alias!r} stands for {stands_for[:200]!r}, which nobody has", hint="see [llm.aliases] of parley.toml"
        )
    away = {c.name: _away(c) for c in candidates}
    return tuple(sorted(found, key=lambda choice: away[choice.backend]))


def _away(candidate: Candidate) -> tuple[bool, bool]:
    return (not candidate.admitted, candidate.healthy is False)


def _able(
    choices: tuple[Choice, ...], candidates: Sequence[Candidate], needs: frozenset[Ability]
) -> tuple[Choice, ...]:
    if not needs or len(choices) < 2:
        return choices
    known = {candidate.name: candidate for candidate in candidates}
    unable = {choice: _unable(known[choice.backend], choice, needs) for choice in choices}
    left = [choice for choice in choices if unable[choice] < 2] or choices
    return tuple(sorted(left, key=lambda choice: (_away(known[choice.backend]), unable[choice])))


def _unable(candidate: Candidate, choice: Choice, needs: frozenset[Ability]) -> int:
    """0: able to all of it; 1: unknown; 2: known not to be."""
    able = candidate.able.get(choice.model, {})
    told = [able.get(need) for need in needs]
    return 2 if False in told else int(None in told)


def _in_turn(
    choices: Sequence[Choice],
    candidates: Sequence[Candidate],
    strategy: Strategy,
    turn: int,
    needs: frozenset[Ability] = frozenset(),
) -> list[Choice]:
    """Neighbours that are equally good begin with another one at each turn: of those that have the model only, or
    one of them would stand in for all that have it not.
    """
    if strategy != "round_robin":
        return list(choices)
    known = {candidate.name: candidate for candidate in candidates}
    found: list[Choice] = []
    for _, group in groupby(
        choices, key=lambda one: (_standing(known[one.backend]), _unable(known[one.backend], one, needs))
    ):
        equals = list(group)
        start = turn % len(equals)
        found += equals[start:] + equals[:start]
    return found


def _choices(name: str, ranked: Sequence[Candidate]) -> list[Choice]:
    if name in ANY:
        return [Choice(c.name, _own(c)) for c in ranked]
    backend, slash, model = name.partition("/")
    exact = [Choice(c.name, model) for c in ranked if slash and c.name == backend]  # 3
    named = [Choice(c.name, _own(c)) for c in ranked if c.name == name]  # 4
    listed = [Choice(c.name, name) for c in ranked if name in c.models or name == c.model]  # 5
    return exact or named or listed


def _ranked(candidates: Sequence[Candidate], strategy: Strategy) -> list[Candidate]:
    ranked: list[Candidate] = []
    for _, group in groupby(sorted(candidates, key=_standing), key=_standing):
        equals = list(group)
        match strategy:
            case "failover" | "round_robin":
                pass
            case "least_busy":
                equals.sort(key=lambda c: c.busy)
            case "lowest_latency":
                equals.sort(key=lambda c: c.latency_s or 0.0)
        ranked += equals
    return ranked


def _standing(candidate: Candidate) -> tuple[bool, int, int]:
    return (not candidate.admitted, {True: 0, None: 1, False: 2}[candidate.healthy], -candidate.priority)


def _own(candidate: Candidate) -> str:
    return candidate.model or (candidate.models[0] if candidate.models else "")
