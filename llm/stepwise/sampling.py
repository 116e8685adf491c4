"""From logits to a token, in numpy. Order and defaults are those of llama.cpp's chain, so that engines are alike."""

from __future__ import annotations

import secrets
from collections import Counter

import numpy as np
import numpy.typing as npt

from llm.messages import Sampling
from llm.stepwise.port import Logits
from models.errors import BadInput

__all__ = ["Sampler"]

TEMPERATURE = 0.8
TOP_K = 40
TOP_P = 0.95
MIN_P = 0.05
REPEAT_WINDOW = 64
_UNKNOWN = ("dry_multiplier", "mirostat", "xtc_probability", "top_n_sigma", "typical_p")
"""Settings that only llama.cpp has here."""


class Sampler:
    """Of one reply. `sample` also remembers the token, for the penalties. Raises BadInput for unknown settings."""

    def __init__(self, sampling: Sampling, prompt: list[int], ends: frozenset[int], seed: int | None) -> None:
        for name in _UNKNOWN:
            if getattr(sampling, name):
                raise BadInput(
                    f"this engine has no {name}", param=name, hint="use a GGUF model, which runs with llama.cpp"
                )
        chosen = next((value for value in (sampling.seed, seed) if value is not None), None)
        self.seed = secrets.randbits(32) if chosen is None else chosen & 0xFFFFFFFF
        self._random = np.random.Generator(np.random.PCG64(self.seed))
        self._sampling = sampling
        self._ends = ends
        self._said: Counter[int] = Counter()
        self._recent = list(prompt)

    def sample(self, logits: Logits) -> int:
        values = logits.astype(np.float64)
        self._punish(values)
        asked = self._sampling
        temperature = TEMPERATURE if asked.temperature is None else asked.temperature
        token = int(values.argmax()) if temperature <= 0.0 else self._draw(values, temperature)
        self._said[token] += 1
        self._recent.append(token)
        return token

    def _punish(self, logits: npt.NDArray[np.float64]) -> None:
        asked = self._sampling
        for token, bias in asked.logit_bias.items():
            if 0 <= token < len(logits):
                logits[token] += bias
        if asked.ignore_eos:
            logits[[token for token in self._ends if token < len(logits)]] = -np.inf
        if asked.repeat_penalty is not None and asked.repeat_penalty != 1.0:
            window = REPEAT_WINDOW if asked.repeat_last_n is None else asked.repeat_last_n
            recent = self._recent if window < 0 else self._recent[-window:] if window else []
            if recent:
                seen = np.unique(np.array(recent))
                values = logits[seen]
                logits[seen] = np.where(values > 0, values / asked.repeat_penalty, values * asked.repeat_penalty)
        if self._said and (asked.frequency_penalty or asked.presence_penalty):
            tokens = np.fromiter(self._said, np.int64)
            counts = np.fromiter(self._said.values(), np.float64)
            logits[tokens] -= counts * (asked.frequency_penalty or 0.0) + (asked.presence_penalty or 0.0)

    def _draw(self, logits: npt.NDArray[np.float64], temperature: float) -> int:
        """top_k, top_p and min_p before the temperature, as llama.cpp orders them."""
        asked = self._sampling
        top_k = TOP_K if asked.top_k is None else asked.top_k
        if 0 < top_k < len(logits):
            ids = np.argpartition(logits, -top_k)[-top_k:]
        else:
            ids = np.arange(len(logits))
        ids = ids[np.argsort(-logits[ids], kind="stable")]
        weights = np.exp(logits[ids] - logits[ids[0]])
        shares = weights / weights.sum()
        keep = len(ids)
        top_p = TOP_P if asked.top_p is None else asked.top_p
        if top_p < 1.0:
            keep = int(np.searchsorted(np.cumsum(shares), top_p)) + 1
        min_p = MIN_P if asked.min_p is None else asked.min_p
        if min_p > 0.0:
            keep = min(keep, int((shares >= min_p * shares[0]).sum()))
        ids = ids[: max(1, keep)]
        weights = np.exp((logits[ids] - logits[ids[0]]) / temperature)
        cumulated = np.cumsum(weights / weights.sum())
        at = int(np.searchsorted(cumulated, self._random.random(), side="right"))
        return int(ids[min(at, len(ids) - 1)])
