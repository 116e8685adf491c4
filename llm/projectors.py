"""The file that lets a language model see or hear (mmproj): where it lies, and which of the two it does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.formats.gguf import read_header

__all__ = ["Senses", "find_projector", "senses_of"]


@dataclass(frozen=True, slots=True)
class Senses:
    sees: bool
    hears: bool
    size_bytes: int


def find_projector(model: Path, setting: str) -> Path | None:
    """The file named in the settings, or the only mmproj file beside the model."""
    if setting:
        return Path(setting).expanduser()
    found = sorted(model.parent.glob("*mmproj*.gguf")) if "mmproj" not in model.name else []
    return found[0] if len(found) == 1 else None


def senses_of(projector: Path) -> Senses:
    """From its header; files older than these keys only see. Raises ModelUnreadable. Blocking."""
    header = read_header(projector)
    hears = bool(header.metadata.get("clip.has_audio_encoder", False))
    sees = bool(header.metadata.get("clip.has_vision_encoder", not hears))
    return Senses(sees, hears, header.size_bytes)
