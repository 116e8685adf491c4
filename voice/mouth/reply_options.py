"""What a client may wish of one reply, over the session's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm.messages import Message

__all__ = ["DEFAULT_OPTIONS", "ReplyOptions"]


@dataclass(frozen=True, slots=True)
class ReplyOptions:
    """None means: as the session is configured.

    `key` is the client's name for the reply; it comes back in ReplyStarted and TurnComplete. `input` is told to the
    model instead of the conversation. A reply that is not `remembered` is not part of the conversation; one that is
    not `spoken` is text only. `voice` is the name of one, "default" the server's; `speed` 1.0 is normal.
    """

    key: str = ""
    instructions: str | None = None
    tools: tuple[Mapping[str, Any], ...] | None = None
    tool_choice: str | Mapping[str, Any] | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    spoken: bool | None = None
    voice: str | None = None
    speed: float | None = None
    input: tuple[Message, ...] | None = None
    remembered: bool = True
    about: tuple[tuple[int, str], ...] = ()
    """Places in `input` at which items of the conversation belong whose words were not known yet."""


DEFAULT_OPTIONS = ReplyOptions()
