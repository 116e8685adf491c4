"""The text completion endpoints: requests in, whole answers and chunks out. Pure.

OpenAI's `/v1/completions`, and llama.cpp's `/completion` with its own field names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llm.convert.chat import MAX_CHOICES, usage_object
from llm.convert.logprobs import finite_logprob
from llm.convert.sampling import PLAIN_FIELDS, sampling_of
from llm.engine import EngineFinish
from llm.messages import Priority, Sampling
from llm.stream import FinishReason, TokenLogprob, Usage
from llm.wire.completions import DEFAULT_TOKENS, CompletionRequest, NativeCompletionRequest
from models.errors import BadInput

__all__ = [
    "TextWriter",
    "adapters_of",
    "completion_sampling",
    "native_answer",
    "native_prompts",
    "native_sampling",
    "native_settings",
    "only_fields",
    "priority_of",
    "prompts_of",
]

MAX_PROMPTS = 64


def completion_sampling(request: CompletionRequest) -> Sampling:
    """Raises BadInput for what this endpoint cannot do here."""
    if (request.n or 1) > MAX_CHOICES:
        raise BadInput(f"n: at most {MAX_CHOICES}", param="n")
    if request.best_of not in (None, request.n or 1):
        raise BadInput("best_of is not available", param="best_of", hint="leave the field out, or make it equal to n")
    if request.suffix:
        raise BadInput("suffix is not available", param="suffix", hint="leave the field out")
    limit = DEFAULT_TOKENS if request.max_tokens is None else request.max_tokens
    return sampling_of(request, limit, request.logprobs)


def prompts_of(prompt: str | list[Any]) -> list[str | list[int]]:
    """Each a text or its tokens. Raises BadInput where there are too many."""
    if isinstance(prompt, str):
        return [prompt]
    if prompt and isinstance(prompt[0], str | list):
        if len(prompt) > MAX_PROMPTS:
            raise BadInput(f"{len(prompt)} prompts; {MAX_PROMPTS} are answered in one request", param="prompt")
        return list(prompt)
    return [[token for token in prompt if isinstance(token, int)]]


def native_sampling(request: NativeCompletionRequest) -> Sampling:
    """Out-of-range values mean "off" in llama.cpp: top_k 0 or less, top_p 1 or more, min_p 0 or less."""
    bias: dict[int, float] = {}
    entries = request.logit_bias.items() if isinstance(request.logit_bias, dict) else request.logit_bias or ()
    for token, value in entries:
        try:
            bias[int(token)] = -1e9 if value is False else float(value)
        except ValueError:
            raise BadInput("logit_bias: keys are token numbers", param="logit_bias") from None
    sampling = Sampling(
        temperature=request.temperature,
        top_p=None if request.top_p is None else min(1.0, max(0.0, request.top_p)),
        top_k=None if request.top_k is None else max(0, request.top_k),
        min_p=None if request.min_p is None else min(1.0, max(0.0, request.min_p)),
        max_tokens=None if request.n_predict < 0 else request.n_predict,
        stop=tuple(text for text in request.stop if text),
        seed=None if request.seed < 0 else request.seed,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        repeat_penalty=request.repeat_penalty,
        logit_bias=bias,
        logprobs=request.n_probs or None,
        repeat_last_n=request.repeat_last_n,
        typical_p=request.typical_p,
        top_n_sigma=request.top_n_sigma,
        xtc_probability=request.xtc_probability,
        xtc_threshold=request.xtc_threshold,
        dry_multiplier=request.dry_multiplier,
        dry_base=request.dry_base,
        dry_allowed_length=request.dry_allowed_length,
        dry_penalty_last_n=request.dry_penalty_last_n,
        mirostat=request.mirostat,
        mirostat_tau=request.mirostat_tau,
        mirostat_eta=request.mirostat_eta,
        dynatemp_range=request.dynatemp_range,
        dynatemp_exponent=request.dynatemp_exponent,
        min_keep=request.min_keep,
        counts_prompt=True,
        ignore_eos=bool(request.ignore_eos),
    )
    return sampling if request.samplers is None else replace(sampling, **_off(request.samplers))


_OFF: dict[str, dict[str, Any]] = {
    "penalties": {"repeat_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0},
    "dry": {"dry_multiplier": 0.0},
    "top_n_sigma": {"top_n_sigma": -1.0},
    "top_k": {"top_k": 0},
    "typ_p": {"typical_p": 1.0},
    "top_p": {"top_p": 1.0},
    "min_p": {"min_p": 0.0},
    "xtc": {"xtc_probability": 0.0},
    "temperature": {"temperature": 1.0, "dynatemp_range": 0.0},
}
"""llama.cpp's names of the samplers, and what each is when it does nothing."""
_LETTERS = dict(zip("edskypmxt", _OFF, strict=True)) | {"i": "infill"}


