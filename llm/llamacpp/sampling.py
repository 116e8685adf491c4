"""One request's sampler chain: from logits to a token. Order and defaults are llama.cpp's own (common/sampling.cpp).

OpenAI's frequency and presence penalties count what the reply has said, as vLLM's do: with those of the prompt, a
model could not repeat what it was asked about. llama.cpp's repeat penalty also looks at the end of the prompt. Hence
two penalty samplers; one is enough where a request comes by llama.cpp's own API, whose penalties all look there.
"""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from llm.llamacpp.grammar_guard import check_grammar
from llm.llamacpp.library import native
from llm.llamacpp.logits import Candidates, logits_at
from llm.llamacpp.vocab import Vocab
from llm.messages import Sampling
from models.errors import BadInput

__all__ = ["SamplerChain", "guessable", "promised", "recommended", "with_recommended"]

TEMPERATURE = 0.8
TOP_K = 40
TOP_P = 0.95
MIN_P = 0.05
REPEAT_WINDOW = 64
"""Tokens the repeat penalty looks back."""
REPLY_WINDOW = 4096
"""Tokens of the reply that OpenAI's penalties count, at most."""
MIROSTAT_TAU = 5.0
MIROSTAT_ETA = 0.1
MIROSTAT_M = 100
XTC_THRESHOLD = 0.1
DRY_BASE = 1.75
DRY_ALLOWED_LENGTH = 2
ADVISED = ("temperature", "top_p", "top_k", "min_p", "repeat_penalty")
DRY_BREAKERS = (b"\n", b":", b'"', b"*")
MAX_GRAMMAR_BYTES = 256 * 1024
MOST_SEEN = 256
"""Tokens; beyond that a short list is none."""


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
    open_names = [name for name in ADVISED if getattr(asked, name) is None and getattr(advice, name) is not None]
    return replace(asked, **{name: getattr(advice, name) for name in open_names}) if open_names else asked


def guessable(sampling: Sampling, seed: int | None) -> bool:
    """Whether tokens of such a reply may be guessed ahead and checked several in a step.

    The last digits of a wider step may be others. The likeliest token stays the same, and where no seed was given,
    neither by the request nor by the slot, nobody can expect a certain one. A seed is a promise. Logprobs are read
    one token a step.
    """
    return sampling.logprobs is None and (_greedy(sampling) or not promised(sampling, seed))


def promised(sampling: Sampling, seed: int | None) -> bool:
    """Whether somebody can expect the same reply again: there is a seed, or nothing is left to chance."""
    return _greedy(sampling) or sampling.seed is not None or seed is not None


def _greedy(sampling: Sampling) -> bool:
    return sampling.temperature is not None and sampling.temperature <= 0.0 and not sampling.dynatemp_range


def _seen(sampling: Sampling, ends: int) -> int:
    """With top-k first, whatever follows looks at k tokens, and those that were made less likely may have been above
    these. What looks back at the text, or at the whole distribution, is left to llama.cpp."""
    looks_back = (sampling.repeat_penalty or 1.0) != 1.0 or sampling.frequency_penalty or sampling.presence_penalty
    if looks_back or sampling.dry_multiplier or sampling.mirostat or (sampling.top_n_sigma or 0.0) > 0.0:
        return 0
    if any(bias > 0.0 for bias in sampling.logit_bias.values()):
        return 0
    k = 1 if _greedy(sampling) else TOP_K if sampling.top_k is None else sampling.top_k
    seen = k + len(sampling.logit_bias) + (ends if sampling.ignore_eos else 0)
    return seen if 0 < k and seen <= MOST_SEEN else 0


