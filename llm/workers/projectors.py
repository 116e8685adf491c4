"""The file that lets a language model see or hear (mmproj): where it lies, and which of the two it does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from models.formats.gguf import read_header

__all__ = ["Modalities", "find_projector", "modalities_of"]

_PART = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True, slots=True)
class Modalities:
    vision: bool
    audio: bool
    size_bytes: int


def find_projector(model: Path, setting: str) -> Path | None:
    """The file named in the settings; else the mmproj file beside the model, where both are alone in their folder:
    one that belongs to another model would keep this one from being loaded.
    """
    if setting:
        return Path(setting).expanduser()
    files = sorted(model.parent.glob("*.gguf"))
    found = [file for file in files if "mmproj" in file.name.lower()]
    models = {_PART.sub("", file.stem) for file in files if file not in found}
    return found[0] if len(found) == 1 and models == {_PART.sub("", model.stem)} else None


def modalities_of(projector: Path) -> Modalities:
    """From its header; files older than these keys only see. Raises ModelUnreadable. Blocking."""
    header = read_header(projector)
    audio = bool(header.metadata.get("clip.has_audio_encoder", False))
    vision = bool(header.metadata.get("clip.has_vision_encoder", not audio))
    return Modalities(vision, audio, header.size_bytes)
