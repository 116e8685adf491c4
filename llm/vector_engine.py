"""What engines that only make vectors have in common: the thread, its commands, and what they refuse to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from llm.engine import (
    EmbedJob,
    EngineCard,
    EngineEvent,
    EngineJob,
    EngineState,
    Prompt,
    Sink,
    SlotAction,
)
from llm.engine_thread import EngineThread
from llm.messages import Message
from models.errors import BadInput, ParleyError

__all__ = ["VectorEngine"]

_Command = EmbedJob | int | Callable[[EngineState], None]


class VectorEngine(ABC):
    """Most of an Engine. `most`: jobs that may wait. `_accept`, `_drop`, `_step` and `_waiting` are asked in the
    engine's thread."""

    card: EngineCard
    media_marker = ""

    def __init__(self, most: int) -> None:
        self._thread: EngineThread[_Command] = EngineThread(
            "vectors", most, lambda: self._waiting > 0, lambda: self._waiting
        )
        self._done = 0

    @property
    @abstractmethod
    def _waiting(self) -> int:
        """Jobs that were accepted and are not over."""

    @abstractmethod
    def _accept(self, job: EmbedJob) -> EngineEvent | None:
        """The refusal, if it is one."""

    @abstractmethod
    def _drop(self, job_id: int) -> None:
        """Nobody wants its vectors any more. Unknown ids are ignored."""

    @abstractmethod
    def _step(self, sink: Sink) -> None:
        """One pass through the model, and the jobs that it ends."""

    @abstractmethod
    def _free(self) -> None:
        """The thread has ended: give the model's memory back."""

    # ---- any thread ------------------------------------------------------------------------------------------

    def start(self, sink: Sink, on_death: Callable[[str], None]) -> None:
        self._thread.start(partial(self._work, sink=sink), on_death)

    def submit(self, job: EngineJob | EmbedJob) -> None:
        if isinstance(job, EngineJob):
            raise self._writes_nothing()
        self._thread.put(job)

    def cancel(self, job_id: int) -> None:
        self._thread.put(job_id, always=True)

    def ask_state(self, answer: Callable[[EngineState], None]) -> None:
        self._thread.put(answer)

    def close(self, timeout_s: float) -> bool:
        if not self._thread.close(timeout_s):
            return False
        self._free()
        return True

    # ---- what a model that writes would do -------------------------------------------------------------------

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        now: datetime,
        variables: Mapping[str, Any],
    ) -> Prompt:
        raise self._writes_nothing()

    def grammar(self, schema: Mapping[str, Any]) -> str:
        raise self._writes_nothing()

    def call_grammar(self, tools: Sequence[Mapping[str, Any]], parallel: bool, prompt: Prompt) -> str:
        raise self._writes_nothing()

    def forget(self, conversation: str) -> None:  # noqa: B027
        """It remembers nothing."""

    @property
    def cache_ram_bytes(self) -> int:
        return 0

    def limit_cache_ram(self, cache_ram_bytes: int) -> None:  # noqa: B027
        """It keeps nothing."""

    def keep(
        self, action: SlotAction, sequence: int, file: Path | None, answer: Callable[[int | ParleyError], None]
    ) -> None:
        answer(BadInput(f"there is no slot {sequence}: this model keeps no conversations", param="id"))

    def _writes_nothing(self) -> BadInput:
        hint = "POST /v1/embeddings" + ("" if self.card.embeds_images else " or /v1/rerank")
        return BadInput(f"{self.card.name} makes vectors and writes no text", param="model", hint=hint)

    # ---- the engine's thread ---------------------------------------------------------------------------------

    def _work(self, commands: Sequence[_Command], sink: Sink) -> None:
        for command in commands:
            self._take(command, sink)
        if self._waiting:
            self._step(sink)
            self._done += 1

    def _take(self, command: _Command, sink: Sink) -> None:
        if isinstance(command, EmbedJob):
            if refused := self._accept(command):
                sink([refused])
        elif isinstance(command, int):
            self._drop(command)
        else:
            command(EngineState(0, self._waiting, (), {"steps": self._done}))
