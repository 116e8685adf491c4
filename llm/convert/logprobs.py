"""Log probabilities on OpenAI's wire. Pure."""

from __future__ import annotations

from math import isfinite
from typing import Any

from llm.remote.chunk_reader import LEAST_LOGPROB
from llm.stream import TokenLogprob

__all__ = ["finite_logprob", "logprobs_object"]


def logprobs_object(logprobs: tuple[TokenLogprob, ...]) -> dict[str, Any] | None:
    """OpenAI's `logprobs` of a choice; None where there are none."""
    if not logprobs:
        return None
    return {"content": [{**_logprob(one), "top_logprobs": [_logprob(top) for top in one.top]} for one in logprobs]}


def _logprob(one: TokenLogprob) -> dict[str, Any]:
    return {"token": one.token, "logprob": finite_logprob(one.logprob), "bytes": list(one.data)}


def finite_logprob(value: float) -> float:
    """JSON has no infinity: OpenAI's number for what is most unlikely stands for it, and for what is no number."""
    return value if isfinite(value) else LEAST_LOGPROB
