"""The slot scheduler by example: collation, patience, places, fair shares, eviction, memory, faults."""

from __future__ import annotations

import pytest

from llm.messages import Priority
from llm.slots.events import (
    Ask,
    Down,
    Emptied,
    Fail,
    Failed,
    Gone,
    Grant,
    LimitCacheRam,
    Load,
    Measured,
    Need,
    Pin,
    Refuse,
    SlotEffect,
    SlotEvent,
    SlotLimits,
    Start,
    Stop,
    Unload,
    Up,
)
from llm.slots.eviction import Occupant, victims
from llm.slots.scheduler import SlotScheduler

SMALL = Need(10, 1.0, 4, 2)
TWO = SlotLimits(slots=2)


class House:
    """A scheduler and its clock. Requests are numbered as they come."""

    def __init__(self, limits: SlotLimits = TWO, memory: int = 100) -> None:
        self.scheduler = SlotScheduler(limits)
        self.now = 0.0
        self.ids = 0
        self.feed(Measured(memory))

    def feed(self, event: SlotEvent, after_s: float = 0.0) -> list[SlotEffect]:
        self.now += after_s
        return self.scheduler.step(event, self.now)

    def ask(
        self, model: str, user: str = "u", priority: Priority = Priority.INTERACTIVE, need: Need = SMALL
    ) -> list[SlotEffect]:
        self.ids += 1
        return self.feed(Ask(self.ids, model, user, priority, need))

    def loaded(self, model: str, slot: int, need: Need = SMALL) -> None:
        self.ids += 1
        assert Start(slot, model) in self.feed(Load(self.ids, model, need))
        self.feed(Up(slot))


def test_a_request_loads_its_model_and_is_granted_when_it_is_up() -> None:
    house = House()
    assert house.ask("a") == [Start(1, "a")]
    assert house.ask("a") == []
    assert house.scheduler.position(2) == 2
    assert house.feed(Up(1)) == [Grant(1, 1), Grant(2, 1)]
    assert house.ask("a") == [Grant(3, 1)]


def test_a_slot_is_idle_from_the_end_of_its_last_request_and_never_while_it_loads_or_answers() -> None:
    house = House()

    def idle_s(after_s: float) -> float:
        house.feed(Measured(100), after_s=after_s)
        return house.scheduler.views(house.now)[0].idle_s

    house.ask("a")
    assert idle_s(4.0) == 0.0
    house.feed(Up(1))
    assert idle_s(5.0) == 0.0
    house.feed(Gone(1))
    assert idle_s(6.0) == 6.0


def test_models_take_turns_in_one_slot_without_swapping_for_every_request() -> None:
    house = House(SlotLimits(slots=1))
    house.ask("a"), house.ask("b"), house.ask("a"), house.ask("b")
    assert house.feed(Up(1)) == [Grant(1, 1), Grant(3, 1)]
    assert house.feed(Gone(1)) == []
    assert house.feed(Gone(3)) == [Stop(1, "evicted")]
    assert house.feed(Emptied(1)) == [Start(1, "b")]
    assert house.feed(Up(1)) == [Grant(2, 1), Grant(4, 1)]


def test_a_model_that_never_falls_idle_is_drained_when_another_has_waited_long_enough() -> None:
    house = House(SlotLimits(slots=1, patience_s=10.0))
    house.loaded("a", 1)
    house.ask("a")  # 2
    house.ask("b")  # 3
    assert house.ask("a") == [Grant(4, 1)]
    assert house.feed(Gone(2), after_s=9.0) == []
    assert house.feed(Measured(100), after_s=1.5) == []
    assert house.ask("a") == []  # 5 waits: the slot is being drained
    assert house.feed(Gone(4)) == [Stop(1, "evicted")]
    assert house.feed(Emptied(1)) == [Start(1, "b")]


