"""faster-whisper's model, with work that can be given up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from faster_whisper import WhisperModel

__all__ = ["GivenUp", "Whisper"]


class GivenUp(Exception):
    """Somebody waits for the thread."""


class Whisper(WhisperModel):  # type: ignore[misc]
    """CTranslate2 can stop neither its encoder nor its decoder; between them is a moment to ask."""

    _wanted: Callable[[], bool] | None = None

    @contextmanager
    def given_up_if(self, wanted: Callable[[], bool]) -> Iterator[None]:
        """What is transcribed within raises GivenUp as soon as `wanted()`."""
        self._wanted = wanted
        try:
            yield
        finally:
            self._wanted = None

    def encode(self, features: Any) -> Any:
        self._check()
        return super().encode(features)

    def generate_with_fallback(self, *args: Any) -> Any:
        self._check()
        return super().generate_with_fallback(*args)

    def _check(self) -> None:
        if self._wanted is not None and self._wanted():
            raise GivenUp
