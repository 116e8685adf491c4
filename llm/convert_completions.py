"""The text completion endpoints: requests in, whole answers and chunks out. Pure.

OpenAI's `/v1/completions`, and llama.cpp's `/completion` with its own field names.
"""

from __future__ import annotations

from typing import Any

from llm.convert import sampling_of, usage_object
from llm.engine import EngineFinish
from llm.messages import Priority, Sampling
from llm.wire.completions import CompletionRequest, NativeCompletionRequest
from models.errors import BadInput

__all__ = [
    "completion_sampling",
    "native_answer",
    "native_sampling",
    "one_prompt",
    "priority_of",
    "text_answer",
    "text_chunk",
]


def completion_sampling(request: CompletionRequest) -> Sampling:
    """Raises BadInput for what this endpoint cannot do here."""
    if request.n not in (None, 1) or request.best_of not in (None, 1):
        raise BadInput("one completion a request is made here", param="n", hint="send the request n times")
    for name in ("logprobs", "suffix", "echo"):
        if getattr(request, name):
            raise BadInput(f"{name} is not available", param=name, hint="leave the field out")
    return sampling_of(request, request.max_tokens)


def one_prompt(prompt: str | list[int] | list[str] | list[list[int]]) -> str | list[int]:
    """A text or its tokens. Lists of one prompt are taken apart; more are refused."""
    if isinstance(prompt, str):
        return prompt
    if prompt and isinstance(prompt[0], str | list):
        if len(prompt) > 1:
            raise BadInput("one prompt a request is answered here", param="prompt", hint="send one request for each")
        return prompt[0]
    return [token for token in prompt if isinstance(token, int)]


def native_sampling(request: NativeCompletionRequest) -> Sampling:
    """Out-of-range values mean "off" in llama.cpp: top_k 0 or less, top_p 1 or more, min_p 0 or less."""
    bias: dict[int, float] = {}
    entries = request.logit_bias.items() if isinstance(request.logit_bias, dict) else request.logit_bias or ()
    for token, value in entries:
        try:
            bias[int(token)] = -1e9 if value is False else float(value)
        except ValueError:
            raise BadInput("logit_bias: keys are token numbers", param="logit_bias") from None
    return Sampling(
        temperature=request.temperature,
        top_p=None if request.top_p is None else min(1.0, max(0.0, request.top_p)),
        top_k=None if request.top_k is None else max(0, request.top_k),
        min_p=None if request.min_p is None else min(1.0, max(0.0, request.min_p)),
        max_tokens=None if request.n_predict < 0 else max(1, request.n_predict),
        stop=tuple(text for text in request.stop if text),
        seed=None if request.seed < 0 else request.seed,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        repeat_penalty=request.repeat_penalty,
        logit_bias=bias,
    )


def priority_of(name: str | None) -> Priority:
    return Priority.INTERACTIVE if name is None else Priority[name.upper()]


def text_answer(id: str, model: str, created: int, text: str, finish: EngineFinish) -> dict[str, Any]:
    whole = _text(id, model, created, text, finish)
    return {**whole, "usage": usage_object(finish.usage)}


def text_chunk(
    id: str, model: str, created: int, text: str, finish: EngineFinish | None, include_usage: bool
) -> list[dict[str, Any]]:
    """One chunk, and after the last one the usage where it was asked for."""
    chunk = _text(id, model, created, text, finish)
    if not include_usage:
        return [chunk]
    if finish is None:
        return [{**chunk, "usage": None}]
    return [{**chunk, "usage": None}, {**chunk, "choices": [], "usage": usage_object(finish.usage)}]


def _text(id: str, model: str, created: int, text: str, finish: EngineFinish | None) -> dict[str, Any]:
    reason = None if finish is None else "length" if finish.reason == "length" else "stop"
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}
    return {"id": id, "object": "text_completion", "created": created, "model": model, "choices": [choice]}


def native_answer(model: str, text: str, finish: EngineFinish | None) -> dict[str, Any]:
    """llama.cpp's result object: a piece of a stream, or (with `finish`) the last piece or the whole."""
    if finish is None:
        return {"content": text, "stop": False}
    usage = finish.usage
    fresh = usage.prompt_tokens - usage.cached_tokens
    return {
        "content": text,
        "stop": True,
        "stop_type": "limit" if finish.reason == "length" else "eos",
        "model": model,
        "tokens_evaluated": usage.prompt_tokens,
        "tokens_cached": usage.cached_tokens,
        "tokens_predicted": usage.completion_tokens,
        "truncated": False,
        "timings": {
            "queued_ms": round(1000 * finish.queued_s, 3),
            "prompt_n": fresh,
            "prompt_ms": round(1000 * finish.prompt_s, 3),
            "prompt_per_second": _rate(fresh, finish.prompt_s),
            "predicted_n": usage.completion_tokens,
            "predicted_ms": round(1000 * finish.reply_s, 3),
            "predicted_per_second": _rate(usage.completion_tokens - 1, finish.reply_s),
        },
    }


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 3) if seconds > 0 and count > 0 else 0.0
