"""Reading what OpenAI-compatible servers answer: chunks into stream events, errors into typed errors. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from math import isfinite
from typing import Any, TypeGuard

from llm.convert.thought_details import details_of
from llm.errors import (
    BackendFailed,
    ContextTooLong,
    NoSuchEndpoint,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    UnknownModel,
)
from llm.remote.call_index import CallIndex
from llm.remote.inline_thoughts import InlineThoughts
from llm.stream import (
    ChoiceEnd,
    Finish,
    FinishReason,
    ReasoningDelta,
    StreamEvent,
    TokenLogprob,
    ToolCallDelta,
    Usage,
    UsageSoFar,
)
from models.errors import BadInput, ParleyError
from models.secrecy import hidden

__all__ = ["LEAST_LOGPROB", "ChunkReader", "ContentCheck", "count_of", "error_of", "logprob_of", "plain_content"]

LEAST_LOGPROB = -9999.0
"""OpenAI's number for what is most unlikely; JSON has no infinity."""
_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


_FORM = {"role", "content", "refusal", "reasoning_content", "reasoning", "tool_calls", "function_call"}


@dataclass(slots=True)
class ContentCheck:
    """Whether there was anything to read in a reply. One without a word is right where it is in a form that we know:
    the model had nothing to say. Else its words may stand where nobody looked.
    """

    words: bool = False
    _known: bool = False
    _odd: bool = False

    def saw(self, message: Mapping[str, Any], words: bool) -> None:
        self.words = self.words or words
        self._known = self._known or not _FORM.isdisjoint(message)
        self._odd = self._odd or not words and any(message.get(name) for name in ("content", "tool_calls"))

    def check(self) -> None:
        """At the end of a reply. Raises BackendFailed."""
        if not self.words and (self._odd or not self._known):
            hint = "does base_url point at a chat API? the answer came in another form"
            raise BackendFailed("the server sent an answer in which there is nothing to read", hint=hint)