class SamplerChain:
    """Must be closed. `sample(ctx, index)` also remembers the token, for penalties and grammar.

    `seed` is used where the request has none; without either, every reply is different. `prompt` may hold numbers
    below zero, for images; penalties pass them over.
    """

    def __init__(
        self, sampling: Sampling, vocab: Vocab, prompt: list[int], grammar: str | None, seed: int | None
    ) -> None:
        chosen = next((value for value in (sampling.seed, seed) if value is not None), None)
        self.seed = secrets.randbits(32) if chosen is None else chosen & 0xFFFFFFFF
        self._vocab = vocab
        self._grammar: Any = None
        self._candidates: Candidates | None = None
        self._chain = native.llama_sampler_chain_init(native.llama_sampler_chain_default_params())
        self.address: int = ctypes.cast(self._chain, ctypes.c_void_p).value or 0
        self.sees = 0 if grammar is not None else _seen(sampling, len(vocab.ends()))
        """The chain makes the same choice among so many of the likeliest tokens; 0: it has to see all of them, and be
        told what was chosen."""
        try:
            if grammar is not None:
                self._grammar = _grammar(grammar, vocab)
                self._candidates = Candidates(vocab.size)
            self._build(sampling, vocab, [token for token in prompt if token >= 0])
        except BaseException:
            self.close()
            raise

    def sample(self, context: Any, index: int) -> int:
        if self._candidates is None:
            token: int = native.llama_sampler_sample(self._chain, context, index)
            return token
        return self._sample_within(self._candidates, logits_at(context, index, self._vocab.size))

    def close(self) -> None:
        chain, self._chain = self._chain, None
        if chain is not None:
            native.llama_sampler_free(chain)
        grammar, self._grammar = self._grammar, None
        if grammar is not None:
            native.llama_sampler_free(grammar)

    def _sample_within(self, candidates: Candidates, logits: npt.NDArray[np.float32]) -> int:
        """With a grammar. To check the whole vocabulary takes long and the first choice mostly fits, so as in
        common/sampling.cpp: 1. choose freely; 2. does the grammar allow it? 3. if not, choose among the allowed;
        4. if there are none (the rest of the request forbids them), the reply is over.
        """
        candidates.fill(logits)
        candidates.apply(self._chain)  # 1
        token = candidates.chosen
        candidates.only(token)
        candidates.apply(self._grammar)  # 2
        if not candidates.first_allowed:
            candidates.fill(logits)
            candidates.apply(self._grammar)  # 3
            candidates.apply(self._chain)
            token = candidates.chosen
            candidates.only(token)
            candidates.apply(self._grammar)
            if not candidates.first_allowed:  # 4
                return min(self._vocab.ends(), default=token)
        native.llama_sampler_accept(self._grammar, token)
        native.llama_sampler_accept(self._chain, token)
        return token

    def _build(self, sampling: Sampling, vocab: Vocab, prompt: list[int]) -> None:
        if sampling.logit_bias or sampling.ignore_eos:
            self._add(_logit_bias(sampling, vocab))
        self._add_penalties(sampling, vocab, prompt)
        temperature = TEMPERATURE if sampling.temperature is None else sampling.temperature
        if _greedy(sampling):
            self._add(native.llama_sampler_init_greedy())
            return
        if sampling.mirostat:
            tau = MIROSTAT_TAU if sampling.mirostat_tau is None else sampling.mirostat_tau
            eta = MIROSTAT_ETA if sampling.mirostat_eta is None else sampling.mirostat_eta
            self._add(native.llama_sampler_init_temp(temperature))
            if sampling.mirostat == 1:
                self._add(native.llama_sampler_init_mirostat(vocab.size, self.seed, tau, eta, MIROSTAT_M))
            else:
                self._add(native.llama_sampler_init_mirostat_v2(self.seed, tau, eta))
            return
        top_k = TOP_K if sampling.top_k is None else sampling.top_k
        top_p = TOP_P if sampling.top_p is None else sampling.top_p
        min_p = MIN_P if sampling.min_p is None else sampling.min_p
        keep = max(1, sampling.min_keep or 0)
        if sampling.top_n_sigma is not None and sampling.top_n_sigma > 0.0:
            self._add(native.llama_sampler_init_top_n_sigma(sampling.top_n_sigma))
        if top_k > 0:
            self._add(native.llama_sampler_init_top_k(min(top_k, vocab.size)))
        if sampling.typical_p is not None and 0.0 < sampling.typical_p < 1.0:
            self._add(native.llama_sampler_init_typical(sampling.typical_p, keep))
        if top_p < 1.0:
            self._add(native.llama_sampler_init_top_p(top_p, keep))
        if min_p > 0.0:
            self._add(native.llama_sampler_init_min_p(min_p, keep))
        if sampling.xtc_probability:
            threshold = XTC_THRESHOLD if sampling.xtc_threshold is None else sampling.xtc_threshold
            self._add(native.llama_sampler_init_xtc(sampling.xtc_probability, threshold, keep, self.seed))
        exponent = 1.0 if sampling.dynatemp_exponent is None else sampling.dynatemp_exponent
        self._add(native.llama_sampler_init_temp_ext(temperature, sampling.dynatemp_range or 0.0, exponent))
        self._add(native.llama_sampler_init_dist(self.seed))

    def _add_penalties(self, sampling: Sampling, vocab: Vocab, prompt: list[int]) -> None:
        reply = REPLY_WINDOW if sampling.max_tokens is None else max(1, min(sampling.max_tokens, REPLY_WINDOW))
        repeat = 1.0 if sampling.repeat_penalty is None else sampling.repeat_penalty
        window = _window(sampling.repeat_last_n, REPEAT_WINDOW, len(prompt) + reply)
        frequency, presence = sampling.frequency_penalty or 0.0, sampling.presence_penalty or 0.0
        looking_back = (repeat, frequency, presence) if sampling.counts_prompt else (repeat, 0.0, 0.0)
        if looking_back != (1.0, 0.0, 0.0) and window:
            sampler = native.llama_sampler_init_penalties(vocab.size, window, *looking_back)
            for token in prompt[-window:]:
                native.llama_sampler_accept(sampler, token)
            self._add(sampler)
        if (frequency or presence) and not sampling.counts_prompt:
            self._add(native.llama_sampler_init_penalties(vocab.size, reply, 1.0, frequency, presence))
        if sampling.dry_multiplier:
            self._add(_dry(sampling, vocab, prompt, reply))

    def _add(self, sampler: Any) -> None:
        native.llama_sampler_chain_add(self._chain, sampler)


