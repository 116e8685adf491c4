"""openWakeWord models as TensorFlow Lite files, the form that pyopen-wakeword loads."""

from __future__ import annotations

from pathlib import Path

from models.errors import ModelUnreadable
from models.formats.port import Detected, FormatSpec

__all__ = ["SPEC"]

FEATURE_MODELS = frozenset({"melspectrogram", "embedding_model"})
"""openWakeWord's shared front end: no wake words."""


def _claims(path: Path) -> bool:
    return path.suffix.lower() == ".tflite" and path.is_file()


def _read(path: Path) -> Detected | None:
    try:
        with path.open("rb") as file:
            head = file.read(8)
        size = path.stat().st_size
    except OSError as error:
        raise ModelUnreadable(f"{path.name} cannot be read: {error.strerror}") from error
    if head[4:8] != b"TFL3":
        raise ModelUnreadable(f"{path.name} is not a TensorFlow Lite model")
    if path.stem in FEATURE_MODELS:
        return None
    return Detected("wake", path.stem, size, size)


SPEC = FormatSpec("wake_tflite", "openWakeWord models, a TensorFlow Lite file", _claims, _read)