def test_a_slot_that_was_emptied_for_a_model_goes_to_it_and_not_to_older_requests_of_the_last_one() -> None:
    house = House(SlotLimits(slots=1, patience_s=10.0))
    house.loaded("a", 1)
    for _ in range(5):
        house.ask("a")  # 2 to 5 run, 6 waits
    house.ask("b"), house.ask("c")  # 7, 8
    assert house.feed(Measured(100), after_s=10.5) == []
    assert [house.feed(Gone(number)) for number in (2, 3, 4)] == [[], [], []]
    assert house.feed(Gone(5)) == [Stop(1, "evicted")]
    assert house.feed(Emptied(1)) == [Start(1, "b")]
    assert house.feed(Up(1)) == [Grant(7, 1)]
    assert house.feed(Gone(7)) == [Stop(1, "evicted")]
    assert house.feed(Emptied(1)) == [Start(1, "c")]
    house.feed(Up(1)), house.ask("b")  # 9
    assert house.feed(Gone(8)) == [Stop(1, "evicted")]
    assert house.feed(Emptied(1)) == [Start(1, "a")], "which has waited for longest"
    assert house.feed(Up(1)) == [Grant(6, 1)]


def test_voice_does_not_wait_for_patience() -> None:
    house = House(SlotLimits(slots=1))
    house.loaded("a", 1)
    house.ask("a")
    house.ask("b", priority=Priority.VOICE)
    assert house.ask("a") == []
    assert house.feed(Gone(2)) == [Stop(1, "evicted")]


def test_when_the_reason_for_draining_is_gone_work_goes_on() -> None:
    house = House(SlotLimits(slots=1))
    house.loaded("a", 1)
    house.ask("a")
    house.ask("b", priority=Priority.VOICE)  # 3
    house.feed(Gone(3))
    assert house.ask("a") == [Grant(4, 1)]


def test_batch_work_never_takes_the_voices_places_nor_all_others() -> None:
    house = House()
    house.loaded("a", 1)
    granted = [house.ask("a", priority=Priority.BATCH) for _ in range(6)]
    assert sum(bool(effects) for effects in granted) == 2  # half of four
    assert [bool(house.ask("a", "v")) for _ in range(3)] == [True, True, False]
    assert [bool(house.ask("a", "v", Priority.VOICE)) for _ in range(3)] == [True, True, False]


def test_a_user_with_few_requests_is_not_behind_all_of_one_with_many() -> None:
    house = House()
    house.loaded("a", 1)
    for _ in range(8):
        house.ask("a", "many")  # 2 to 5 run
    house.ask("a", "few")  # 10
    assert house.feed(Gone(2)) == [Grant(10, 1)]


def test_who_has_waited_too_long_comes_before_everybody_fresh() -> None:
    house = House(SlotLimits(slots=1, aged_s=20.0))
    house.loaded("a", 1)
    for _ in range(4):
        house.ask("a", "x")  # 2 to 5
    house.ask("a", "x", Priority.BATCH)  # 6
    house.now += 21.0
    house.ask("a", "fresh")  # 7
    assert house.feed(Gone(2)) == [Grant(6, 1)]


def test_the_queue_is_bounded_and_says_when_to_come_again() -> None:
    house = House(SlotLimits(slots=1, queue=4))
    house.ask("a", "u"), house.ask("a", "u")
    (refused,) = house.ask("a", "u")
    assert isinstance(refused, Refuse) and refused.position == 3 and refused.retry_after_s >= 1
    assert house.ask("a", "v") == [] == house.ask("a", "v")
    assert isinstance(house.ask("a", "w")[0], Refuse)
    assert house.ask("a", "u", Priority.VOICE) == []  # voice has a queue of its own


def test_a_cancelled_request_frees_its_place_at_once_and_a_load_nobody_waits_for_is_broken_off() -> None:
    house = House()
    house.ask("a"), house.ask("a")
    assert house.feed(Gone(1)) == []
    assert house.feed(Gone(2)) == [Stop(1, "abandoned")]
    assert house.ask("b") == [Start(2, "b")]
    house.feed(Load(99, "c"))
    house.feed(Emptied(1))
    assert house.scheduler.slot_of("c") == 1


