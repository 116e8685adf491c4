"""What the scripted service does: delays, texts and faults. Plain data, changed over HTTP while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

__all__ = ["Fault", "Record", "Script", "changed"]

Stage = Literal["stt", "llm", "tts"]
FAULT_KINDS = ("none", "hang", "reset", "trickle", "error", "garbage")


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with the next `times` requests of a stage (-1: all of them).

    hang     accepts the request and never answers
    reset    breaks the connection, for streams after `after` pieces
    trickle  one byte every 100 ms
    error    answers `status` with an OpenAI error object, for streams after `after` pieces as an `error` event
    garbage  answers 200 with what is neither JSON nor audio
    """

    kind: str = "none"
    times: int = -1
    after: int = 0
    status: int = 500

    def __post_init__(self) -> None:
        if self.kind not in FAULT_KINDS:
            raise ValueError(f"fault kind {self.kind!r} is none of {', '.join(FAULT_KINDS)}")


@dataclass(frozen=True, slots=True)
class Script:
    """The fixed parts of the end-to-end measurements are the defaults."""

    stt_delay_ms: float = 150.0
    first_token_ms: float = 200.0
    tokens_per_s: float = 40.0
    tts_delay_ms: float = 120.0
    tts_ms_per_character: float = 60.0
    """How long the spoken audio is; some 15 characters a second are an unhurried voice."""
    transcripts: tuple[str, ...] = ("what is the capital of france",)
    """One after the other, the last one for ever. "" means that no words were heard."""
    transcripts_by_length: tuple[tuple[float, str], ...] = ()
    """(seconds, text), ascending: audio up to that long has this transcript, however often it is asked for.

    For tests that speak different sentences: in what order, and how often, revisions are transcribed is up to the
    speaker's pauses and the machine's speed.
    """
    replies: tuple[str, ...] = (
        "The capital of France is Paris. It lies on the river Seine, and some two million people live there.",
    )
    tool_calls: tuple[tuple[str, str], ...] = ()
    """(name, JSON arguments): called, one request each, before the replies are said."""
    stt_fault: Fault = Fault()
    llm_fault: Fault = Fault()
    tts_fault: Fault = Fault()


@dataclass(slots=True)
class Record:
    """One request as the service saw it. Times are seconds of its monotonic clock, the same for the whole machine."""

    stage: Stage
    at_s: float
    request: dict[str, Any]
    first_byte_s: float | None = None
    end_s: float | None = None
    pieces: int = 0
    hung_up: bool = False
    """The client went away before the answer was complete."""
    fault: str = "none"
    notes: list[str] = field(default_factory=list)


def changed(script: Script, body: dict[str, Any]) -> Script:
    """`script` with the fields of a JSON object. Raises ValueError naming what is wrong."""
    known = {entry.name for entry in fields(Script)}
    if unknown := set(body) - known:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
    values: dict[str, Any] = {}
    for name, value in body.items():
        if name.endswith("_fault"):
            values[name] = Fault(**value)
        elif name == "tool_calls":
            values[name] = tuple((call[0], call[1]) for call in value)
        elif name == "transcripts_by_length":
            values[name] = tuple((float(seconds), str(text)) for seconds, text in value)
        elif name in ("transcripts", "replies"):
            values[name] = tuple(str(text) for text in value)
            if not values[name]:
                raise ValueError(f"{name} must not be empty")
        else:
            values[name] = float(value)
    return replace(script, **values)
