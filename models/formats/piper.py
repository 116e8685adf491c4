"""Piper voices: `x.onnx` with `x.onnx.json` beside it."""

from __future__ import annotations

import json
from pathlib import Path

from models.errors import ModelUnreadable
from models.formats.port import Detected, FormatSpec

__all__ = ["SPEC"]

MAX_CONFIG_BYTES = 4 << 20


def _config(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _claims(path: Path) -> bool:
    return path.suffix.lower() == ".onnx" and path.is_file() and _config(path).is_file()


def _read(path: Path) -> Detected | None:
    try:
        if _config(path).stat().st_size > MAX_CONFIG_BYTES:
            raise ModelUnreadable(f"{path.name}.json is too large for a Piper configuration")
        config = json.loads(_config(path).read_text(encoding="utf-8"))
        size = path.stat().st_size
    except OSError as error:
        raise ModelUnreadable(f"{path.name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ModelUnreadable(f"{path.name}.json is not JSON") from error
    if not isinstance(config, dict) or not isinstance(config.get("audio"), dict) or "phoneme_id_map" not in config:
        raise ModelUnreadable(f"{path.name}.json is not a Piper configuration")
    return Detected("tts", path.stem, size, size)


SPEC = FormatSpec("piper", "Piper voices, an ONNX file and its JSON", _claims, _read)