def test_an_ordered_load_is_not_broken_off() -> None:
    house = House()
    assert house.feed(Load(50, "a", SMALL)) == [Start(1, "a")]
    house.ask("a")
    assert house.feed(Gone(1)) == []


def test_memory_decides_how_many_models_there_are() -> None:
    house = House(SlotLimits(slots=3), memory=100)
    house.loaded("a", 1, Need(50, 1.0))
    house.loaded("b", 2, Need(40, 1.0))
    house.now += 5.0
    house.ask("b", need=Need(40, 1.0)), house.feed(Gone(house.ids))  # b was used just now, a was not
    assert house.ask("c", need=Need(30, 1.0)) == [Stop(1, "evicted")]
    assert house.feed(Down(2)) == []
    assert house.feed(Measured(60)) == [Start(3, "c")]  # its memory is free


def test_what_is_left_may_be_used_beside_the_need_and_is_given_back_before_a_model_goes() -> None:
    house = House(SlotLimits(slots=4), memory=100)
    assert house.feed(Load(1, "a", Need(30, cache_ram_bytes=20), pinned=True)) == [Start(1, "a", cache_ram_bytes=20)]
    assert house.feed(Load(2, "b", Need(30, cache_ram_bytes=50))) == [Start(2, "b", cache_ram_bytes=20)]
    house.feed(Up(1)), house.feed(Up(2)), house.feed(Measured(0))
    assert house.feed(Measured(-5), after_s=5.0) == [LimitCacheRam(2, 15)], "nobody goes"
    house.feed(Measured(0))
    assert house.ask("c", need=Need(25, cache_ram_bytes=9)) == [
        LimitCacheRam(2, 0),
        LimitCacheRam(1, 10),
        Start(3, "c"),
    ]
    house.feed(Up(3))
    assert house.feed(Measured(-3), after_s=5.0) == [LimitCacheRam(1, 7)]


def test_with_what_a_pinned_model_gives_back_an_idle_one_makes_room() -> None:
    house = House(SlotLimits(slots=4), memory=100)
    house.feed(Load(1, "a", Need(30, cache_ram_bytes=30), pinned=True)), house.feed(Up(1))
    house.loaded("b", 2, Need(40))
    assert house.ask("c", need=Need(60)) == [LimitCacheRam(1, 0), Stop(2, "evicted")]
    assert house.feed(Measured(70)) == [Start(3, "c")]
    house.feed(Emptied(2))
    assert house.ask("huge", need=Need(80)) == [Fail(house.ids, "does_not_fit", 10)]


def test_a_model_that_is_too_large_is_refused_with_what_is_missing() -> None:
    house = House(memory=100)
    house.loaded("a", 1, Need(30, 1.0))
    assert house.ask("huge", need=Need(250, 1.0)) == [Fail(2, "does_not_fit", 150)]
    assert house.scheduler.slot_of("a") == 1


def test_nothing_that_runs_is_ended_for_a_load_and_pinned_models_stay() -> None:
    house = House(SlotLimits(slots=1))
    house.loaded("a", 1)
    house.feed(Pin(1, True))
    assert house.ask("b") == [Fail(2, "no_slot")]
    house.feed(Pin(1, False))
    house.ask("a")  # 3 runs
    assert house.ask("b") == []
    assert house.feed(Measured(5), after_s=60.0) == []
    assert house.feed(Gone(3)) == [Stop(1, "evicted")]


def test_pressure_unloads_the_least_needed_idle_model_only() -> None:
    house = House(SlotLimits(slots=3))
    house.loaded("a", 1, Need(20, load_s=1.0))
    house.loaded("b", 2, Need(20, load_s=30.0))
    house.now += 60.0
    assert house.feed(Measured(-5)) == [Stop(1, "evicted")]
    assert house.feed(Measured(-5)) == []  # what is on its way out counts


