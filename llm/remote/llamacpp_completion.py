"""llama.cpp's native /completion: prompt in, chunks out. Pure. Source: llama.cpp's tools/server/README.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from llm.convert.sampling import sampling_body
from llm.errors import BackendFailed
from llm.messages import GenerateRequest
from llm.remote.chunk_reader import ContentCheck, count_of, error_of, logprob_of
from llm.remote.inline_thoughts import InlineThoughts
from llm.stream import Finish, StreamEvent, TokenLogprob, Usage

__all__ = ["CompletionReader", "completion_body"]


def completion_body(
    request: GenerateRequest, model: str, prompt: str, schema: Mapping[str, Any] | None
) -> dict[str, Any]:
    body = sampling_body(request.sampling)
    body["n_predict"] = body.pop("max_tokens", -1)
    if bias := body.pop("logit_bias", None):
        body["logit_bias"] = [[int(token), value] for token, value in bias.items()]
    if request.sampling.logprobs is not None:
        body["n_probs"] = max(1, request.sampling.logprobs)  # 0 tells nothing of the chosen token either
    if request.grammar is not None:
        body["grammar"] = request.grammar
    elif schema is not None:
        body["json_schema"] = dict(schema)
    return {**body, "prompt": prompt, "stream": True, "cache_prompt": True, **({"model": model} if model else {})}


@dataclass(slots=True)
class CompletionReader:
    """`likely`: how many of the likeliest tokens to tell; None: no probabilities."""

    likely: int | None = None
    done: bool = False
    _content_check: ContentCheck = field(default_factory=ContentCheck)
    _thoughts: InlineThoughts = field(default_factory=InlineThoughts)

    def read(self, chunk: object) -> list[StreamEvent]:
        """Raises an LlmError where the chunk is an error object."""
        if not isinstance(chunk, Mapping):
            raise BackendFailed("the server sent something that is not a chunk")
        if chunk.get("error") or ("content" not in chunk and chunk.get("message")):  # bare behind `error:`
            raise error_of(0, chunk)
        events: list[StreamEvent] = []
        logprobs = self._logprobs(chunk.get("completion_probabilities"))
        if isinstance(text := chunk.get("content"), str) and (text or logprobs):
            events += self._thoughts.said(text, 0, logprobs)
        self._content_check.saw(chunk, isinstance(text, str) and bool(text))
        if chunk.get("stop") is True:
            self._content_check.check()
            self.done = True
            events += self._thoughts.ended()
            reason = chunk.get("stop_type")
            limited = reason == "limit" or (reason is None and bool(chunk.get("stopped_limit")))
            events.append(Finish("length" if limited else "stop", _usage(chunk), str(chunk.get("model") or "")))
        return events

    def _logprobs(self, rows: object) -> tuple[TokenLogprob, ...]:
        if self.likely is None or not isinstance(rows, list):
            return ()
        found = (logprob_of(row) for row in rows if isinstance(row, Mapping))
        return tuple(replace(one, top=one.top[: self.likely]) for one in found)


def _usage(chunk: Mapping[str, Any]) -> Usage:
    found = chunk.get("timings")
    timings = found if isinstance(found, Mapping) else {}
    return Usage(
        count_of(chunk.get("tokens_evaluated")),
        count_of(chunk.get("tokens_predicted")),
        count_of(timings.get("cache_n")),
    )
