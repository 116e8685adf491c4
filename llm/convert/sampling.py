"""Sampling settings between the wire and our nouns. Pure."""

from __future__ import annotations

from typing import Any, Protocol

from llm.messages import Sampling
from models.errors import BadInput

__all__ = ["PLAIN_FIELDS", "SamplingFields", "sampling_body", "sampling_of"]

MAX_STOP = 16
MAX_STOP_CHARS = 500
MAX_BIAS = 100.0

PLAIN_FIELDS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "repeat_penalty",
    "repeat_last_n",
    "typical_p",
    "top_n_sigma",
    "xtc_probability",
    "xtc_threshold",
    "dry_multiplier",
    "dry_base",
    "dry_allowed_length",
    "dry_penalty_last_n",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
    "dynatemp_range",
    "dynatemp_exponent",
    "min_keep",
)
"""Those whose name and meaning are the same on the wire; OpenAI's own first, then llama.cpp's."""
_PLAIN = frozenset(PLAIN_FIELDS)


class SamplingFields(Protocol):
    """What chat and text completion requests share: PLAIN_FIELDS, and these."""

    @property
    def model_fields_set(self) -> set[str]: ...
    @property
    def stop(self) -> str | list[str] | None: ...
    @property
    def logit_bias(self) -> dict[str, float] | None: ...
    @property
    def ignore_eos(self) -> bool | None: ...


def sampling_of(fields: SamplingFields, max_tokens: int | None, logprobs: int | None = None) -> Sampling:
    """Raises BadInput for stop strings and biases that cannot be."""
    stop = (fields.stop,) if isinstance(fields.stop, str) else tuple(fields.stop or ())
    if len(stop) > MAX_STOP or not all(0 < len(text) <= MAX_STOP_CHARS for text in stop):
        raise BadInput(f"stop: up to {MAX_STOP} strings of 1 to {MAX_STOP_CHARS} characters", param="stop")
    try:
        bias = {int(token): float(value) for token, value in (fields.logit_bias or {}).items()}
    except ValueError:
        raise BadInput("logit_bias: keys are token numbers", param="logit_bias") from None
    if not all(abs(value) <= MAX_BIAS for value in bias.values()):
        raise BadInput(f"logit_bias: values from {-MAX_BIAS:g} to {MAX_BIAS:g}", param="logit_bias")
    plain = {name: getattr(fields, name) for name in fields.model_fields_set & _PLAIN}
    return Sampling(
        max_tokens=max_tokens,
        stop=stop,
        logit_bias=bias,
        logprobs=logprobs,
        ignore_eos=bool(fields.ignore_eos),
        **plain,
    )


def sampling_body(sampling: Sampling) -> dict[str, Any]:
    """The fields of a request that were asked for; what is left open is left out."""
    body: dict[str, Any] = {
        name: getattr(sampling, name) for name in PLAIN_FIELDS if getattr(sampling, name) is not None
    }
    if sampling.max_tokens is not None:
        body["max_tokens"] = sampling.max_tokens
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.logit_bias:
        body["logit_bias"] = {str(token): value for token, value in sampling.logit_bias.items()}
    if sampling.ignore_eos:
        body["ignore_eos"] = True
    return body
