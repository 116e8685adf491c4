"""What a tool of the server is: one file in voice/tools/ with a `SPEC`; the file is named after the tool."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models.clock import Clock
from voice.errors import VoiceError

__all__ = ["ToolFailed", "ToolSpec"]


class ToolFailed(VoiceError):
    """The tool cannot do it; the model is told why, in the message."""

    code = "tool_failed"


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """`parameters` is the JSON schema of the arguments (OpenAI's tool schema).

    `run(arguments, clock)` gives the result as text, mostly JSON; it raises ToolFailed, and is cancelled when its
    turn is. It must have no effect that outlives a cancelled turn without being announced.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: Callable[[Mapping[str, Any], Clock], Awaitable[str]]

    def schema(self) -> dict[str, Any]:
        """As a chat completion wants it."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}
