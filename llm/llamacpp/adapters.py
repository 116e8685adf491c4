"""LoRA adapters of a loaded model: files in, and which of them a step uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llm.batching.events import Adapters
from llm.engine import Adapter
from llm.llamacpp.library import native
from models.errors import BadInput, ModelUnreadable, SettingsError

__all__ = ["LoraSet", "parse_lora"]


def parse_lora(text: str) -> list[tuple[Path, float]]:
    """ "a.gguf=0.5, b.gguf" as paths and scales. Raises SettingsError."""
    found = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        path, _, scale = entry.partition("=")
        try:
            found.append((Path(path.strip()).expanduser(), float(scale or 1)))
        except ValueError:
            raise SettingsError(f"[llm.engine] lora: {scale!r} is no scale", param="lora") from None
    return found


class LoraSet:
    """The adapters belong to the model and are freed with it. Raises ModelUnreadable for a file that does not fit."""

    def __init__(self, model: Any, text: str) -> None:
        self._pointers: list[Any] = []
        cards: list[Adapter] = []
        for number, (path, scale) in enumerate(parse_lora(text)):
            pointer = native.llama_adapter_lora_init(model, str(path).encode()) if path.is_file() else None
            if not pointer:
                raise ModelUnreadable(
                    f"{path.name} is no LoRA adapter for this model",
                    hint="the lines above in the worker's log say why",
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
