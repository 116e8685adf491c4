"""One request's sampler chain: from logits to a token. Order and defaults are llama.cpp's own (common/sampling.cpp).

OpenAI's frequency and presence penalties count what the reply has said; llama.cpp's repeat penalty also looks at
the end of the prompt. Hence two penalty samplers.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llm.llamacpp.library import native
from llm.llamacpp.vocab import Vocab
from llm.messages import Sampling
from models.errors import BadInput

__all__ = ["SamplerChain", "recommended", "with_recommended"]

TEMPERATURE = 0.8
TOP_K = 40
TOP_P = 0.95
MIN_P = 0.05
REPEAT_WINDOW = 64
"""Tokens the repeat penalty looks back."""
MAX_GRAMMAR_BYTES = 256 * 1024


def recommended(metadata: Mapping[str, object]) -> Sampling:
    """What the model's makers advise, from the file's `general.sampling.*` (GGUF's own keys); None where silent."""

    def number(name: str) -> float | None:
        value = metadata.get(f"general.sampling.{name}")
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    top_k = number("top_k")
    return Sampling(
        temperature=number("temp"),
        top_p=number("top_p"),
        top_k=None if top_k is None else int(top_k),
        min_p=number("min_p"),
        repeat_penalty=number("penalty_repeat"),
    )


def with_recommended(asked: Sampling, advice: Sampling) -> Sampling:
    """The request's own wishes, and the model's advice for what it leaves open."""
    names = ("temperature", "top_p", "top_k", "min_p", "repeat_penalty")
    return replace(asked, **{name: getattr(advice, name) for name in names if getattr(asked, name) is None})


class SamplerChain:
    """Must be closed. `sample(ctx, index)` also remembers the token, for penalties and grammar.

    `seed` is used where the request has none; without either, every reply is different.
    """

    def __init__(
        self, sampling: Sampling, vocab: Vocab, prompt: list[int], grammar: str | None, seed: int | None
    ) -> None:
        chosen = next((value for value in (sampling.seed, seed) if value is not None), None)
        self.seed = secrets.randbits(32) if chosen is None else chosen & 0xFFFFFFFF
        self._chain = native.llama_sampler_chain_init(native.llama_sampler_chain_default_params())
        try:
            self._build(sampling, vocab, prompt, grammar)
        except BaseException:
            self.close()
            raise

    def sample(self, context: Any, index: int) -> int:
        token: int = native.llama_sampler_sample(self._chain, context, index)
        return token

    def close(self) -> None:
        chain, self._chain = self._chain, None
        if chain is not None:
            native.llama_sampler_free(chain)

    def _build(self, sampling: Sampling, vocab: Vocab, prompt: list[int], grammar: str | None) -> None:
        if sampling.logit_bias:
            self._add(_logit_bias(sampling, vocab))
        if grammar is not None:
            self._add(_grammar(grammar, vocab))
        repeat = 1.0 if sampling.repeat_penalty is None else sampling.repeat_penalty
        if repeat != 1.0:
            sampler = native.llama_sampler_init_penalties(vocab.size, REPEAT_WINDOW, repeat, 0.0, 0.0)
            for token in prompt[-REPEAT_WINDOW:]:
                native.llama_sampler_accept(sampler, token)
            self._add(sampler)
        frequency, presence = sampling.frequency_penalty or 0.0, sampling.presence_penalty or 0.0
        if frequency or presence:
            window = 4096 if sampling.max_tokens is None else max(1, min(sampling.max_tokens, 4096))
            self._add(native.llama_sampler_init_penalties(vocab.size, window, 1.0, frequency, presence))
        temperature = TEMPERATURE if sampling.temperature is None else sampling.temperature
        if temperature <= 0.0:
            self._add(native.llama_sampler_init_greedy())
            return
        top_k = TOP_K if sampling.top_k is None else sampling.top_k
        top_p = TOP_P if sampling.top_p is None else sampling.top_p
        min_p = MIN_P if sampling.min_p is None else sampling.min_p
        if top_k > 0:
            self._add(native.llama_sampler_init_top_k(min(top_k, vocab.size)))
        if top_p < 1.0:
            self._add(native.llama_sampler_init_top_p(top_p, 1))
        if min_p > 0.0:
            self._add(native.llama_sampler_init_min_p(min_p, 1))
        self._add(native.llama_sampler_init_temp(temperature))
        self._add(native.llama_sampler_init_dist(self.seed))

    def _add(self, sampler: Any) -> None:
        native.llama_sampler_chain_add(self._chain, sampler)


def _logit_bias(sampling: Sampling, vocab: Vocab) -> Any:
    wrong = next((token for token in sampling.logit_bias if not 0 <= token < vocab.size), None)
    if wrong is not None:
        raise BadInput(f"{wrong} is no token of this model (0 to {vocab.size - 1})", param="logit_bias")
    biases = (native.llama_logit_bias * len(sampling.logit_bias))()
    for entry, (token, bias) in zip(biases, sampling.logit_bias.items(), strict=True):
        entry.token, entry.bias = token, bias
    return native.llama_sampler_init_logit_bias(vocab.size, len(biases), biases)


def _grammar(grammar: str, vocab: Vocab) -> Any:
    data = grammar.encode("utf-8")
    if len(data) > MAX_GRAMMAR_BYTES:
        raise BadInput(f"the grammar has {len(data)} bytes, {MAX_GRAMMAR_BYTES} are allowed", param="grammar")
    sampler = native.llama_sampler_init_grammar(vocab.pointer, data, b"root")
    if not sampler:
        raise BadInput("the grammar cannot be parsed (GBNF with a rule called root is needed)", param="grammar")
    return sampler
