"""The options of the Python client into fields of a chat completion request. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm.convert.sampling import PLAIN_FIELDS
from models.errors import BadInput

__all__ = ["read_options"]

_OTHERS = (
    "stop",
    "logit_bias",
    "response_format",
    "max_tokens",
    "max_completion_tokens",
    "reasoning_effort",
    "logprobs",
    "top_logprobs",
    "tool_choice",
)


def read_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """(fields, num_ctx): Ollama's num_predict is max_tokens, thinking is a switch; num_ctx 0 is as configured.

    Raises BadInput for an option that nobody knows.
    """
    fields: dict[str, Any] = {}
    num_ctx = 0
    for name, value in options.items():
        if value is None:
            continue
        if name == "num_ctx":
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise BadInput("num_ctx: a number of tokens", param="num_ctx")
            num_ctx = value
        elif name == "num_predict":
            if value != -1:  # Ollama's word for no limit
                fields["max_tokens"] = value
        elif name == "n":
            if value != 1:
                raise BadInput("n: this client gives one reply a call", param="n", hint="call it n times")
        elif name == "thinking":
            fields["chat_template_kwargs"] = {"enable_thinking": bool(value)}
        elif name in PLAIN_FIELDS or name in _OTHERS:
            fields[name] = value
        else:
            raise BadInput(f"there is no option {name!r}", hint="see docs/python-client.md")
    return fields, num_ctx
