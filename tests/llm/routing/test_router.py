"""Who may answer what, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llm.errors import UnknownModel
from llm.routing.abilities import Ability
from llm.routing.router import Candidate, Choice, route
from llm.routing.turns import KEPT, Turns

SLOT = Candidate("slot-1", "parley-mini", ("parley-mini",), True)
OLLAMA = Candidate("ollama", "", ("qwen:4b", "llama"), True, priority=5)
SPARE = Candidate("spare", "", ("qwen:4b",), True, priority=9)
DEAD = Candidate("dead", "", ("qwen:4b",), False, priority=99)
NEW = Candidate("new", "x", (), None)
ALL = (SLOT, OLLAMA, SPARE, DEAD, NEW)


@pytest.mark.parametrize("name", ["", "auto", "default"])
def test_no_name_is_the_configured_default(name: str) -> None:
    assert route(name, "ollama/llama", ALL) == (Choice("ollama", "llama"),)


def test_no_default_is_any_backend_by_preference() -> None:
    backends = [choice.backend for choice in route("", "", ALL)]
    assert backends == ["spare", "ollama", "slot-1", "new", "dead"]


def test_a_backend_by_name_keeps_the_model_as_written() -> None:
    assert route("ollama/hf.co/some/model:q4", "", ALL) == (Choice("ollama", "hf.co/some/model:q4"),)
    assert route("slot-1", "", ALL) == (Choice("slot-1", "parley-mini"),)


def test_a_model_goes_to_all_that_have_it_healthy_ones_first() -> None:
    assert [choice.backend for choice in route("qwen:4b", "", ALL)] == ["spare", "ollama", "dead"]


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(UnknownModel, match="parley-mini"):
        route("parley-mimi", "", ALL)


def test_thousands_of_names_are_not_compared_in_full() -> None:
    many = Candidate("cloud", "", tuple(f"org/model-{number:04d}-instruct" for number in range(3000)), True)
    with pytest.raises(UnknownModel, match="org/model-2999-instruct'"):
        route("org/model-2999-instrukt", "", (many,))


def test_nothing_to_choose_from() -> None:
    with pytest.raises(UnknownModel):
        route("", "", ())


# ---- what a request needs ----------------------------------------------------------------------------------------

SEES = Candidate("sees", "m", ("m",), True, able={"m": {"vision": True}})
BLIND = Candidate("blind", "m", ("m",), True, priority=9, able={"m": {"vision": False}})
WHO_KNOWS = Candidate("who-knows", "m", ("m",), True, priority=5)
IMAGE: frozenset[Ability] = frozenset(("vision",))


@pytest.mark.parametrize("aliases", [{}, {"m": "blind/m, who-knows/m, sees/m"}])
def test_those_known_to_be_able_go_first_and_those_known_not_to_be_not_at_all(aliases: dict[str, str]) -> None:
    everybody = (BLIND, WHO_KNOWS, SEES)
    found = route("m", "", everybody, needs=IMAGE, aliases=aliases)
    assert [choice.backend for choice in found] == ["sees", "who-knows"]
    plain = route("m", "", everybody, aliases=aliases)
    assert [choice.backend for choice in plain] == ["blind", "who-knows", "sees"]


def test_where_nobody_is_able_it_is_asked_all_the_same_and_says_so() -> None:
    assert route("blind/m", "", (BLIND, SEES), needs=IMAGE) == (Choice("blind", "m"),)
    assert route("m", "", (BLIND,), needs=IMAGE) == (Choice("blind", "m"),)


def test_one_that_is_away_goes_behind_one_of_whom_nobody_knows() -> None:
    away = replace(SEES, healthy=False)
    assert [choice.backend for choice in route("m", "", (away, WHO_KNOWS), needs=IMAGE)] == ["who-knows", "sees"]


def test_in_turn_are_those_that_have_the_model_and_can_do_what_is_needed() -> None:
    """Not those that have another one: one that stands behind many of them would get all their turns."""
    servers = [Candidate(name, "", ("m",) if name in "bd" else ("other",), True) for name in "abcde"]
    order = [route("m", "", servers, strategy="round_robin", turn=turn)[0].backend for turn in range(4)]
    assert order == ["b", "d", "b", "d"]
    seeing = [Candidate(n, "", ("m",), True, able={"m": {"vision": n != "b"}} if n in "abc" else {}) for n in "abcd"]
    needs: frozenset[Ability] = frozenset(("vision",))
    found = [route("m", "", seeing, strategy="round_robin", turn=turn, needs=needs) for turn in range(4)]
    assert ["".join(choice.backend for choice in one) for one in found] == ["acd", "cad", "acd", "cad"]
    aliased = [
        route("x", "", servers, strategy="round_robin", turn=turn, aliases={"x": "other, m"}) for turn in range(3)
    ]
    assert ["".join(choice.backend for choice in one) for one in aliased] == ["acebd", "ceadb", "eacbd"]


def test_turns_are_counted_by_the_name_that_is_asked_for() -> None:
    turns = Turns()
    for _ in range(3):
        turns.next("chat")
        turns.next("vectors")
    assert (turns.of("chat"), turns.of("vectors"), turns.of("new")) == (3, 3, 0)
    for number in range(KEPT):
        turns.next(f"{number}")
    assert turns.of("chat") == 0