def _off(samplers: list[str] | str) -> dict[str, Any]:
    """The settings that turn off what is not named. Raises BadInput for names that llama.cpp does not have."""
    names = [_LETTERS.get(letter, letter) for letter in samplers] if isinstance(samplers, str) else samplers
    names = [{"typical_p": "typ_p"}.get(name, name) for name in names]
    if unknown := [name for name in names if name not in _OFF and name != "infill"]:
        hint = f"there are {', '.join(_OFF)}"
        raise BadInput(f"samplers: there is no {unknown[0][:40]!r}", param="samplers", hint=hint)
    return {key: value for name, off in _OFF.items() if name not in names for key, value in off.items()}


def native_prompts(prompt: str | list[Any]) -> list[str | list[int | str]]:
    """llama.cpp's: a list with a token in it is one prompt, text and tokens mixed; else each of it is one."""
    if isinstance(prompt, str):
        return [prompt]
    if not prompt or any(isinstance(part, int) for part in prompt):
        if any(isinstance(part, list) for part in prompt):
            raise BadInput("prompt: a list of text and tokens, or a list of such lists", param="prompt")
        return [prompt]
    if len(prompt) > MAX_PROMPTS:
        raise BadInput(f"{len(prompt)} prompts; {MAX_PROMPTS} are answered in one request", param="prompt")
    return list(prompt)


def native_settings(request: NativeCompletionRequest) -> dict[str, Any]:
    """`generation_settings`: what was asked for; what was left open is not told."""
    asked = {name: getattr(request, name) for name in PLAIN_FIELDS if getattr(request, name) is not None}
    told = ("n_predict", "n_probs", "stream", "grammar", "samplers", "lora")
    more = {name: value for name in told if (value := getattr(request, name)) is not None}
    if "lora" in more:
        more["lora"] = [{"id": one.id, "scale": one.scale} for one in request.lora or ()]
    return {**asked, **more, "stop": list(request.stop), "ignore_eos": bool(request.ignore_eos)}


def only_fields(answer: dict[str, Any], fields: Sequence[str] | None) -> dict[str, Any]:
    """llama.cpp's `response_fields` of a finished answer: a/b is b in a, and what is not there is left out."""
    if not fields:
        return answer
    out: dict[str, Any] = {}
    for path in fields:
        found: Any = answer
        for key in path.split("/"):
            found = found.get(key, _NOTHING) if isinstance(found, dict) else _NOTHING
        if found is not _NOTHING:
            out[path] = found
    return out


_NOTHING = object()


def priority_of(name: str | None) -> Priority:
    return Priority.INTERACTIVE if name is None else Priority[name.upper()]


def adapters_of(request: CompletionRequest | NativeCompletionRequest) -> tuple[tuple[int, float], ...] | None:
    return None if request.lora is None else tuple((adapter.id, adapter.scale) for adapter in request.lora)


