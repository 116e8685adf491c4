"""A context of llama.cpp: its KV cache, and one decode step over many sequences.

The KV cache is unified: all sequences share one pool of cells. So a common beginning is shared by copying no
data, any set of sequences goes through the weights in one pass, and, with flash attention, the cells of others
cost little (parley-mini, one reply, one thread: 0.84 ms a step beside an empty pool, 1.20 ms beside 6000 foreign
tokens; without flash attention 0.80 and 4.66 ms, and prompts take two to six times as long). With a stream of cells
for each sequence instead, only neighbouring sequences share a pass: any gap among the active ones costs another.

The batch lies in numpy arrays that llama.cpp reads in place: filling a step is a few slice assignments a row.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from llm.batching.events import Limits, Row
from llm.llamacpp.compute_threads import ComputeThreads
from llm.llamacpp.library import KV_TYPES, ROPE_SCALING, native, threads
from llm.llamacpp.logits import logits_at, token_logprob
from llm.llamacpp.plan import key_type, value_type
from llm.llamacpp.preemption import PREEMPTED, Preemption
from llm.llamacpp.sampling import SamplerChain
from llm.llamacpp.shortlist import Shortlist
from llm.llamacpp.thread_choice import ThreadChoice
from llm.llamacpp.vocab import Vocab
from llm.settings import EngineSettings
from llm.stream import TokenLogprob
from models.errors import ModelUnreadable

__all__ = ["Decoder", "Outcome", "set_rope"]

SHORTLIST_FROM = 16_384
"""Tokens of the vocabulary. Of a smaller one llama.cpp itself makes its choice sooner."""

Outcome = Literal["done", "failed", "preempted"]


def set_rope(params: Any, settings: EngineSettings) -> None:
    """0 leaves a number to the file."""
    params.rope_scaling_type = ROPE_SCALING[settings.rope_scaling]
    params.rope_freq_base = settings.rope_freq_base
    params.rope_freq_scale = settings.rope_freq_scale
    params.yarn_orig_ctx = settings.rope_original_context


class Decoder:
    """Raises ModelUnreadable if there is not enough memory."""

    def __init__(self, model: Any, settings: EngineSettings, limits: Limits, compute_threads: ComputeThreads) -> None:
        self.limits = limits
        self._compute_threads = compute_threads
        params = native.llama_context_default_params()
        params.n_ctx = limits.pool
        params.n_batch = limits.step_tokens
        params.n_ubatch = min(settings.ubatch, limits.step_tokens)
        params.n_seq_max = limits.sequences
        params.n_outputs_max = max(
            limits.sequences, limits.draft + 1
        )  # logits of the whole batch would take a vocabulary each
        self._threads = threads(settings.threads), threads(settings.threads_batch or settings.threads)
        params.n_threads, params.n_threads_batch = self._threads
        self._used = self._threads[0]
        params.flash_attn_type = -1 if settings.flash_attention is None else int(settings.flash_attention)
        params.type_k = KV_TYPES[key_type(settings)]
        params.type_v = KV_TYPES[value_type(settings)]
        params.offload_kqv = settings.offload_kqv
        set_rope(params, settings)
        params.kv_unified = True
        params.no_perf = True
        self.context = native.llama_init_from_model(model, params)
        if not self.context:
            raise ModelUnreadable(
                f"no context of {limits.pool} tokens could be made for this model",
                hint="lower ctx_size, parallel or kv_budget_mib, or choose another kv_cache_type",
            )
        size = native.llama_model_n_params(model)
        self._choice = ThreadChoice(self._threads[0], size, fixed=settings.threads > 0)
        self._memory = native.llama_get_memory(self.context)
        self.preemption = Preemption(self.context) if limits.rewind else None
        vocabulary = native.llama_vocab_n_tokens(native.llama_model_get_vocab(model))
        self._shortlist = Shortlist(self.context, vocabulary) if vocabulary >= SHORTLIST_FROM else None
        self._make_batch(limits.step_tokens, limits.pool)

    def close(self) -> None:
        context, self.context = self.context, None
        if context:
            native.llama_free(context)

    def run(self, rows: Sequence[Row], exact: bool = True) -> Outcome:
        """Decode one step; afterwards `sample` may be asked. "failed": nothing of it may be used. "preempted":
        nothing of it is in the cache. `exact`: the last digits matter (thread_choice.py)."""
        at = 0
        for row in rows:
            if row.media is not None:
                continue
            count = len(row.tokens)
            end = at + count
            self._token[at:end] = row.tokens
            self._position[at:end] = self._numbers[row.start : row.start + count]
            self._sequence[at:end] = row.sequence
            self._wanted[at:end] = 0
            self._wanted[end - 1 - row.guessed : end] = row.sample
            at = end
        if not at:
            return "done"
        self._batch.n_tokens = at
        outcome = self._decode(exact)
        if outcome == "preempted":
            for row in rows:  # of several passes over the weights the first may be in the cache
                native.llama_memory_seq_rm(self._memory, row.sequence, row.start, -1)
        return outcome

    def go_on(self, tokens: Sequence[int], exact: bool = True) -> Outcome:
        """The next step with the same rows, which had one token each: now these. Nothing of it is in the cache but
        when it is done."""
        ids, positions = self._ids, self._places
        for at, token in enumerate(tokens):
            ids[at] = token
            positions[at] += 1
        outcome = self._decode(exact)
        if outcome == "done":
            return outcome
        for at in range(len(tokens)):
            native.llama_memory_seq_rm(self._memory, int(self._sequence[at]), positions[at], -1)
        return outcome

    def sample(self, rows: Sequence[Row], chains: Sequence[SamplerChain | None]) -> list[int | None]:
        """A token for every row that asked for one and still has a chain."""
        wanted: list[tuple[int, SamplerChain]] = []
        at = 0
        for row, chain in zip(rows, chains, strict=True):
            at += 0 if row.media is not None else len(row.tokens)
            if row.sample and chain is not None:
                wanted.append((at - 1, chain))
        found = iter(self.choose([place for place, _ in wanted], [chain for _, chain in wanted]))
        return [
            next(found) if row.sample and chain is not None else None for row, chain in zip(rows, chains, strict=True)
        ]

    def choose(self, places: Sequence[int], chains: Sequence[SamplerChain]) -> list[int]:
        """The tokens that follow these places of the step. What a row gets, and in which way, does not depend on the
        others: a seed gives the same reply beside them."""
        shortlist = self._shortlist
        if shortlist is None:
            return [chain.sample(self.context, at) for at, chain in zip(places, chains, strict=True)]
        tokens = shortlist.sample(places, chains) if len(places) > 1 else None
        if tokens is None:
            tokens = []
            for at, chain in zip(places, chains, strict=True):
                listed = shortlist.sample((at,), (chain,))
                tokens.append(chain.sample(self.context, at) if listed is None else listed[0])
        return tokens

    def check(self, row: Row, chain: SamplerChain) -> Iterator[int]:
        """What the model says in place of each guessed token of a row that was alone, and after them, one by one: to
        be asked on only while the guess was right.
        """
        for at in range(len(row.tokens) - 1 - row.guessed, len(row.tokens)):
            yield self.choose((at,), (chain,))[0]

    def gives_numbers(self, rows: Sequence[Row], row: Row) -> bool:
        """False where the model's numbers are none (NaN) for the last token of this row; then all of them are."""
        return bool(np.isfinite(logits_at(self.context, self._end_of(rows, row) - 1, 1)[0]))

    def logprobs(self, rows: Sequence[Row], row: Row, token: int, most: int, vocab: Vocab) -> TokenLogprob:
        """Of a token that `sample` gave for this row."""
        return token_logprob(logits_at(self.context, self._end_of(rows, row) - 1, vocab.size), token, most, vocab)

    def _end_of(self, rows: Sequence[Row], row: Row) -> int:
        """Where in the batch the row ends."""
        before = rows[: next(number for number, other in enumerate(rows) if other is row) + 1]
        return sum(len(other.tokens) for other in before if other.media is None)

    def use_adapters(self, adapters: Sequence[tuple[Any, float]]) -> None:
        """(pointer, scale) of the LoRA adapters for the next steps."""
        count = len(adapters)
        pointers = (native.llama_adapter_lora_p_ctypes * max(1, count))(*(pointer for pointer, _ in adapters))
        scales = (ctypes.c_float * max(1, count))(*(scale for _, scale in adapters))
        native.llama_set_adapters_lora(self.context, pointers, count, scales)

    def clear(self, sequence: int) -> None:
        native.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def trim(self, sequence: int, keep: int) -> bool:
        """False where the model's memory cannot be cut back; the sequence is then empty."""
        if native.llama_memory_seq_rm(self._memory, sequence, keep, -1):
            return True
        self.clear(sequence)
        return False

    def copy(self, source: int, target: int, count: int) -> None:
        native.llama_memory_seq_cp(self._memory, source, target, 0, count)

    def warm_up(self, token: int) -> None:
        """The first step reads the weights from the disk and builds the graphs; better now than in a reply."""
        for count in (min(16, len(self._token)), 1):
            self.run((Row(-1, 0, 0, [token] * count, True),))
            self.clear(0)

    def held(self, sequence: int) -> int:
        """Tokens that llama.cpp has for a sequence; for tests and checks."""
        last: int = native.llama_memory_seq_pos_max(self._memory, sequence)
        return last + 1

    def _decode(self, exact: bool) -> Outcome:
        self._use_threads(self._choice.choose(self._batch.n_tokens, exact))
        began = self._compute_threads.begin(self._used)
        code: int = native.llama_decode(self.context, self._batch)
        seconds, changed = self._compute_threads.worked(self._used, began)
        if code == 0:
            self._choice.ran(seconds)
            if changed:
                self._choice.try_soon()
            return "done"
        return "preempted" if code == PREEMPTED else "failed"

    def _use_threads(self, count: int) -> None:
        if count != self._used:
            self._used = count
            everybody = count == self._threads[0]
            native.llama_set_n_threads(self.context, *(self._threads if everybody else (count, count)))

    def _make_batch(self, size: int, positions: int) -> None:
        self._token = np.zeros(size, np.int32)
        self._position = np.zeros(size, np.int32)
        self._ids, self._places = self._token.data, self._position.data  # quicker for one at a time
        self._sequence = np.zeros(size, np.int32)
        self._wanted = np.zeros(size, np.int8)
        self._numbers = np.arange(positions, dtype=np.int32)
        # llama_batch wants for every token how many sequences it belongs to and a pointer to their ids.
        self._counts = np.ones(size, np.int32)
        self._pointers = (self._sequence.ctypes.data + 4 * np.arange(size)).astype(np.uint64)
        self._batch = native.llama_batch(
            n_tokens=0,
            token=_pointer(self._token, ctypes.c_int32),
            embd=None,
            pos=_pointer(self._position, ctypes.c_int32),
            n_seq_id=_pointer(self._counts, ctypes.c_int32),
            seq_id=_pointer(self._pointers, ctypes.POINTER(ctypes.c_int32)),
            logits=_pointer(self._wanted, ctypes.c_int8),
        )


def _pointer(array: Any, kind: Any) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(kind))
