"""What a format reader is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Detected", "FormatSpec", "Kind"]

Kind = Literal["llm", "stt", "tts", "embedding", "rerank", "wake", "projector", "adapter"]
"""What a model is for. A projector or an adapter is of use only beside a model."""


@dataclass(frozen=True, slots=True)
class Detected:
    """`weight` orders models of one kind: parameters where the file says, else bytes."""

    kind: Kind
    name: str
    size_bytes: int
    weight: int


@dataclass(frozen=True, slots=True)
class FormatSpec:
    """`claims(path)` looks at the name only (path may be a file or a folder); `read(path)` at the content.

    `read` raises ModelUnreadable for a file that is not what its name says, and returns None for one that is in
    order and is no model to list (a later part of a split file, a vocabulary).
    """

    name: str
    description: str
    claims: Callable[[Path], bool]
    read: Callable[[Path], Detected | None]