def test_idle_models_go_after_their_time() -> None:
    house = House(SlotLimits(slots=2, idle_unload_s=30.0))
    house.loaded("a", 1)
    house.loaded("b", 2)
    house.feed(Pin(2, True))
    assert house.feed(Measured(50), after_s=29.0) == []
    assert house.feed(Measured(50), after_s=1.0) == [Stop(1, "idle")]


def test_a_load_that_fails_is_told_and_left_alone_for_a_while() -> None:
    house = House(SlotLimits(slots=1, cool_down_s=5.0))
    house.ask("a")
    assert house.feed(Failed(1)) == [Fail(1, "load_failed"), Stop(1, "failed")]
    house.feed(Emptied(1))
    assert house.ask("a") == [Fail(2, "load_failed")]
    assert house.ask("b") == [Start(1, "b")]
    house.feed(Gone(3)), house.feed(Emptied(1))
    house.now += 5.0
    assert house.ask("a") == [Start(1, "a")]
    house.feed(Failed(1)), house.feed(Emptied(1))
    house.now += 6.0
    assert house.ask("a") == [Fail(5, "load_failed")]  # twice as long


def test_a_taken_port_moves_the_model_to_another_slot() -> None:
    house = House()
    assert house.feed(Load(9, "a", SMALL, pinned=True)) == [Start(1, "a")]
    house.ask("a")
    assert house.feed(Failed(1, slot_fault=True)) == [Stop(1, "failed"), Start(2, "a")]
    house.feed(Emptied(1))
    assert house.feed(Up(2)) == [Grant(1, 2)]
    assert [view.phase for view in house.scheduler.views(house.now)] == ["blocked", "ready"]
    house.feed(Measured(50), after_s=31.0)
    assert [view.phase for view in house.scheduler.views(house.now)] == ["empty", "ready"]


def test_a_pinned_model_that_cannot_start_fails_its_requests_until_it_can() -> None:
    house = House(SlotLimits(slots=1))
    house.feed(Load(9, "a", SMALL, pinned=True))
    house.ask("a")
    assert house.feed(Failed(1)) == [Fail(1, "load_failed")]
    assert house.ask("a") == [Fail(2, "load_failed")]
    house.feed(Up(1))
    assert house.ask("a") == [Grant(3, 1)]


def test_a_dead_worker_is_given_nothing_until_it_is_back() -> None:
    house = House()
    house.loaded("a", 1)
    house.feed(Down(1))
    assert house.ask("a") == []
    assert house.feed(Up(1)) == [Grant(2, 1)]


def test_unload_waits_for_what_runs_unless_it_shall_not() -> None:
    house = House()
    house.loaded("a", 1)
    house.ask("a")
    assert house.feed(Unload(1)) == []
    assert house.feed(Gone(2)) == [Stop(1, "asked")]
    house.loaded("b", 2)
    house.ask("b")
    assert house.feed(Unload(2, now=True)) == [Stop(2, "asked")]


def test_a_load_into_a_certain_slot_swaps_it() -> None:
    house = House()
    house.loaded("a", 1)
    assert house.feed(Load(7, "b", SMALL, slot=1)) == [Stop(1, "asked")]
    house.feed(Measured(100))
    assert house.feed(Emptied(1)) == [Start(1, "b")]
    assert house.feed(Load(8, "huge", Need(1000), slot=2)) == [Fail(8, "does_not_fit", 900)]


@pytest.mark.parametrize(
    ("missing_bytes", "missing_slots", "expected"),
    [(0, 1, [1]), (30, 1, [2]), (35, 1, [1, 2]), (0, 3, [1, 2, 3]), (100, 0, None), (0, 0, [])],
)
def test_victims(missing_bytes: int, missing_slots: int, expected: list[int] | None) -> None:
    """1 was idle for longest for what it costs, 3 has just been used."""
    there = [Occupant(3, 15, 0.0, 1.0), Occupant(1, 5, 90.0, 1.0), Occupant(2, 30, 60.0, 1.0)]
    chosen = victims(there, missing_bytes, missing_slots)
    assert expected == (None if chosen is None else sorted(occupant.slot for occupant in chosen))
