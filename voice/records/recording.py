"""A session written down as it happens: what its turn machine heard, when, and what it did. Pure: lines of JSON.

The first line says what the machine began with; each further one is a step. `parley replay` takes the same steps
again and compares. With the speaker's consent the words are in it. Without, they are masked (masking.py), and a
second machine hears the masked words beside the first: its actions are the ones that are written, so that a replay
gives the same. Where it would have decided otherwise than the real one, because of the words themselves, the line
says `"differs": true`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from voice.records.codec import encode
from voice.records.masking import Mask
from voice.turn.actions import Action, Tell
from voice.turn.events import TurnEvent
from voice.turn.machine_start import MachineStart

__all__ = ["VERSION", "Recording"]

VERSION = 1


class Recording:
    """`mask` None: with consent. `session` names it as in the log."""

    def __init__(self, session: str, start: MachineStart, mask: Mask | None) -> None:
        start = replace(start, tools=replace(start.tools, http=()))  # there may be keys in it
        self._mask, self._machine = mask, None if mask is None else mask.value(start).machine()
        shown = start if mask is None else mask.value(start)
        self.head = _line(
            {"parley_recording": VERSION, "session": session, "words": mask is None, "start": encode(shown)}
        )

    def step(self, event: TurnEvent, now: float, actions: Sequence[Action]) -> str:
        """The line of one step of the machine."""
        if self._mask is None or self._machine is None:
            return _line({"t": now, "event": encode(event), "actions": encode(actions)})
        event = self._mask.value(event)
        instead = self._machine.step(event, now)
        line: dict[str, Any] = {"t": now, "event": encode(event), "actions": encode(instead)}
        if _kinds(instead) != _kinds(actions):
            line["differs"] = True
        return _line(line)


def _kinds(actions: Sequence[Action]) -> list[type]:
    return [type(action.event) if isinstance(action, Tell) else type(action) for action in actions]


def _line(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n"
