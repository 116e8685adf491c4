"""Between our nouns and Ollama's /api/chat. Pure. Source: Ollama's docs/api.md and api/types.go."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llm.convert.formats import grammar_schema
from llm.errors import BackendFailed, ToolNotCalled
from llm.messages import GenerateRequest, ImagePart, Message
from llm.port import BackendConfig
from llm.remote.chunk_reader import ContentCheck, count_of, error_of, logprob_of, plain_content
from llm.remote.inline_thoughts import InlineThoughts
from llm.replies.tool_calls import named_tools
from llm.stream import Finish, FinishReason, ReasoningDelta, StreamEvent, ToolCallDelta, Usage
from models.errors import BadInput

__all__ = ["OllamaReader", "chat_body", "kept", "model_options", "num_ctx_of"]

DEFAULT_NUM_CTX = 8192
"""Sent with every request: one that named no size, beside one that did, would make Ollama load the model again."""
_NUMBER = re.compile(r"-?\d{1,18}")
_OF_MODELFILE = re.compile(r"^num_ctx\s+(\d+)\s*$", re.MULTILINE)

_SAME = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "typical_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "repeat_penalty",
    "repeat_last_n",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
)


def num_ctx_of(shown: object, config: BackendConfig) -> int:
    """`shown`: Ollama's answer to /api/show, None where it knows no such model. `context_size`, else what the model's
    own Modelfile sets, else 8192; at most what it was trained on.
    """
    told = shown if isinstance(shown, dict) else {}
    info, parameters = told.get("model_info"), told.get("parameters")
    own = _OF_MODELFILE.search(parameters) if isinstance(parameters, str) else None
    wanted = config.context_size or (int(own[1]) if own else DEFAULT_NUM_CTX)
    limits = [
        value
        for name, value in (info.items() if isinstance(info, dict) else ())
        if name.endswith(".context_length") and isinstance(value, int) and value > 0
    ]
    return min([wanted, *limits])


def kept(config: BackendConfig) -> str | int:
    """Ollama takes a text only with a unit in it; a number is of seconds."""
    text = config.keep_alive.strip()
    return int(text) if _NUMBER.fullmatch(text) else text


def model_options(config: BackendConfig, num_ctx: int) -> dict[str, Any]:
    """The options that decide how the model is loaded: the same in every request."""
    options: dict[str, Any] = {"num_ctx": num_ctx}
    if config.gpu_layers:
        options["num_gpu"] = config.gpu_layers
    if config.threads:
        options["num_thread"] = config.threads
    if config.use_memory_lock:
        options["use_mlock"] = True
    return options


def chat_body(request: GenerateRequest, model: str) -> dict[str, Any]:
    """All but what decides how the model is loaded. Raises BadInput for what Ollama cannot do."""
    if request.n != 1:
        raise BadInput("Ollama gives only one reply per request", param="n")
    if request.grammar is not None:
        raise BadInput(
            "Ollama does not support GBNF grammars", param="grammar", hint="use response_format with a JSON schema"
        )
    sampling = request.sampling
    options: dict[str, Any] = {name: getattr(sampling, name) for name in _SAME if getattr(sampling, name) is not None}
    if sampling.max_tokens is not None:
        options["num_predict"] = sampling.max_tokens
    if sampling.stop:
        options["stop"] = list(sampling.stop)
    names = {call.id: call.name for message in request.messages for call in message.tool_calls}
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(message, names) for message in request.messages],
        "stream": True,
        "options": options,
    }
    forced = named_tools(request.tools, request.tool_choice)
    tools = request.tools if forced is None else forced
    if tools and request.tool_choice != "none":
        body["tools"] = [dict(tool) for tool in tools]
    if request.thinking is not None:
        body["think"] = request.thinking
    if (schema := grammar_schema(request.response_format)) is not None:
        body["format"] = dict(schema) or "json"
    if sampling.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": sampling.logprobs}
    return body


def _message(message: Message, names: Mapping[str, str]) -> dict[str, Any]:
    role = "system" if message.role == "developer" else message.role
    wire: dict[str, Any] = {"role": role, "content": message.content}
    images = [base64.b64encode(part.data).decode() for part in message.media if isinstance(part, ImagePart)]
    if len(images) != len(message.media):
        raise BadInput("Ollama cannot handle audio, only text and images", param="messages")
    if images:
        wire["images"] = images
    thoughts = message.extra.get("reasoning_content") or message.extra.get("reasoning")
    if message.role == "assistant" and isinstance(thoughts, str):
        wire["thinking"] = thoughts
    if message.tool_calls:
        wire["tool_calls"] = [
            {"function": {"name": call.name, "arguments": _arguments(call.arguments)}} for call in message.tool_calls
        ]
    if message.role == "tool":
        wire["tool_name"] = message.name or names.get(message.tool_call_id or "", "")
    return wire


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@dataclass(slots=True)
class OllamaReader:
    """Lines into stream events. Tool calls come whole, without an id, with their arguments as an object. Imitators
    send one call without a list around it, a call without a `function` around it, and the text as /api/generate does.
    Ollama has no `tool_choice`: with `must_call` a reply without a call is an error, and its text waits for a call.
    """

    must_call: bool = False
    done: bool = False
    _said: list[StreamEvent] = field(default_factory=list)
    _content_check: ContentCheck = field(default_factory=ContentCheck)
    _calls: int = 0
    _thoughts: InlineThoughts = field(default_factory=InlineThoughts)

    def read(self, line: object) -> list[StreamEvent]:
        """Raises an LlmError where the line is an error object."""
        if not isinstance(line, Mapping):
            raise BackendFailed("the server sent a line that is not an object")
        if line.get("error"):
            raise error_of(0, line)
        found = line.get("message")
        message = found if isinstance(found, Mapping) else {}
        if not message and isinstance(line.get("response"), str):
            message = {"content": line["response"], "thinking": line.get("thinking")}
        told = message
        if isinstance(message.get("content"), list):
            message = plain_content(message)
        events: list[StreamEvent] = []
        if isinstance(thinking := message.get("thinking"), str) and thinking:
            self._thoughts.told_apart(0)
            events.append(ReasoningDelta(thinking))
        told_logprobs = line.get("logprobs")
        known = told_logprobs if isinstance(told_logprobs, list) else []
        logprobs = tuple(logprob_of(row) for row in known if isinstance(row, Mapping))
        text = message.get("content")
        if (isinstance(text, str) and text) or logprobs:
            events += self._thoughts.said(text if isinstance(text, str) else "", 0, logprobs)
        calls = message.get("tool_calls")
        rows = calls if isinstance(calls, list) else [calls]
        for call in (row for row in rows if isinstance(row, Mapping) and row.keys() & {"function", "name"}):
            events.append(self._call(call.get("function", call), call.get("id")))
        self._content_check.saw(told, bool(events) or (isinstance(text, str) and bool(text)))
        if line.get("done"):
            self._content_check.check()
            self.done = True
            events += self._thoughts.ended()
            events.append(Finish(self._reason(line), _usage(line), str(line.get("model") or "")))
        return self._with_call(events) if self.must_call else events

    def _with_call(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """What may go on of these."""
        if self._calls:
            said, self._said = self._said, []
            return [*said, *events]
        if self.done:
            raise ToolNotCalled(
                "the model called no tool",
                hint="Ollama cannot make it call one; a model in a slot must, if it is told to",
            )
        self._said += [event for event in events if not isinstance(event, ReasoningDelta)]
        return [event for event in events if isinstance(event, ReasoningDelta)]

    def _call(self, function: object, id: object) -> ToolCallDelta:
        if not isinstance(function, Mapping):
            raise BackendFailed("the server sent a tool call that is not an object")
        index, self._calls = self._calls, self._calls + 1
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
        return ToolCallDelta(index, str(id) if id else f"call_{index}", str(function.get("name") or ""), text)

    def _reason(self, line: Mapping[str, Any]) -> FinishReason:
        if self._calls:
            return "tool_calls"
        return "length" if line.get("done_reason") == "length" else "stop"


def _usage(line: Mapping[str, Any]) -> Usage | None:
    """A prompt that was cached whole is left out by older versions, and counts 0."""
    if "eval_count" not in line and "prompt_eval_count" not in line:
        return None
    return Usage(count_of(line.get("prompt_eval_count")), count_of(line.get("eval_count")))