@dataclass(slots=True)
class ChunkReader:
    """A server's chunks into stream events; forgiving where servers differ.

    Reasoning comes as `reasoning_content` (llama.cpp, DeepSeek) or `reasoning` (vLLM, mlx), or as a part of the
    content (Mistral); tool calls may lack an index or an id (Ollama sends index 0 for all: a new id begins a new
    call). Thoughts that stand in the content before the answer are told apart. A choice that ended with an error
    (OpenRouter) is an error, and no answer, and so is one in which there is nothing to read. A refusal is what the
    model says; a choice may have its text as the old completions do. Choices that nobody asked for are left out.
    `close()` gives the last events.
    """

    reason: FinishReason | None = None
    usage: Usage | None = None
    model: str = ""
    choices: int = 1
    """How many were asked for."""
    thoughts: InlineThoughts = field(default_factory=InlineThoughts)
    content_check: ContentCheck = field(default_factory=ContentCheck)
    _only: int | None = None
    """The number of the choice, where one was asked for."""
    _told: Usage | None = None
    _calls: dict[int, CallIndex] = field(default_factory=dict)
    """The tool calls of every choice."""

    def read(self, chunk: object) -> list[StreamEvent]:
        """Raises an LlmError where the chunk is an error object, BackendFailed where it is no chunk at all."""
        if not isinstance(chunk, dict):
            raise BackendFailed(
                "the server sent something that is not a chunk", hint="check that base_url is the address of the API"
            )
        error = chunk.get("error")
        if error or chunk.get("object") == "error" or ("choices" not in chunk and _tells_error(chunk)):
            raise error_of(0, chunk)
        self.model = str(chunk.get("model") or self.model)
        if isinstance(chunk.get("usage"), dict):
            self.usage = _usage(chunk["usage"])
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            return []
        events = [event for choice in choices if isinstance(choice, dict) for event in self._choice(choice)]
        if self.usage is not None and self.usage != self._told and self.reason is None:
            self._told = self.usage
            events.append(UsageSoFar(self.usage))
        return events

    def _choice(self, choice: Mapping[str, Any]) -> list[StreamEvent]:
        """With several choices each ends with an event of its own; the only one ends with the stream."""
        number = self._number(choice.get("index"))
        if number is None:
            return []
        events: list[StreamEvent] = []
        finish = choice.get("finish_reason")
        if (fault := choice.get("error")) or finish == "error":
            raise error_of(0, {"error": fault or "the server ended its reply with an error"})
        delta = choice.get("delta") or choice.get("message") or {}
        if not isinstance(delta, dict):
            raise BackendFailed("the server sent a delta that is not an object")
        if not delta and isinstance(choice.get("text"), str):
            delta = {"content": choice["text"]}
        told = delta
        if isinstance(delta.get("content"), list):
            delta = plain_content(delta)
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        thought, details = reasoning if isinstance(reasoning, str) else "", details_of(delta)
        if thought:
            self.thoughts.told_apart(number)
        if thought or details:
            events.append(ReasoningDelta(thought, number, details))
        content = delta.get("content") or delta.get("refusal")
        logprobs = _logprobs(choice.get("logprobs"))
        if (isinstance(content, str) and content) or logprobs:
            events += self.thoughts.said(content if isinstance(content, str) else "", number, logprobs)
        if calls := delta.get("tool_calls"):
            rows = calls if isinstance(calls, list) else [calls]
            events.extend(self._tool_call(call, number) for call in rows if isinstance(call, dict))
        elif isinstance(call := delta.get("function_call"), dict):  # one, without an id: before there were tools
            events.append(self._tool_call({"function": call}, number))
        self.content_check.saw(told, bool(events) or (isinstance(content, str) and bool(content)))
        if finish and self.choices == 1:
            self.content_check.check()
        if finish:
            events += [*self.thoughts.ended(number), *self._calls_ended(number)]
            reason = _REASONS.get(str(finish), "stop")
            self.reason = self.reason or reason if number else reason
            if self.choices > 1:
                events.append(ChoiceEnd(number, reason))
        return events

    def close(self) -> list[StreamEvent]:
        """The last events of a stream. Raises BackendFailed where there was nothing to read in it."""
        self.content_check.check()
        calls = (event for choice in self._calls for event in self._calls_ended(choice))
        return [*self.thoughts.all_ended(), *calls, self.finish()]

    def finish(self) -> Finish:
        """The end of the stream. Servers that count no tokens leave `usage` None."""
        return Finish(self.reason or "stop", self.usage, self.model)

    def _number(self, index: object) -> int | None:
        """Of a choice; None where it is none of those that were asked for."""
        number = index if isinstance(index, int) and index >= 0 else 0
        if self.choices > 1:
            return number if number < self.choices else None
        self._only = number if self._only is None else self._only
        return 0 if number == self._only else None

    def _calls_ended(self, choice: int) -> list[ToolCallDelta]:
        """A call without arguments has an empty object of them: nobody can read an empty text as JSON."""
        calls = self._calls.get(choice)
        return (
            [ToolCallDelta(index, None, None, "{}", choice) for index in calls.without_arguments()] if calls else []
        )

    def _tool_call(self, call: Mapping[str, Any], choice: int) -> ToolCallDelta:
        function = call.get("function")
        function = function if isinstance(function, dict) else call
        arguments, name = function.get("arguments"), function.get("name")
        if not isinstance(arguments, str | None):  # an object is Ollama's way, which imitators have, too
            arguments = json.dumps(arguments, ensure_ascii=False)
        name = name if isinstance(name, str) and name else None
        text = arguments or ""
        calls = self._calls.setdefault(choice, CallIndex())
        index, id, name = calls.place(call.get("index"), call.get("id"), name, text)
        return ToolCallDelta(index, id, name, text, choice, {one: call[one] for one in call if one not in _OF_CALLS})


