"""A request of OpenAI's Responses API, made one of its chat API: items become messages. Pure.

What it answers with is in response_writer.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llm.convert.chat import parse_chat, to_request
from llm.messages import GenerateRequest, WaitState
from llm.wire.chat import ChatRequest
from llm.wire.responses import ResponsesRequest
from models.errors import BadInput

if TYPE_CHECKING:
    from llm.routing.route_trace import RouteTrace

__all__ = ["Item", "items_of", "request_of"]

Item = Mapping[str, Any]

_ROLES = ("user", "assistant", "system", "developer")
_ITEMS = "message, function_call, function_call_output, reasoning and item_reference are"
_LOGPROBS = "message.output_text.logprobs"
_ALSO = frozenset(ChatRequest.model_fields) - {"n", "stream_options"}
"""Of a chat request, where a client sends them: seed, stop, top_k and their like."""
_PLACE = re.compile(r"messages\[(\d+)\]")


def items_of(asked: ResponsesRequest, kept: Callable[[str], Item | None], new_id: Callable[[str], str]) -> list[Item]:
    """What the request brings, item by item, each with its id; references are replaced by what they mean.

    Raises BadInput.
    """
    if isinstance(asked.input, str):
        content = [{"type": "input_text", "text": asked.input}]
        return [{"type": "message", "id": new_id("msg_"), "role": "user", "content": content}] if asked.input else []
    found: list[Item] = []
    for index, item in enumerate(asked.input):
        name = item.get("id")
        # Without its type an item is a message, or, with nothing but an id, a reference.
        kind = item.get("type") or ("message" if "role" in item else "item_reference")
        if kind == "item_reference":
            one = kept(name) if isinstance(name, str) else None
            if one is None:
                hint = "send the item itself; answers are kept for a while only, and not with store: false"
                raise BadInput(f"item {str(name)[:80]!r} is not kept here", param=f"input[{index}].id", hint=hint)
            found.append(one)
        else:
            prefix = {"function_call": "fc_", "function_call_output": "fco_", "reasoning": "rs_"}.get(kind, "msg_")
            found.append({**item, "type": kind, "id": name if isinstance(name, str) and name else new_id(prefix)})
    return found


def request_of(
    asked: ResponsesRequest,
    before: Sequence[Item],
    items: Sequence[Item],
    *,
    user: str = "",
    on_route: Callable[[RouteTrace], None] | None = None,
    on_wait: Callable[[WaitState], None] | None = None,
) -> GenerateRequest:
    """As a chat would ask it; `before` are the items of the conversation so far. Raises BadInput."""
    for name in ("background", "conversation", "prompt"):
        if getattr(asked, name):
            raise BadInput(f"{name} is not available", param=name, hint="leave the field out")
    messages, places = _messages(asked.instructions, before, items)
    if not items:
        raise BadInput("input: there is nothing to answer", param="input")
    body: dict[str, Any] = {
        **{name: value for name, value in (asked.model_extra or {}).items() if name in _ALSO},
        "model": asked.model,
        "messages": messages,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "max_completion_tokens": asked.max_output_tokens,
        "parallel_tool_calls": asked.parallel_tool_calls,
        "user": asked.user,
        "response_format": _format(asked),
        "reasoning_effort": (asked.reasoning or {}).get("effort"),
    }
    if asked.service_tier is not None:
        body["service_tier"] = asked.service_tier
    if asked.top_logprobs or _LOGPROBS in (asked.include or ()):
        body |= {"logprobs": True, "top_logprobs": asked.top_logprobs or 0}
    if asked.tools:
        body["tools"] = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(asked.tools)]
    if asked.tool_choice is not None:
        body["tool_choice"] = _choice(asked.tool_choice)
    try:
        return to_request(parse_chat(body), user=user, on_route=on_route, on_wait=on_wait)
    except BadInput as error:
        raise _of_input(error, places) from None


def _of_input(error: BadInput, places: Sequence[int | None]) -> BadInput:
    """The same error, where its field is a message, of the item that it was."""
    found = _PLACE.match(error.param or "")
    if found is None:
        return error
    place = places[int(found[1])]
    where = "input" if place is None else f"input[{place}]"
    hint, message = error.hint, error.message.replace(found[0], where)
    return BadInput(message, param=where + (error.param or "")[found.end() :], hint=hint)


def _messages(
    instructions: str | None, before: Sequence[Item], items: Sequence[Item]
) -> tuple[list[dict[str, Any]], list[int | None]]:
    """The messages, and for each the index of its item in the request's input."""
    messages: list[dict[str, Any]] = []
    places: list[int | None] = []
    thoughts = ""
    if instructions:
        messages.append({"role": "system", "content": instructions})
        places.append(None)
    for number, item in enumerate([*before, *items]):
        place = number - len(before) if number >= len(before) else None
        where = "input" if place is None else f"input[{place}]"
        last = messages[-1] if messages else {}
        match item["type"]:
            case "reasoning":
                thoughts += "".join(_texts(item.get("content")))
                continue
            case "function_call" if last.get("role") == "assistant":
                last.setdefault("tool_calls", []).append(_call(item, where))
                if thoughts:
                    last.setdefault("reasoning_content", thoughts)
                    thoughts = ""
                continue
            case "function_call":
                message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [_call(item, where)]}
            case "function_call_output":
                message = {"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")}
                if not isinstance(item.get("call_id"), str):
                    raise BadInput("call_id: the id of the call that this is the result of", param=f"{where}.call_id")
            case "message":
                if item.get("role") not in _ROLES:
                    raise BadInput(f"role: one of {', '.join(_ROLES)}", param=f"{where}.role")
                message = {"role": item["role"], "content": item.get("content")}
            case kind:
                raise BadInput(
                    f"input of type {str(kind)[:40]!r} is not understood", param=f"{where}.type", hint=_ITEMS
                )
        if thoughts and message["role"] == "assistant":
            message["reasoning_content"] = thoughts
        thoughts = ""
        messages.append(message)
        places.append(place)
    return messages, places


