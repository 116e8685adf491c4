"""What the batcher hears and what it wants: its limits, events and actions. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from llm.messages import Priority

__all__ = [
    "Action",
    "Adapters",
    "Admit",
    "Cancel",
    "Clear",
    "Copy",
    "Emptied",
    "End",
    "EndReason",
    "Event",
    "Reload",
    "Forget",
    "Job",
    "Limits",
    "Lost",
    "Media",
    "Next",
    "Ran",
    "Refuse",
    "RefuseReason",
    "Restored",
    "Row",
    "Run",
    "Sampled",
    "CacheRamLimited",
    "Offload",
    "Submit",
    "Trim",
    "Wanted",
]

EndReason = Literal["stop", "length", "cancelled", "failed"]
RefuseReason = Literal["queue_full", "too_long", "empty"]


@dataclass(frozen=True, slots=True)
class Limits:
    places: int
    """Requests answered at once, of any kind."""
    voice_places: int
    """Beside `places`, for voice turns alone."""
    sequences: int
    """KV sequences, at least places + voice_places; the rest keeps idle conversations."""
    context: int
    """Tokens one sequence may hold."""
    pool: int
    """Tokens all sequences may hold together, at least `context`."""
    step_tokens: int
    """Tokens in one decode step, at least places + voice_places."""
    queue: int
    """Requests of other kinds, and as many voice turns, that may wait; more are refused."""
    step_s: float = 0.1
    """A step with prompt tokens in it shall not hold up running replies for longer."""
    rewind: bool = True
    """Whether a sequence can be cut back to an earlier token."""
    draft: int = 0
    """Tokens of a reply that are guessed ahead at most, while it is the only one; needs `rewind`."""
    resident: int = 0
    """Idle tokens that stay in the cache; what is more is offloaded."""
    unowned: int = 0
    """Of no conversation, among them."""
    offloaded: int = 0
    """Tokens that may be offloaded; 0: all stay in the cache."""


@dataclass(frozen=True, slots=True)
class Media:
    """An image or recording inside a prompt: positions `start` to `start + count`, which go into the cache at once.

    Their place in the prompt is held by numbers below zero that no other image has.
    """

    start: int
    count: int
    cells: int
    """What it takes of the pool; models with two-dimensional positions need more cells than positions."""


Adapters = tuple[tuple[int, float], ...]
"""LoRA adapters by number, with their scales: what is computed with others is no use to this request."""


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    tokens: list[int]
    max_tokens: int | None = None
    priority: Priority = Priority.INTERACTIVE
    conversation: str | None = None
    media: tuple[Media, ...] = ()
    adapters: Adapters = ()
    draft: bool = True
    """Whether tokens may be guessed ahead."""
    asked_at: float = inf
    """When the request came; it may have been looked at for a while since."""

    @property
    def extra(self) -> int:
        """Cells it takes beside one for every position."""
        return sum(max(0, media.cells - media.count) for media in self.media)


@dataclass(frozen=True, slots=True)
class Submit:
    job: Job


@dataclass(frozen=True, slots=True)
class Cancel:
    job_id: int


@dataclass(frozen=True, slots=True)
class Forget:
    """The conversation is over: its sequence is emptied, at once or when its request ends."""

    conversation: str


@dataclass(frozen=True, slots=True)
class Next:
    """What shall run now?"""


@dataclass(frozen=True, slots=True)
class Sampled:
    """`done`: the model or a stop string ended the reply with this token. `right`: so many guessed tokens came before
    it, one after the other. `read`: these came before it, each in a step of its own. `broken`: there is no token, for
    what its sequence holds is no good.
    """

    job_id: int
    token: int
    done: bool = False
    right: int = 0
    read: tuple[int, ...] = ()
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Ran:
    """The step of the last Run is over. With `failed` its rows did not all get into the KV cache. With `preempted`
    it, or the last of those that followed it, was broken off for something more urgent: nothing of that one is in the
    cache, and it is to be run again."""

    sampled: tuple[Sampled, ...] = ()
    failed: bool = False
    preempted: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The engine could not cut, offload or reload this sequence and has emptied it: the answer to Trim, Offload and
    Reload."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Restored:
    """The engine has read this state from a file into the sequence, which was empty and idle."""

    sequence: int
    tokens: list[int]
    conversation: str | None
    adapters: Adapters = ()


@dataclass(frozen=True, slots=True)
class Emptied:
    """Somebody wants this sequence empty; one that is in use is left alone."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody wants this idle sequence in the cache; answered with Reload if it is offloaded and there is room."""

    sequence: int


@dataclass(frozen=True, slots=True)
class CacheRamLimited:
    """No more than so many tokens may be offloaded from now on."""

    offloaded: int


Event = Submit | Cancel | Forget | Next | Ran | Lost | Restored | Emptied | Wanted | CacheRamLimited


@dataclass(frozen=True, slots=True)
class Refuse:
    job_id: int
    why: RefuseReason


@dataclass(frozen=True, slots=True)
class Admit:
    job_id: int
    sequence: int
    cached: int


@dataclass(frozen=True, slots=True)
class Clear:
    """Empty it, in the cache and where it is offloaded."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Trim:
    """Remove every position from `keep` on."""

    sequence: int
    keep: int


@dataclass(frozen=True, slots=True)
class Copy:
    """Let `target`, which is empty, share the first `count` positions of `source`."""

    source: int
    target: int
    count: int


@dataclass(frozen=True, slots=True)
class Offload:
    """Put the keys and values of this sequence aside and empty it in the cache."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Reload:
    """Put what was offloaded of `source` into `target`, which is empty. It stays offloaded, too, if that is another
    sequence."""

    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Row:
    """Tokens of one sequence in a step, from position `start`; `sample` asks for a token after the last one.

    `media` is the number, within its job, of the image or recording that this row stands for; None for text. The last
    `guessed` tokens are only guessed: a token is asked for after each of them, and after the one before them.
    """

    job_id: int
    sequence: int
    start: int
    tokens: list[int]
    sample: bool
    media: int | None = None
    guessed: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One step: all rows with the same adapters, at most one of them media. A row with guessed tokens is alone.

    `more`: so many steps may follow it at once, each with the tokens that the one before gave, as long as no reply
    ends and nobody comes.
    """

    rows: tuple[Row, ...]
    adapters: Adapters = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class End:
    job_id: int
    reason: EndReason
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


Action = Refuse | Admit | Clear | Trim | Copy | Offload | Reload | Run | End
