"""The terminal: words are shown as they are. rich would take "[y/N]" and "[llm]" for markup, and print neither."""

from __future__ import annotations

from typing import Any

from rich.console import Console

__all__ = ["PlainConsole"]


class PlainConsole(Console):
    """No markup, no emoji codes, no colours that rich finds fit. Colour is said with `rich.text.Text`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)