@dataclass(slots=True)
class TextWriter:
    """OpenAI's text completions: pieces of choices into chunks, or into a whole answer."""

    id: str
    model: str
    created: int
    include_usage: bool = False
    _offsets: dict[int, int] = field(default_factory=dict)

    def chunk(
        self, choice: int, text: str, logprobs: tuple[TokenLogprob, ...], reason: FinishReason | None
    ) -> dict[str, Any]:
        chunk = {**self._head(), "choices": [self.choice(choice, text, logprobs, reason)]}
        return {**chunk, "usage": None} if self.include_usage else chunk

    def usage(self, usage: Usage) -> list[dict[str, Any]]:
        return [{**self._head(), "choices": [], "usage": usage_object(usage)}] if self.include_usage else []

    def whole(self, choices: list[dict[str, Any]], usage: Usage) -> dict[str, Any]:
        return {**self._head(), "choices": choices, "usage": usage_object(usage)}

    def choice(
        self, choice: int, text: str, logprobs: tuple[TokenLogprob, ...], reason: FinishReason | None
    ) -> dict[str, Any]:
        finish = None if reason is None else "length" if reason == "length" else "stop"
        told = self._logprobs(choice, logprobs) if logprobs else None
        return {"index": choice, "text": text, "logprobs": told, "finish_reason": finish}

    def _logprobs(self, choice: int, logprobs: tuple[TokenLogprob, ...]) -> dict[str, Any]:
        """The old shape: parallel lists, and where in the text each token begins."""
        offset = self._offsets.get(choice, 0)
        offsets = []
        for one in logprobs:
            offsets.append(offset)
            offset += len(one.token)
        self._offsets[choice] = offset
        return {
            "tokens": [one.token for one in logprobs],
            "token_logprobs": [finite_logprob(one.logprob) for one in logprobs],
            "top_logprobs": [{top.token: finite_logprob(top.logprob) for top in one.top} for one in logprobs],
            "text_offset": offsets,
        }

    def _head(self) -> dict[str, Any]:
        return {"id": self.id, "object": "text_completion", "created": self.created, "model": self.model}


def native_answer(
    model: str,
    text: str,
    finish: EngineFinish | None,
    *,
    index: int = 0,
    logprobs: tuple[TokenLogprob, ...] = (),
    tokens: Sequence[int] = (),
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """llama.cpp's result object: a piece of a stream, or (with `finish`) the last piece or the whole."""
    answer: dict[str, Any] = {"index": index, "content": text, "tokens": list(tokens), "stop": finish is not None}
    if logprobs:
        answer["completion_probabilities"] = [
            {**_probability(one), "top_logprobs": [_probability(top) for top in one.top]} for one in logprobs
        ]
    if finish is None:
        return answer
    usage = finish.usage
    fresh = usage.prompt_tokens - usage.cached_tokens
    kind = "limit" if finish.reason == "length" else "word" if finish.stopped_by else "eos"
    return {
        **answer,
        "stop_type": kind,
        "stopping_word": finish.stopped_by or "",
        "model": model,
        "generation_settings": {**(settings or {}), "seed": finish.seed},
        "tokens_evaluated": usage.prompt_tokens,
        "tokens_cached": usage.cached_tokens,
        "tokens_predicted": usage.completion_tokens,
        "truncated": False,
        "timings": {
            "queued_ms": round(1000 * finish.queued_s, 3),
            "cache_n": usage.cached_tokens,
            "prompt_n": fresh,
            "prompt_ms": round(1000 * finish.prompt_s, 3),
            "prompt_per_second": _rate(fresh, finish.prompt_s),
            "predicted_n": usage.completion_tokens,
            "predicted_ms": round(1000 * finish.reply_s, 3),
            "predicted_per_second": _rate(usage.completion_tokens - 1, finish.reply_s),
        },
    }


def _probability(one: TokenLogprob) -> dict[str, Any]:
    return {"id": one.id, "token": one.token, "bytes": list(one.data), "logprob": finite_logprob(one.logprob)}


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 3) if seconds > 0 and count > 0 else 0.0