def plain_content(delta: Mapping[str, Any]) -> dict[str, Any]:
    """With the content as a text, and thoughts beside it, where the content is a list of parts. Mistral's reasoning
    models write so: {"type": "thinking", "thinking": [{"type": "text", ...}]}, {"type": "text", "text": ...}.
    """
    content = delta.get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    thoughts = "".join(_text_of(part.get("thinking")) for part in parts if part.get("type") == "thinking")
    plain = {**delta, "content": _text_of([part for part in parts if part.get("type") in _TEXTS])}
    return plain | ({"reasoning_content": thoughts} if thoughts else {})


_OF_CALLS = frozenset(("index", "id", "type", "function", "name", "arguments"))
_TEXTS = ("text", "output_text", None)


def _text_of(parts: object) -> str:
    if isinstance(parts, str):
        return parts
    rows = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return "".join(row["text"] for row in rows if isinstance(row.get("text"), str))


def _tells_error(chunk: Mapping[str, Any]) -> bool:
    """FastAPI's {"detail": ...}, Cloudflare's {"errors": [...]}, {"success": false, ...}; and {"message": ...,
    "code": ...}, an error that nothing is put around.
    """
    if chunk.get("detail") or chunk.get("errors") or chunk.get("success") is False:
        return True
    return bool(chunk.get("message")) and ("code" in chunk or "type" in chunk or chunk.get("status") == "error")


def _logprobs(found: object) -> tuple[TokenLogprob, ...]:
    content = found.get("content") if isinstance(found, dict) else None
    if not isinstance(content, list):
        return _old_logprobs(found) if isinstance(found, dict) else ()
    return tuple(logprob_of(one) for one in content if isinstance(one, dict))


