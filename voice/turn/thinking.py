"""What is asked of the model for one reply. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm.messages import Message
from voice.mouth.reply_options import ReplyOptions
from voice.session.config import SessionConfig
from voice.turn.actions import Think
from voice.turn.tool_rounds import chat_tool

__all__ = ["choice_among", "think_of"]


def think_of(
    number: int,
    messages: tuple[Message, ...],
    options: ReplyOptions,
    config: SessionConfig,
    *,
    out_of_band: bool = False,
) -> Think:
    """The request to the model: the client's wishes for this reply over the session's configuration."""
    llm = config.llm
    return Think(
        revision=number,
        messages=messages,
        tools=tuple(map(chat_tool, llm.tools if options.tools is None else options.tools)),
        tool_choice=llm.tool_choice if options.tool_choice is None else options.tool_choice,
        temperature=llm.temperature if options.temperature is None else options.temperature,
        max_tokens=llm.max_tokens if options.max_tokens is None else options.max_tokens,
        out_of_band=out_of_band,
    )


def choice_among(
    choice: str | Mapping[str, Any] | None, tools: Sequence[Mapping[str, Any]]
) -> str | Mapping[str, Any] | None:
    """The choice of a tool, where it can be made; None where it names none of `tools`, or must call one of none."""
    if isinstance(choice, Mapping):
        wanted = choice.get("function", choice)
        name = wanted.get("name") if isinstance(wanted, Mapping) else None
        return choice if any(chat_tool(tool)["function"]["name"] == name for tool in tools) else None
    return None if choice == "required" and not tools else choice
