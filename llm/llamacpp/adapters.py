"""LoRA adapters of a loaded model: files in, and which of them a step uses."""

from __future__ import annotations

from typing import Any

from llm.batching.events import Adapters
from llm.engine import Adapter
from llm.llamacpp.library import native
from llm.llamacpp.option_text import parse_lora
from models.errors import BadInput, ModelUnreadable

__all__ = ["LoraSet"]


class LoraSet:
    """The adapters belong to the model and are freed with it. Raises ModelUnreadable for a file that does not fit."""

    def __init__(self, model: Any, text: str) -> None:
        self._pointers: list[Any] = []
        cards: list[Adapter] = []
        for number, (path, scale) in enumerate(parse_lora(text)):
            pointer = native.llama_adapter_lora_init(model, str(path).encode()) if path.is_file() else None
            if not pointer:
                raise ModelUnreadable(
                    f"{path.name} is not a LoRA adapter for this model",
                    hint="see the lines above in the worker's log",
                )
            self._pointers.append(pointer)
            cards.append(Adapter(number, str(path), scale))
        self.cards = tuple(cards)

    def chosen(self, asked: Adapters | None) -> Adapters:
        """What a request uses: its own choice, or the slot's. Raises BadInput for a number that is not there."""
        if asked is None:
            return tuple((card.id, card.scale) for card in self.cards if card.scale)
        for number, _ in asked:
            if number >= len(self.cards):
                raise BadInput(f"there is no LoRA adapter {number}; this slot has {len(self.cards)}", param="lora")
        return tuple(sorted((number, scale) for number, scale in dict(asked).items() if scale))

    def pointers(self, adapters: Adapters) -> list[tuple[Any, float]]:
        return [(self._pointers[number], scale) for number, scale in adapters]
