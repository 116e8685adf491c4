"""A model that only makes vectors or ranks: BERT and its kin, and generators that were trained to embed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from llm.engine import (
    EmbedJob,
    Encoded,
    EngineCard,
    EngineConfig,
    EngineJob,
    EngineState,
    Prompt,
    Sink,
    SlotAction,
)
from llm.errors import Overloaded
from llm.llamacpp.crew import Crew
from llm.llamacpp.embedder import Embedder, EmbedQueue
from llm.llamacpp.library import native
from llm.llamacpp.model import load_model
from llm.llamacpp.prompts import Prompts
from llm.llamacpp.vocab import Vocab
from llm.messages import Message
from models.errors import BadInput, ParleyError
from models.formats.gguf import GgufHeader

__all__ = ["EmbeddingEngine"]

MAX_COMMANDS = 4096


class EmbeddingEngine:
    """An Engine. Loads in the constructor, which takes seconds; raises ModelUnreadable."""

    media_marker = ""

    def __init__(self, config: EngineConfig, header: GgufHeader) -> None:
        self._model, _ = load_model(config, header)
        self._vocab = Vocab(self._model)
        self._prompts = Prompts(header, self._vocab, "", None)
        self._crew = Crew(config.clock.now)
        self._embedder = Embedder(self._model, config.settings, header, self._crew, alone=True)
        self._queue = EmbedQueue(self._embedder)
        self._commands: deque[EmbedJob | int | Callable[[EngineState], None]] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._done = 0
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

    def start(self, sink: Sink, on_death: Callable[[str], None]) -> None:
        self._thread = threading.Thread(target=self._work, args=(sink, on_death), name="llama.cpp", daemon=True)
        self._thread.start()

    def submit(self, job: EngineJob | EmbedJob) -> None:
        if isinstance(job, EngineJob):
            raise self._writes_nothing()
        self._command(job)

    def cancel(self, job_id: int) -> None:
        self._command(job_id)

    def ask_state(self, answer: Callable[[EngineState], None]) -> None:
        self._command(answer)

    def close(self, timeout_s: float) -> bool:
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                return False
        self._embedder.close()
        self._crew.close()
        model, self._model = self._model, None
        if model:
            native.llama_model_free(model)
        return True

    def encode(self, prompt: Prompt) -> Encoded:
        return self._prompts.encode(prompt)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._prompts.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, tokens: Sequence[int]) -> str:
        return self._vocab.detokenize(tokens)

    def pair(self, query: str, document: str) -> list[int]:
        return self._prompts.pair(query, document)

    # ---- what a model that writes would do -------------------------------------------------------------------

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        now: datetime,
        thinking: bool | None = None,
    ) -> Prompt:
        raise self._writes_nothing()

    def grammar(self, schema: Mapping[str, Any]) -> str:
        raise self._writes_nothing()

    def call_grammar(self, tools: Sequence[Mapping[str, Any]], parallel: bool, prompt: Prompt) -> str:
        raise self._writes_nothing()

    def forget(self, conversation: str) -> None:
        """It remembers nothing."""

    def keep(
        self, action: SlotAction, sequence: int, file: Path | None, answer: Callable[[int | ParleyError], None]
    ) -> None:
        answer(BadInput(f"there is no slot {sequence}: this model keeps no conversations", param="id"))

    def _writes_nothing(self) -> BadInput:
        return BadInput(
            f"{self.card.name} makes vectors and writes no text",
            param="model",
            hint="POST /v1/embeddings or /v1/rerank",
        )

    # ---- the engine's thread ---------------------------------------------------------------------------------

    def _command(self, command: EmbedJob | int | Callable[[EngineState], None]) -> None:
        with self._wake:
            if len(self._commands) >= MAX_COMMANDS and not isinstance(command, int):
                raise Overloaded("the engine has more requests than it can look at", hint="try again in a second")
            self._commands.append(command)
            self._wake.notify()

    def _work(self, sink: Sink, on_death: Callable[[str], None]) -> None:
        try:
            while True:
                with self._wake:
                    while not (self._commands or self._queue.waiting or self._closing):
                        self._wake.wait()
                    if self._closing:
                        return
                    commands, self._commands = self._commands, deque()
                for command in commands:
                    self._take(command, sink)
                if self._queue.waiting:
                    self._queue.step(sink)
                    self._done += 1
        except Exception as error:  # whatever it was: the process is replaced and says why
            on_death(f"{type(error).__name__}: {error}")

    def _take(self, command: EmbedJob | int | Callable[[EngineState], None], sink: Sink) -> None:
        if isinstance(command, EmbedJob):
            if refused := self._queue.submit(command):
                sink([refused])
        elif isinstance(command, int):
            self._queue.cancel(command)
        else:
            command(EngineState(0, self._queue.waiting, (), {"steps": self._done}))