def _window(asked: int | None, otherwise: int, everything: int) -> int:
    """Tokens to look back: -1 is everything, 0 nothing."""
    return everything if asked == -1 else max(0, min(otherwise if asked is None else asked, everything))


def _dry(sampling: Sampling, vocab: Vocab, prompt: list[int], reply: int) -> Any:
    base = DRY_BASE if sampling.dry_base is None or sampling.dry_base < 1.0 else sampling.dry_base
    allowed = DRY_ALLOWED_LENGTH if sampling.dry_allowed_length is None else max(1, sampling.dry_allowed_length)
    window = _window(sampling.dry_penalty_last_n, len(prompt) + reply, len(prompt) + reply)
    breakers = (ctypes.c_char_p * len(DRY_BREAKERS))(*DRY_BREAKERS)
    sampler = native.llama_sampler_init_dry(
        vocab.pointer, sampling.dry_multiplier, base, allowed, window, breakers, len(DRY_BREAKERS)
    )
    for token in prompt[-window:] if window else ():
        native.llama_sampler_accept(sampler, token)
    return sampler


def _logit_bias(sampling: Sampling, vocab: Vocab) -> Any:
    wrong = next((token for token in sampling.logit_bias if not 0 <= token < vocab.size), None)
    if wrong is not None:
        raise BadInput(f"{wrong} is not a token of this model (0 to {vocab.size - 1})", param="logit_bias")
    wanted = dict(sampling.logit_bias)
    if sampling.ignore_eos:
        wanted |= dict.fromkeys(vocab.ends(), float("-inf"))
    biases = (native.llama_logit_bias * len(wanted))()
    for entry, (token, bias) in zip(biases, wanted.items(), strict=True):
        entry.token, entry.bias = token, bias
    return native.llama_sampler_init_logit_bias(vocab.size, len(biases), biases)


def _grammar(grammar: str, vocab: Vocab) -> Any:
    data = grammar.encode("utf-8")
    if len(data) > MAX_GRAMMAR_BYTES:
        raise BadInput(f"the grammar has {len(data)} bytes, {MAX_GRAMMAR_BYTES} are allowed", param="grammar")
    check_grammar(grammar)
    sampler = native.llama_sampler_init_grammar(vocab.pointer, data, b"root")
    if not sampler:
        raise BadInput("the grammar cannot be parsed (GBNF with a rule called root is needed)", param="grammar")
    return sampler
