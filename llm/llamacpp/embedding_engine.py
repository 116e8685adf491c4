"""A model that only makes vectors or ranks: BERT and its kin, and generators that were trained to embed."""

from __future__ import annotations

from collections.abc import Sequence

from llm.engine import (
    EmbedJob,
    Encoded,
    EngineCard,
    EngineConfig,
    EngineEvent,
    Prompt,
    Sink,
)
from llm.llamacpp.compute_threads import ComputeThreads
from llm.llamacpp.embedder import Embedder, EmbedQueue
from llm.llamacpp.library import native
from llm.llamacpp.model import load_model
from llm.llamacpp.prompts import Prompts
from llm.llamacpp.vocab import Vocab
from llm.vector_engine import VectorEngine
from models.formats.gguf import GgufHeader

__all__ = ["EmbeddingEngine"]

MOST_JOBS = 4096


class EmbeddingEngine(VectorEngine):
    """An Engine. Loads in the constructor, which takes seconds; raises ModelUnreadable."""

    def __init__(self, config: EngineConfig, header: GgufHeader) -> None:
        super().__init__(MOST_JOBS)
        self._model, _ = load_model(config, header)
        self._vocab = Vocab(self._model)
        self._prompts = Prompts(header, self._vocab, "", None)
        self._compute_threads = ComputeThreads(config.clock.now)
        self._embedder = Embedder(self._model, config.settings, header, self._compute_threads, alone=True)
        self._queue = EmbedQueue(self._embedder)
        self._embedder.run([[self._vocab.first_token()]])  # the first pass reads the weights from the disk
        self.card = EngineCard(
            name=config.name,
            context=self._embedder.longest,
            trained_context=header.context_length or self._embedder.longest,
            vocabulary=self._vocab.size,
            parameters=header.parameters,
            size_bytes=header.size_bytes,
            places=1,
            description=header.architecture,
            generates=False,
            dimensions=self._embedder.dimensions,
            ranks=self._embedder.ranks,
        )

    def encode(self, prompt: Prompt) -> Encoded:
        return self._prompts.encode(prompt)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._prompts.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, tokens: Sequence[int]) -> str:
        return self._vocab.detokenize(tokens)

    def pair(self, query: str, document: str) -> list[int]:
        return self._prompts.pair(query, document)

    # ---- the engine's thread ---------------------------------------------------------------------------------

    @property
    def _waiting(self) -> int:
        return self._queue.waiting

    def _accept(self, job: EmbedJob) -> EngineEvent | None:
        return self._queue.submit(job)

    def _drop(self, job_id: int) -> None:
        self._queue.cancel(job_id)

    def _step(self, sink: Sink) -> None:
        self._queue.step(sink)

    def _free(self) -> None:
        self._embedder.close()
        self._compute_threads.close()
        model, self._model = self._model, None
        if model:
            native.llama_model_free(model)
