"""Orders by example: the latest counts, what is there is left alone, a trial that fails changes nothing."""

from __future__ import annotations

from llm.slots.events import (
    Ask,
    Emptied,
    Fail,
    Failed,
    Gone,
    Grant,
    Load,
    Measured,
    Need,
    SlotLimits,
    Start,
    Stop,
    Up,
)
from tests.llm.slots.test_scheduler import SMALL, House


def ready(house: House, order: Load, slot: int = 1) -> None:
    assert house.feed(order) == [Start(slot, order.model, order.how)]
    house.feed(Up(slot))


def test_the_same_load_again_changes_nothing() -> None:
    house = House()
    ready(house, Load(1, "a", SMALL, how="256"))
    for again in (Load(2, "a", SMALL, how="256"), Load(3, "a", SMALL, slot=1, how="256")):
        assert house.feed(again) == []
    assert house.scheduler.views(0.0)[0].phase == "ready" and not house.scheduler.open_orders
    assert house.feed(Load(4, "a", SMALL, slot=1, how="256", anew=True)) == [Stop(1, "asked")]


def test_the_same_model_in_another_way_is_loaded_anew_when_its_requests_have_ended() -> None:
    house = House()
    ready(house, Load(1, "a", SMALL, how="256", pinned=True))
    house.ids = 50
    house.ask("a")
    assert house.feed(Load(2, "a", SMALL, how="512")) == []
    assert house.feed(Gone(51)) == [Stop(1, "asked")]
    house.feed(Measured(100))
    assert house.feed(Emptied(1)) == [Start(1, "a", "512")]
    assert house.scheduler.views(0.0)[0].pinned


def test_a_second_instance_goes_into_the_slot_it_was_ordered_for() -> None:
    house = House()
    ready(house, Load(1, "a", SMALL, how="x"))
    assert house.feed(Load(2, "a", SMALL, slot=2, how="x")) == [Start(2, "a", "x")]


def test_of_many_orders_for_a_slot_the_latest_counts_and_the_others_are_told() -> None:
    house = House()
    ready(house, Load(1, "a", SMALL, slot=1, how="a"))
    starts = 0
    told: list[int] = []
    for number in range(2, 14):
        name = "ba"[number % 2]
        for effect in house.feed(Load(number, name, SMALL, slot=1, how=name)):
            told += [effect.id] if isinstance(effect, Fail) and effect.why == "replaced" else []
            starts += isinstance(effect, Start)
    house.feed(Measured(100))
    effects = house.feed(Emptied(1))
    assert starts == 0 and effects == [Start(1, "a", "a")]
    assert told == list(range(2, 13)) and house.scheduler.open_orders == {13}


def test_a_newer_order_ends_a_load_that_has_begun() -> None:
    house = House()
    assert house.feed(Load(1, "a", SMALL, slot=1, how="a")) == [Start(1, "a", "a")]
    assert house.feed(Load(2, "b", SMALL, slot=1, how="b")) == [Fail(1, "replaced"), Stop(1, "asked")]


def test_orders_for_any_slot_are_bounded() -> None:
    house = House(SlotLimits(slots=2), memory=15)
    ready(house, Load(1, "a", SMALL))
    house.ids = 50
    house.ask("a")  # runs, so that nothing gives way
    for number, name in ((2, "b"), (3, "c")):
        assert house.feed(Load(number, name, SMALL)) == []
    assert house.feed(Load(4, "d", SMALL)) == [Fail(4, "too_many_orders")]
    assert house.feed(Load(5, "b", SMALL)) == [Fail(2, "replaced")]


def test_a_trial_that_fails_is_told_and_who_waits_has_the_model_as_before() -> None:
    house = House()
    assert house.feed(Load(9, "a", SMALL, pinned=True, how="broken", trial=True)) == [Start(1, "a", "broken")]
    assert house.feed(Ask(1, "a", need=SMALL, how="plain")) == []
    assert house.feed(Failed(1)) == [Fail(9, "load_failed"), Stop(1, "failed"), Start(2, "a", "plain")]
    house.feed(Emptied(1))
    assert house.feed(Up(2)) == [Grant(1, 2)]


def test_a_load_that_cannot_fit_is_no_reason_to_refuse_the_model() -> None:
    house = House()
    assert house.feed(Load(9, "a", Need(1000), how="huge", trial=True)) == [Fail(9, "does_not_fit", 900)]
    assert house.feed(Ask(1, "a", need=SMALL, how="plain")) == [Start(1, "a", "plain")]


def test_the_default_model_comes_back_pinned() -> None:
    house = House(SlotLimits(slots=1))
    assert house.feed(Ask(1, "a", need=SMALL, pinned=True)) == [Start(1, "a")]
    assert house.feed(Up(1)) == [Grant(1, 1)]
    assert house.feed(Ask(2, "b", need=SMALL)) == [Fail(2, "no_slot")]


def test_a_taken_port_moves_an_order_with_how_it_was_to_be_loaded() -> None:
    house = House()
    house.feed(Load(9, "a", SMALL, how="512", trial=True))
    assert house.feed(Failed(1, slot_fault=True)) == [Stop(1, "failed"), Start(2, "a", "512")]
    assert house.scheduler.open_orders == {9}
    house.feed(Up(2))
    assert not house.scheduler.open_orders
