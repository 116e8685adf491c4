"""A backend that fails is left alone, longer each time; one that asked for a pause gets it."""

from __future__ import annotations

import anyio
import pytest

from llm.errors import BackendFailed, LlmError, UnknownModel
from llm.routing import breaker
from llm.routing.backend_record import BackendRecord
from llm.routing.breaker import Breaker
from llm.routing.breakers import KEPT_MODELS, Breakers
from llm.routing.router import Candidate, Choice, route
from models.clock import Clock
from tests.scripted import virtual_time


def _broken(times: int, now_s: float = 0.0, **why: bool) -> Breaker:
    found = Breaker()
    for _ in range(times):
        found = breaker.failed(found, now_s, **why)
    return found


def test_two_failures_are_no_pattern_and_three_are() -> None:
    assert breaker.admits(_broken(2), 0.0)
    assert not breaker.admits(_broken(3), 0.0)
    assert breaker.waits(_broken(3), 0.5) == 1.5


def test_it_is_left_alone_longer_each_time_but_not_for_ever() -> None:
    pauses = [breaker.waits(_broken(times), 0.0) for times in range(3, 12)]
    assert pauses == sorted(pauses) and pauses[0] == 2.0 and pauses[-1] == breaker.LONGEST_S


def test_then_one_request_tries_and_decides() -> None:
    trial = breaker.tried(_broken(3), 2.0)
    assert breaker.admits(_broken(3), 2.0) and not breaker.admits(trial, 2.1)
    assert breaker.admits(trial, 2.0 + breaker.TRIAL_S)
    assert breaker.succeeded(trial) == Breaker()
    assert not breaker.admits(breaker.failed(trial, 3.0), 6.9)


def test_a_pause_that_was_asked_for_is_no_failure() -> None:
    cooling = breaker.failed(Breaker(), 10.0, retry_after_s=7)
    assert (cooling.failures, breaker.waits(cooling, 12.0)) == (0, 5.0)


def test_a_server_that_is_back_is_tried_at_once() -> None:
    assert breaker.admits(breaker.probed(_broken(3, unreachable=True), 0.1), 0.1)
    assert not breaker.admits(breaker.probed(_broken(3), 0.1), 0.1)


def test_one_long_silence_is_enough_and_what_it_says_of_itself_no_news() -> None:
    silent = breaker.failed(Breaker(), 0.0, silent=True)
    assert breaker.waits(silent, 0.0) == breaker.SILENT_FIRST_S
    assert not breaker.admits(breaker.probed(silent, 0.1), 0.1)
    assert breaker.failed(silent, 0.2, silent=True) == silent, "they waited together"
    again = breaker.failed(silent, 10.0, silent=True)
    assert (again.silences, breaker.waits(again, 10.0)) == (2, 2 * breaker.SILENT_FIRST_S)
    assert breaker.succeeded(again) == Breaker()


def test_a_model_that_fails_is_left_alone_and_the_others_are_not() -> None:
    found = Breakers()
    for _ in range(3):
        found.model_failed("large", 0.0)
    assert not found.admits("large", 0.0) and found.admits("small", 0.0) and not found.closed
    assert [name for name, _ in found.left_alone(0.0)] == ["large"] and found.left_alone(2.0) == ()
    found.tried("large", 2.0)
    assert not found.admits("large", 2.1), "one request tries"
    found.succeeded("small")
    assert not found.admits("large", 2.1), "another model's success says nothing of it"
    found.succeeded("large")
    assert found == Breakers()


def test_a_server_that_is_away_is_away_with_all_its_models() -> None:
    found = Breakers()
    for _ in range(2):
        found.server_failed(0.0, unreachable=True)
    found.model_failed("large", 0.0)  # it has answered
    for _ in range(2):
        found.server_failed(0.0, unreachable=True)
    assert found.admits("small", 0.0)
    found.server_failed(0.0, unreachable=True)
    assert not found.admits("small", 0.0)
    found.probed(0.1)
    assert found.admits("small", 0.1)


def test_a_pause_that_the_server_asked_for_is_not_ended_by_a_model_that_fails() -> None:
    found = Breakers()
    found.server_failed(0.0, retry_after_s=9)
    found.model_failed("large", 1.0)
    assert not found.admits("small", 2.0)
    assert found.refusing("small", 2.0) is found.server and found.server.cooling


def test_names_that_clients_make_up_do_not_pile_up() -> None:
    found = Breakers()
    for number in range(KEPT_MODELS + 50):
        found.model_failed(f"made up {number}", 0.0)
    assert len(found.models) == KEPT_MODELS


def test_strategies_choose_between_equals() -> None:
    a = Candidate("a", "m", busy=2, latency_s=0.1, healthy=True)
    b = Candidate("b", "m", busy=0, latency_s=0.3, healthy=True)
    lesser = Candidate("c", "m", priority=-1, healthy=True)

    def first(strategy: str, turn: int = 0) -> str:
        return route("m", "", (a, b, lesser), strategy=strategy, turn=turn)[0].backend  # type: ignore[arg-type]

    assert (first("failover"), first("least_busy"), first("lowest_latency")) == ("a", "b", "a")
    assert [first("round_robin", turn) for turn in range(4)] == ["a", "b", "a", "b"]


def test_one_that_is_left_alone_comes_last_whatever_its_priority() -> None:
    open_one = Candidate("a", "m", priority=9, admitted=False, healthy=True)
    assert [c.backend for c in route("m", "", (open_one, Candidate("b", "m")))] == ["b", "a"]


def test_an_alias_is_a_row_of_names() -> None:
    both = (Candidate("a", "x"), Candidate("b", "y"))
    aliases = {"fast": "b/big, a, nobody"}
    assert route("fast", "", both, aliases=aliases) == (Choice("b", "big"), Choice("a", "x"))
    assert route("", "fast", both, aliases=aliases)[0] == Choice("b", "big")


@pytest.mark.parametrize("of_server", [True, False])
@pytest.mark.parametrize("says_nothing", [None, UnknownModel("no such model")])
def test_a_trial_that_says_nothing_of_the_backend_keeps_nobody_away(
    of_server: bool, says_nothing: LlmError | None
) -> None:
    """Its client left, or asked for something wrong."""

    async def main(_: Clock) -> None:
        record = BackendRecord()
        for _time in range(breaker.THRESHOLD):
            with record.asked("m") as attempt:
                attempt.failed(BackendFailed("no", of_server=of_server), guarded=True)
        assert not record.admitted("m")
        await anyio.sleep(breaker.FIRST_S)
        with record.asked("m") as trial:
            assert not record.admitted("m")
            if says_nothing is not None:
                trial.failed(says_nothing, guarded=True)
        assert record.admitted("m")

    virtual_time.run(main)


def test_others_are_let_in_when_the_answer_of_a_trial_begins() -> None:
    async def main(_: Clock) -> None:
        record = BackendRecord()
        for _time in range(breaker.THRESHOLD):
            with record.asked("m") as attempt:
                attempt.failed(BackendFailed("no", of_server=True), guarded=True)
        await anyio.sleep(breaker.FIRST_S)
        with record.asked("m") as trial:
            trial.begun()
            assert record.admitted("m")
            with record.asked("m"):
                assert not record.admitted("m")
                trial.failed(BackendFailed("broke off", of_server=True), guarded=True)
                assert not record.admitted("m")
        await anyio.sleep(breaker.FIRST_S)
        assert not record.admitted("m")  # left alone longer than the first time

    virtual_time.run(main)
