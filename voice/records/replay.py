"""A recorded session once more: its events into a new turn machine, and what it does beside what it did. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from voice.errors import BadRecording
from voice.records.codec import decode, encode
from voice.records.recording import VERSION
from voice.turn.actions import Action, Tell
from voice.turn.events import TurnEvent
from voice.turn.machine_start import MachineStart

__all__ = ["Replay", "Step", "describe"]


@dataclass(frozen=True, slots=True)
class Step:
    """`line` counts from 1. `recorded` and `done` are the actions as JSON, then and now: of each the fields that both
    versions have."""

    line: int
    now: float
    event: TurnEvent
    actions: tuple[Action, ...]
    recorded: list[Any]
    done: list[Any]

    @property
    def same(self) -> bool:
        return self.recorded == self.done

    def difference(self) -> str:
        """The first action that is another one, then and now."""
        for at in range(max(len(self.recorded), len(self.done))):
            then = self.recorded[at] if at < len(self.recorded) else None
            now = self.done[at] if at < len(self.done) else None
            if then != now:
                return f"action {at + 1}\n  recorded: {_shown(then)}\n  now:      {_shown(now)}"
        return ""


class Replay:
    """`lines` of a file, of which the last may be half written. Raises BadRecording at once if it is none."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        head = _object(next(self._lines, ""), 1)
        version = head.get("parley_recording")
        if isinstance(version, int) and version > VERSION:
            raise BadRecording("a newer Parley has written this", hint="replay it with the version that wrote it")
        if version != VERSION:
            raise BadRecording(
                "this is no recording of a session", hint="recordings are in the folder recordings of PARLEY_HOME"
            )
        self.session, self.words = str(head.get("session", "")), bool(head.get("words"))
        try:
            start = decode(head.get("start"))
        except RecursionError:
            raise BadRecording("line 1 is nested too deeply") from None
        if not isinstance(start, MachineStart):
            raise BadRecording("line 1 does not say how the session began")
        try:
            self._machine = start.machine()
        except Exception as error:
            raise BadRecording(f"nothing can begin as line 1 says ({type(error).__name__}: {error})") from error

    def steps(self) -> Iterator[Step]:
        for number, text in enumerate(self._lines, 2):
            if not text.endswith("\n") and number > 2:
                return  # written while the power went
            if not text.strip():
                continue
            try:
                step = self._step(_object(text, number), number)
            except RecursionError:
                raise BadRecording(f"line {number} is nested too deeply") from None
            yield step

    def _step(self, data: dict[str, Any], number: int) -> Step:
        event, now, recorded = decode(data.get("event")), data.get("t"), data.get("actions")
        if not isinstance(event, TurnEvent) or not isinstance(now, int | float) or not isinstance(recorded, list):
            raise BadRecording(f"line {number} is no step")
        try:
            actions = tuple(self._machine.step(event, float(now)))
        except Exception as error:
            said = f"line {number}: the turn machine breaks at this {type(event).__name__}"
            raise BadRecording(f"{said} ({type(error).__name__}: {error})") from error
        then, done = _common(recorded, json.loads(json.dumps(encode(actions))))
        return Step(number, float(now), event, actions, then, done)


def _common(then: Any, now: Any) -> tuple[Any, Any]:
    """Without the fields that a class has only in one of the two versions: they tell of the version, not of the
    conversation.
    """
    if isinstance(then, list) and isinstance(now, list):
        pairs = [_common(one, other) for one, other in zip(then, now, strict=False)]
        return [one for one, _ in pairs] + then[len(pairs) :], [other for _, other in pairs] + now[len(pairs) :]
    if not (isinstance(then, dict) and isinstance(now, dict)):
        return then, now
    if then.get("$") != now.get("$") or ("$" not in then and then.keys() != now.keys()):
        return then, now
    found = {name: _common(then[name], now[name]) for name in now if name in then}
    return {name: pair[0] for name, pair in found.items()}, {name: pair[1] for name, pair in found.items()}


def describe(step: Step) -> list[str]:
    """What a reader wants to know of it, a line each; nothing of the steady clocks."""
    found: list[str] = []
    name = type(step.event).__name__
    if name not in ("AudioClock", "Tick", "PlayedReport", "TokensArrived", "ClauseAudio"):
        found.append(f"> {name}{_fields(step.event)}")
    for action in step.actions:
        told = action.event if isinstance(action, Tell) else action
        name = type(told).__name__
        if name not in ("AudioOut", "TextOut"):
            found.append(f"    {name}{_fields(told)}")
    return found


def _fields(value: Any) -> str:
    shown = {
        key: inner for key, inner in encode(value).items() if key != "$" and inner not in (None, "", [], {}, False)
    }
    text = ", ".join(f"{key}={_shown(inner, 60)}" for key, inner in shown.items())
    return f"({text[:160]}{'...' if len(text) > 160 else ''})" if text else ""


def _shown(value: Any, most: int = 400) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else text[:most] + "..."


def _object(text: str, number: int) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRecording(f"line {number} is not JSON") from None
    if not isinstance(data, dict):
        raise BadRecording(f"line {number} is no object")
    return data
