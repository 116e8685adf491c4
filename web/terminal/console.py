"""The terminal: words are shown as they are.

rich would take "[y/N]" and "[llm]" for markup, and print neither; the terminal would do what an escape sequence says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from web.terminal.printable import printable

__all__ = ["PlainConsole"]


class PlainConsole(Console):
    """No markup, no emoji codes, no colours that rich finds fit. Colour is said with `rich.text.Text`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))
