"""Who may answer what, and in which order."""

from __future__ import annotations

import pytest

from llm.errors import UnknownModel
from llm.router import Candidate, Choice, route

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