def _old_logprobs(found: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
    """Those of the old completions, which are parallel lists."""
    lists = [found.get(name) for name in ("tokens", "token_logprobs", "top_logprobs")]
    tokens, values, tops = (one if isinstance(one, list) else [] for one in lists)
    rows = [{"token": token, "logprob": value} for token, value in zip_longest(tokens, values)]
    for row, top in zip(rows, tops, strict=False):
        likely = top if isinstance(top, dict) else {}
        row["top_logprobs"] = [{"token": token, "logprob": value} for token, value in likely.items()]
    return tuple(logprob_of(row) for row in rows)


def logprob_of(one: Mapping[str, Any]) -> TokenLogprob:
    """One row of OpenAI's `logprobs.content`."""
    token, value, data = str(one.get("token", "")), one.get("logprob"), one.get("bytes")
    top = one.get("top_logprobs")
    return TokenLogprob(
        token,
        float(value) if isinstance(value, int | float) and isfinite(value) else LEAST_LOGPROB,
        bytes(data) if _are_bytes(data) else token.encode("utf-8", "replace"),
        tuple(logprob_of(other) for other in top if isinstance(other, dict)) if isinstance(top, list) else (),
    )


def _are_bytes(data: object) -> TypeGuard[list[int]]:
    return isinstance(data, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in data)


def _usage(usage: Mapping[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(count_of(usage.get("prompt_tokens")), count_of(usage.get("completion_tokens")), count_of(cached))


def count_of(value: object) -> int:
    """A number of tokens or of a thing, also as a text; 0 for what is no such number."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    elif isinstance(value, str) and len(value) < 17 and value.isdecimal():
        value = int(value)
    return value if isinstance(value, int) and 0 <= value < 2**53 else 0


_TOO_LONG = re.compile(r"context (length|size|window)|maximum model length|max_seq_len", re.IGNORECASE)
"""OpenAI, vLLM and LM Studio say length, llama.cpp size, TabbyAPI max_seq_len."""


_NOT_LOADED = re.compile(r"no models? (is |are )?(currently )?loaded", re.IGNORECASE)
"""TabbyAPI (with 400) and LM Studio: nothing is wrong with the request, and another server may take it."""


_QUOTA = "insufficient_quota"
"""OpenAI's word beside a 429 that will not pass."""


_MODEL_MISSED = re.compile(r"models?\b|deployment|endpoints found", re.IGNORECASE)
"""In a 404 that is about the model: Azure calls one a deployment, OpenRouter finds no endpoints for it."""


_OF_MODEL = re.compile(r"\bmodel|\bmemory\b", re.IGNORECASE)
"""A 502, 503 or 504 that speaks of a model is of that model; else it is of the server, or of a proxy before it."""


def _innermost(body: object) -> object:
    """FastAPI puts an error into `detail`, TabbyAPI a whole error object; 422 has a list of what is wrong where.
    Mistral puts FastAPI's into `message`, Google an error object into a list, Cloudflare several into `errors`: the
    first one counts.
    """
    for _ in range(3):
        if isinstance(body, list) and body and isinstance(body[0], Mapping) and body[0].keys() & {"error", "message"}:
            body = body[0]
        inner = (body.get("error") or body.get("detail") or body.get("errors")) if isinstance(body, Mapping) else None
        if inner is None and isinstance(body, Mapping) and isinstance(body.get("message"), Mapping):
            inner = body["message"]
        if not isinstance(inner, Mapping | list | str):
            break
        body = inner
    if isinstance(body, list):
        rows = [row for row in body if isinstance(row, Mapping)]
        wrong = (f"{'.'.join(map(str, _places(row)))}: {row.get('msg')}" for row in rows)
        return "; ".join(wrong) or str(body)
    return body


def _places(row: Mapping[str, Any]) -> list[object]:
    found = row.get("loc")
    return found if isinstance(found, list) else []


def error_of(status: int, body: object, retry_after_s: int | None = None) -> ParleyError:
    """The typed error for a server's error answer; it understands the shapes that servers have.

    BadInput where the server blames the request: no other server would like it better.
    """
    error = _innermost(body)
    code, param = (error.get("code"), error.get("param")) if isinstance(error, Mapping) else (None, None)
    # {"error": {...}}, {"error": "text"} (Ollama, TGI), {"message": ...} (vLLM), {"detail": ...} (FastAPI)
    message = str(error.get("message") or error.get("detail") or error) if isinstance(error, Mapping) else str(error)
    message = hidden(message)[:500] or f"status {status}"
    if status in (0, 200) and isinstance(code, int) and 400 <= code < 600:
        status = code  # an error inside a stream has its status here (vLLM, llama.cpp)
    if _NOT_LOADED.search(message):
        return UnknownModel(message, hint="load a model in that server")
    if code == "context_length_exceeded" or _TOO_LONG.search(message):
        return ContextTooLong(message, hint="shorten the conversation, or load the model with a larger context")
    if status in (404, 405) and code != "model_not_found" and not _MODEL_MISSED.search(message):
        hint = "is the base_url of this backend the address of an API, and one that has this endpoint?"
        return NoSuchEndpoint(message, hint=hint)
    if status in (404, 405, 501) or code == "model_not_found":  # 501: llama.cpp without --embeddings, --reranking
        return UnknownModel(message, hint="GET /v1/models lists the models")
    kind = error.get("type") if isinstance(error, Mapping) else None
    if _QUOTA in (code, kind):
        hint = "the account behind the api_key of this backend is used up"
        return QuotaExceeded(message, hint=hint, of_server=True)
    limited = status == 429 or code == "rate_limit_exceeded"
    if limited or status == 503 or code == "overloaded":
        return (RateLimited if limited else Overloaded)(
            message,
            hint="try again in a moment",
            retry_after_s=retry_after_s or 2,
            told=retry_after_s is not None,
            of_server=status == 503 and not _OF_MODEL.search(message),
        )
    if status in (400, 413, 422) or (status == 0 and code == BadInput.code):
        hint = "the server of this model says so; another model may take it"
        return BadInput(message, hint=hint, param=param if isinstance(param, str) else None)
    if status in (401, 403):
        return BackendFailed(message, hint="check the api_key of this backend", of_server=status == 401)
    if status == 402:
        hint = "the account behind the api_key of this backend has to be paid for"
        return BackendFailed(message, hint=hint, of_server=True)
    before = status in (502, 504) and not _OF_MODEL.search(message)
    return BackendFailed(message, hint="see the log of that server", of_server=before)
