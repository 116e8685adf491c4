"""What the slot scheduler hears and what it wants: its limits, events, effects and views. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from llm.memory.cards import Cards
from llm.messages import Priority

__all__ = [
    "Ask",
    "Down",
    "Emptied",
    "Fail",
    "FailReason",
    "Failed",
    "Gone",
    "Grant",
    "Load",
    "Measured",
    "Need",
    "Pin",
    "Refuse",
    "SlotEffect",
    "SlotEvent",
    "SlotLimits",
    "SlotPhase",
    "SlotView",
    "LimitCacheRam",
    "Start",
    "Stop",
    "StopReason",
    "Unload",
    "Up",
]

SlotPhase = Literal["empty", "loading", "ready", "down", "stopping", "blocked"]
"""down: its worker died and is being started again. blocked: the slot's port is taken by another program."""
FailReason = Literal["load_failed", "does_not_fit", "no_slot", "unloaded", "replaced", "too_many_orders"]
StopReason = Literal["evicted", "idle", "abandoned", "asked", "failed"]


@dataclass(frozen=True, slots=True)
class SlotLimits:
    slots: int = 7
    queue: int = 256
    """Requests that may wait, and as many voice turns beside them; of one user at most half of them."""
    batch_share: float = 0.5
    """Of a slot's places that batch work may take at once, at least one."""
    patience_s: float = 10.0
    """A request for a model that is not loaded waits so long for a slot to fall idle; then one is drained for it."""
    aged_s: float = 20.0
    """Who has waited this long is served by arrival, whoever they are."""
    idle_unload_s: float = 0.0
    """A model that nobody used for so long is unloaded; 0: never."""
    blocked_s: float = 30.0
    """A slot whose port was taken is tried again after this long."""
    cool_down_s: float = 5.0
    """A model that could not be loaded is not tried again for so long; doubled each time, at most a minute."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a model costs. `bytes` of the machine's memory, `gpu_bytes` of the GPUs'; `load_s` is how long a load is
    expected to take.
    """

    bytes: int = 0
    load_s: float = 1.0
    places: int = 8
    """Requests its worker answers at once."""
    voice_places: int = 2
    """Beside `places`, for voice turns alone."""
    gpu_bytes: int = 0
    shares: tuple[float, ...] = ()
    """How much of `gpu_bytes` each card gets; (): as is free on each."""
    cache_ram_bytes: int = 0
    """Of the machine's memory beside that, for conversations out of the cache: it can do without."""


# ---- events ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody wants an answer of this model. `id` is new. `how` it is loaded if it is in no slot; `pinned` then."""

    id: int
    model: str
    user: str = ""
    priority: Priority = Priority.INTERACTIVE
    need: Need = Need()
    how: object = None
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """The request is over, or its client is: it waits no more and holds no place."""

    id: int


@dataclass(frozen=True, slots=True)
class Load:
    """Have this model loaded, in that slot or in any; what is in the slot gives way when it is idle. `id` is new:
    at most one Fail comes for it, for an order that is not carried out.

    `how` is the shell's own: two that are equal are the same load, and the second changes nothing (`anew`: it does).
    `trial`: nobody has seen it work this way, so if it fails, that says nothing of the model.
    """

    id: int
    model: str
    need: Need = Need()
    slot: int | None = None
    pinned: bool = False
    how: object = None
    anew: bool = False
    trial: bool = False


@dataclass(frozen=True, slots=True)
class Unload:
    """When what it is answering has ended; with `now` at once."""

    slot: int
    now: bool = False


@dataclass(frozen=True, slots=True)
class Pin:
    slot: int
    pinned: bool


@dataclass(frozen=True, slots=True)
class Up:
    """The slot's worker answers."""

    slot: int


@dataclass(frozen=True, slots=True)
class Down:
    """The slot's worker ended by itself; it is being started again."""

    slot: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The slot's worker cannot be started. `slot_fault`: not because of the model (its port is taken)."""

    slot: int
    slot_fault: bool = False


@dataclass(frozen=True, slots=True)
class Emptied:
    """The worker that Stop asked to end has ended."""

    slot: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Time passes. `headroom_bytes` may be given to new models now (negative: too much is in use already);
    `used` is what slots really take. `cards` and `used_cards`: the same of each GPU; () where there is none.
    """

    headroom_bytes: int
    used: Mapping[int, int] = field(default_factory=dict)
    cards: Cards = ()
    used_cards: Mapping[int, Cards] = field(default_factory=dict)


SlotEvent = Ask | Gone | Load | Unload | Pin | Up | Down | Failed | Emptied | Measured


# ---- effects -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grant:
    """The request may go to the slot's worker. The shell answers with Gone when it is over."""

    id: int
    slot: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """The queue is full."""

    id: int
    position: int
    retry_after_s: int


@dataclass(frozen=True, slots=True)
class Fail:
    """It cannot be answered. With does_not_fit, `missing_bytes` is how much memory is short, `missing_gpu_bytes` how
    much of the GPUs'.
    """

    id: int
    why: FailReason
    missing_bytes: int = 0
    missing_gpu_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Start:
    """`how` is that of the Ask or Load it comes from, `cards` what it is expected to take of each GPU,
    `cache_ram_bytes` what it may take beside its need.
    """

    slot: int
    model: str
    how: object = None
    cards: Cards = ()
    cache_ram_bytes: int = 0


@dataclass(frozen=True, slots=True)
class LimitCacheRam:
    """From now on conversations out of the cache may take no more than this in this slot."""

    slot: int
    cache_ram_bytes: int


@dataclass(frozen=True, slots=True)
class Stop:
    slot: int
    why: StopReason


SlotEffect = Grant | Refuse | Fail | Start | LimitCacheRam | Stop


@dataclass(frozen=True, slots=True)
class SlotView:
    """A slot as the scheduler sees it."""

    number: int
    phase: SlotPhase
    model: str
    pinned: bool
    draining: bool
    running: int
    waiting: int
    idle_s: float
