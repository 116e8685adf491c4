"""Texts to vectors: a context of its own beside the one that writes, over the same weights.

A pass takes as many waiting texts as fit, of one request or several. Where the model also writes replies, passes and
decode steps take turns in the engine's thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from llm.engine import EmbedJob, EngineEvent
from llm.errors import BackendFailed, ContextTooLong, Overloaded
from llm.llamacpp.compute_threads import ComputeThreads
from llm.llamacpp.decoder import set_rope
from llm.llamacpp.library import native, threads
from llm.settings import EngineSettings, Pooling
from models.errors import BadInput, ModelUnreadable, ParleyError
from models.formats.gguf import GgufHeader

__all__ = ["EmbedQueue", "Embedder"]

POOLING: dict[Pooling, int] = {"auto": -1, "mean": 1, "cls": 2, "last": 3, "rank": 4}
"""enum llama_pooling_type."""
MOST_TEXTS = 32
"""In one pass."""
MOST_TOKENS = 8192
MOST_BESIDE_REPLIES = 2048
PASS_TOKENS = 1024
"""A pass stops taking texts in here, so that replies beside it wait for a short one."""
MOST_WAITING = 4096


class Embedder:
    """The context is made at the first text. Raises ModelUnreadable if there is no memory for it."""

    def __init__(
        self,
        model: Any,
        settings: EngineSettings,
        header: GgufHeader,
        compute_threads: ComputeThreads,
        *,
        alone: bool,
    ) -> None:
        self._model = model
        self._compute_threads = compute_threads
        self._settings = settings
        self._threads = threads(settings.threads_batch or settings.threads)
        most = settings.ctx_size or (MOST_TOKENS if alone else MOST_BESIDE_REPLIES)
        self.longest = min(header.context_length or most, most)
        """Tokens of the longest text."""
        pooling = POOLING[settings.pooling]
        if pooling <= 0 and not header.metadata.get(f"{header.architecture}.pooling_type"):
            pooling = POOLING["mean"]
        self._pooling = pooling
        self.ranks = pooling == POOLING["rank"] or (pooling < 0 and header.kind == "rerank")
        self.dimensions: int = 1 if self.ranks else native.llama_model_n_embd_out(model)
        self._context: Any = None

    def close(self) -> None:
        context, self._context = self._context, None
        if context:
            native.llama_free(context)

    def run(self, texts: list[list[int]]) -> list[list[float]] | None:
        """A vector for each; None if llama.cpp could not. At most MOST_TEXTS texts and `longest` tokens."""
        context = self._context or self._open()
        memory = native.llama_get_memory(context)
        if memory:
            native.llama_memory_clear(memory, True)
        count = sum(map(len, texts))
        batch = native.llama_batch_init(count, 0, 1)
        try:
            at = 0
            for number, tokens in enumerate(texts):
                for position, token in enumerate(tokens):
                    batch.token[at], batch.pos[at] = token, position
                    batch.n_seq_id[at], batch.seq_id[at][0] = 1, number
                    batch.logits[at] = 1
                    at += 1
            batch.n_tokens = count
            began = self._compute_threads.begin(self._threads)
            code: int = native.llama_decode(context, batch)
            self._compute_threads.worked(self._threads, began)
            if code != 0:
                return None
        finally:
            native.llama_batch_free(batch)
        vectors = []
        for number in range(len(texts)):
            pointer = native.llama_get_embeddings_seq(context, number)
            if not pointer:
                return None
            vectors.append(np.ctypeslib.as_array(pointer, (self.dimensions,)).astype(float).tolist())
        return vectors

    def _open(self) -> Any:
        params = native.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = self.longest
        params.n_seq_max = MOST_TEXTS
        params.n_threads = threads(self._settings.threads)
        params.n_threads_batch = self._threads
        params.flash_attn_type = -1 if self._settings.flash_attention is None else int(self._settings.flash_attention)
        params.embeddings = True
        params.pooling_type = self._pooling
        params.kv_unified = True
        params.no_perf = True
        set_rope(params, self._settings)
        self._context = native.llama_init_from_model(self._model, params)
        if not self._context:
            raise ModelUnreadable("there is not enough memory to make vectors with this model", hint="lower ctx_size")
        return self._context


@dataclass(slots=True)
class _Pending:
    job: EmbedJob
    vectors: list[list[float]] = field(default_factory=list)


class EmbedQueue:
    """Requests for vectors, first come, first served. Used by the engine's thread alone."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._pending: deque[_Pending] = deque()

    @property
    def waiting(self) -> int:
        return len(self._pending)

    def submit(self, job: EmbedJob) -> EngineEvent | None:
        """The refusal, if it is one."""
        longest = max(map(len, job.inputs), default=0)
        error: ParleyError | None = None
        if len(self._pending) >= MOST_WAITING:
            error = Overloaded("too many requests for vectors are waiting", hint="try again in a few seconds")
        elif not job.inputs or not all(job.inputs):
            error = BadInput("there is an empty text among the inputs", param="input")
        elif longest > self._embedder.longest:
            error = ContextTooLong(
                f"a text has {longest} tokens; this model takes {self._embedder.longest}",
                hint="split it into shorter texts",
                param="input",
            )
        if error is not None:
            return EngineEvent(job.id, error=error)
        self._pending.append(_Pending(job))
        return None

    def cancel(self, job_id: int) -> None:
        self._pending = deque(pending for pending in self._pending if pending.job.id != job_id)

    def step(self, sink: Callable[[list[EngineEvent]], None]) -> None:
        """One pass, and the requests that it completes."""
        taken: list[tuple[_Pending, list[int]]] = []
        room = self._embedder.longest
        budget = min(room, PASS_TOKENS)
        for pending in self._pending:
            for text in pending.job.inputs[len(pending.vectors) :]:
                if len(taken) >= MOST_TEXTS or (taken and len(text) > budget) or len(text) > room:
                    break
                taken.append((pending, text))
                budget -= len(text)
                room -= len(text)
            else:
                continue
            break
        vectors = self._embedder.run([text for _, text in taken])
        events = []
        if vectors is None:
            for pending in {id(pending): pending for pending, _ in taken}.values():
                error = BackendFailed("the model could not compute these vectors", hint="see the worker's log")
                events.append(EngineEvent(pending.job.id, error=error))
                self._pending.remove(pending)
        else:
            for (pending, _), vector in zip(taken, vectors, strict=True):
                pending.vectors.append(vector)
            while self._pending and len(self._pending[0].vectors) == len(self._pending[0].job.inputs):
                done = self._pending.popleft()
                if all(isfinite(sum(vector)) for vector in done.vectors):
                    events.append(EngineEvent(done.job.id, vectors=tuple(done.vectors)))
                else:
                    hint = "its weights are damaged, or too large for their type"
                    error = BackendFailed("the model made a vector that is no numbers (NaN)", hint=hint)
                    events.append(EngineEvent(done.job.id, error=error))
        if events:
            sink(events)