def _texts(content: object) -> list[str]:
    parts = content if isinstance(content, list) else []
    return [part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str)]


def _call(item: Item, where: str) -> dict[str, Any]:
    for name in ("call_id", "name", "arguments"):
        if not isinstance(item.get(name), str):
            raise BadInput(f"{name}: a string", param=f"{where}.{name}")
    function = {"name": item["name"], "arguments": item["arguments"]}
    return {"id": item["call_id"], "type": "function", "function": function}


def _tool(tool: Mapping[str, Any], where: str) -> dict[str, Any]:
    if tool.get("type") != "function":
        hint = "tools that the client runs are: type function"
        raise BadInput(f"a tool of type {str(tool.get('type'))[:40]!r} is not available", param=where, hint=hint)
    fields = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {name: tool[name] for name in fields if tool.get(name) is not None}}


def _choice(choice: str | Mapping[str, Any]) -> str | dict[str, Any]:
    if isinstance(choice, str):
        return choice
    if choice.get("type") == "allowed_tools":
        tools = choice.get("tools")
        names = [{"type": "function", "function": tool} for tool in tools] if isinstance(tools, list) else tools
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.get("mode"), "tools": names}}
    if choice.get("type") != "function":
        hint = "none, auto, required, or one of type function or allowed_tools"
        raise BadInput("a tool_choice of this type is not available", param="tool_choice", hint=hint)
    return {"type": "function", "function": {"name": choice.get("name")}}


def _format(asked: ResponsesRequest) -> dict[str, Any] | None:
    wanted = (asked.text or {}).get("format")
    if wanted is None:
        return None
    if not isinstance(wanted, Mapping):
        raise BadInput("text.format: an object with a type", param="text.format")
    if wanted.get("type") != "json_schema":
        return dict(wanted)
    described = {name: value for name, value in wanted.items() if name != "type"}
    return {"type": "json_schema", "json_schema": described}
