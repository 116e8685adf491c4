"""The slot scheduler on random walks: what was asked ends once, voice keeps its places, nobody starves, memory holds.

The machine plays the shell: it starts and stops workers as told, some of which fail or die, and ends requests.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llm.memory.cards import Cards, added, total_cards
from llm.messages import Priority
from llm.slots.events import (
    Ask,
    Down,
    Emptied,
    Fail,
    Failed,
    Gone,
    Grant,
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
from llm.slots.scheduler import SlotScheduler

MEMORY = 100
CARDS = (14, 10)
NEEDS = {
    "a": Need(20, 1.0, 4, 1),
    "b": Need(40, 5.0, 2, 1, gpu_bytes=12, shares=(1.0,)),
    "c": Need(60, 2.0, 3, 2, gpu_bytes=15),
    "d": Need(10, 0.5, 1, 1),
    "huge": Need(500, 9.0, 4, 2),
    "wide": Need(10, 1.0, 2, 1, gpu_bytes=15, shares=(0.0, 1.0)),
}
LIMITS = SlotLimits(slots=3, queue=8, patience_s=5.0, aged_s=10.0, idle_unload_s=60.0, blocked_s=7.0)
models = st.sampled_from(sorted(NEEDS))
users = st.sampled_from(["u", "v", "w"])
slots = st.integers(1, LIMITS.slots)


class SlotShell(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.scheduler = SlotScheduler(LIMITS)
        self.ids = 0
        self.asked: dict[int, Ask] = {}
        self.waiting: set[int] = set()
        self.running: dict[int, int] = {}
        self.answered: Counter[int] = Counter()
        self.workers: dict[int, str] = {}
        self.cards: dict[int, Cards] = {}
        self.up: set[int] = set()
        self.stopping: set[int] = set()
        self.killed: set[int] = set()
        self.feed(self.measured())

    def held(self) -> int:
        return sum(NEEDS[model].bytes for model in self.workers.values())

    def measured(self) -> Measured:
        free = added(CARDS, total_cards(self.cards.values()), -1)
        return Measured(MEMORY - self.held(), cards=free, used_cards=dict(self.cards))

    def feed(self, event: SlotEvent) -> list[SlotEffect]:
        effects = self.scheduler.step(event, self.now)
        for effect in effects:
            match effect:
                case Grant(request, slot):
                    assert request in self.waiting and slot in self.up and slot not in self.stopping
                    assert self.workers[slot] == self.asked[request].model
                    self.waiting.remove(request)
                    self.running[request] = slot
                    self.answered[request] += 1
                case Refuse(request, position, retry_after_s):
                    assert position >= 1 and 1 <= retry_after_s <= 60
                    self.waiting.discard(request)
                    self.answered[request] += 1
                case Fail(request):
                    self.waiting.discard(request)
                    self.answered[request] += 1
                case Start(slot, model, _, cards):
                    assert slot not in self.workers, "the slot is not empty"
                    assert model not in ("huge", "wide"), "it fits no card"
                    self.workers[slot], self.cards[slot] = model, cards
                    held = total_cards(self.cards.values())
                    assert all(taken <= size for taken, size in zip(held, CARDS, strict=False)), "a card is too small"
                    assert self.held() <= MEMORY, "more was loaded than fits"
                case Stop(slot, why):
                    assert slot in self.workers and slot not in self.stopping
                    assert why == "asked" or not any(s == slot for s in self.running.values()) or why == "failed"
                    self.stopping.add(slot)
        return effects

    def ask(self, model: str, user: str, priority: Priority) -> int:
        self.ids += 1
        self.asked[self.ids] = ask = Ask(self.ids, model, user, priority, NEEDS[model])
        self.waiting.add(self.ids)
        self.feed(ask)
        return self.ids

    def settle_slot(self, slot: int) -> None:
        """Whatever the slot is waiting for happens."""
        if slot in self.stopping:
            self.stopping.remove(slot)
            self.up.discard(slot)
            del self.workers[slot], self.cards[slot]
            for request in [r for r, s in self.running.items() if s == slot]:
                self.end(request)  # their worker is gone, and so are they
            self.feed(self.measured())
            self.feed(Emptied(slot))
        elif slot in self.workers and slot not in self.up:
            self.up.add(slot)
            self.feed(Up(slot))

    def end(self, request: int) -> None:
        self.waiting.discard(request)
        self.running.pop(request, None)
        self.feed(Gone(request))
        assert self.scheduler.position(request) == 0

    @rule(model=models, user=users, priority=st.sampled_from(Priority))
    def somebody_asks(self, model: str, user: str, priority: Priority) -> None:
        self.ask(model, user, priority)

    @precondition(lambda self: self.waiting or self.running)
    @rule(data=st.data())
    def somebody_goes(self, data: st.DataObject) -> None:
        self.end(data.draw(st.sampled_from(sorted([*self.waiting, *self.running]))))

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.feed(self.measured())

    @rule(slot=slots)
    def a_slot_goes_on(self, slot: int) -> None:
        self.settle_slot(slot)

    @rule(slot=slots, fault=st.booleans())
    def a_start_fails(self, slot: int, fault: bool) -> None:
        if slot in self.workers and slot not in self.up and slot not in self.stopping:
            self.feed(Failed(slot, fault))

    @rule(slot=slots)
    def a_worker_dies(self, slot: int) -> None:
        if slot in self.up and slot not in self.stopping:
            self.up.remove(slot)
            self.feed(Down(slot))

    @rule(
        model=models,
        slot=st.none() | slots,
        pinned=st.booleans(),
        how=st.sampled_from([None, "other"]),
        anew=st.booleans(),
        trial=st.booleans(),
    )
    def an_order(self, model: str, slot: int | None, pinned: bool, how: str | None, anew: bool, trial: bool) -> None:
        self.ids += 1
        self.feed(Load(self.ids, model, NEEDS[model], slot, pinned, how, anew, trial))
        assert self.scheduler.waiting == len(self.waiting)

    @rule(slot=slots, now=st.booleans())
    def an_unload(self, slot: int, now: bool) -> None:
        self.feed(Unload(slot, now))

    @rule(slot=slots, pinned=st.booleans())
    def a_pin(self, slot: int, pinned: bool) -> None:
        self.feed(Pin(slot, pinned))

    @invariant()
    def answers_are_single(self) -> None:
        assert all(count == 1 for count in self.answered.values())
        assert not self.waiting & set(self.running)

    @invariant()
    def orders_are_told_once_and_bounded(self) -> None:
        """One that waits for each slot, and as many for any; sixteen that joined each load."""
        assert not any(self.answered[order] for order in self.scheduler.open_orders)
        assert len(self.scheduler.open_orders) <= LIMITS.slots * (2 + 16)

    @invariant()
    def the_queue_is_bounded(self) -> None:
        voices = sum(self.asked[request].priority is Priority.VOICE for request in self.waiting)
        assert voices <= LIMITS.queue and len(self.waiting) - voices <= LIMITS.queue
        assert self.scheduler.waiting == len(self.waiting)

    @invariant()
    def places_hold(self) -> None:
        for slot in self.up - self.stopping:
            need = NEEDS[self.workers[slot]]
            kinds = Counter(self.asked[r].priority for r, s in self.running.items() if s == slot)
            assert sum(kinds.values()) <= need.places + need.voice_places
            assert kinds[Priority.INTERACTIVE] + kinds[Priority.BATCH] <= need.places
            assert kinds[Priority.BATCH] <= max(1, need.places // 2)

    def teardown(self) -> None:
        """Nobody starves: when workers start and requests end, everybody who waits is answered, one way or another,
        though new requests keep coming.
        """
        for slot in range(1, LIMITS.slots + 1):
            self.feed(Pin(slot, False))
        old = set(self.waiting)
        for _ in range(400):
            if not old & self.waiting:
                break
            for model in ("a", "b"):
                if self.scheduler.waiting < LIMITS.queue // 2:
                    self.ask(model, "new", Priority.INTERACTIVE)
            for slot in range(1, LIMITS.slots + 1):
                self.settle_slot(slot)
            self.now += 2.0
            self.feed(self.measured())
            for request in list(self.running)[:2]:
                self.end(request)
        assert not old & self.waiting, "somebody starved"


SlotShell.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestSlots = SlotShell.TestCase
