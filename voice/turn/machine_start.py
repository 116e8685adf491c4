"""What a turn machine begins with, as one value: so that it can be kept and made again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voice.session.config import SessionConfig
from voice.settings import ToolSettings, TurnSettings
from voice.turn.history import History, Item
from voice.turn.machine import TurnMachine

__all__ = ["MachineStart"]


@dataclass(frozen=True, slots=True)
class MachineStart:
    """`audible`: the wake words that the ears can hear; `items`: the history so far."""

    config: SessionConfig
    settings: TurnSettings
    audible: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()
    system_prompt: str = ""
    tools: ToolSettings = ToolSettings()
    server_tools: Mapping[str, Any] = field(default_factory=dict)
    scoring: bool = False
    language: str = "auto"
    """That of the server's voice, where the operator has set one."""

    def machine(self, history: History | None = None) -> TurnMachine:
        """`history`: where the conversation is kept; it begins with `items`."""
        return TurnMachine(
            self.config,
            self.settings,
            audible=frozenset(self.audible),
            history=History(self.items) if history is None else history,
            system_prompt=self.system_prompt,
            tools=self.tools,
            server_tools=dict(self.server_tools),
            scoring=self.scoring,
            language=self.language,
        )
