"""CTranslate2 folders: `model.bin` beside its vocabulary. Whisper models are speech recognisers.

`model.bin` begins with uint32 version, then the name of the model specification as uint16 length (with the
final NUL) and bytes, as ctranslate2's own specs/model_spec.py writes it.
"""

from __future__ import annotations

import struct
from pathlib import Path

from models.errors import ModelUnreadable
from models.formats.port import Detected, FormatSpec

__all__ = ["SPEC"]

MAX_NAME = 256


def _specification(path: Path) -> str:
    """The name a converted model gives itself, such as `WhisperSpec`. Raises ModelUnreadable."""
    try:
        with path.open("rb") as file:
            head = file.read(6 + MAX_NAME)
    except OSError as error:
        raise ModelUnreadable(f"{path} cannot be read: {error.strerror}") from error
    if len(head) < 6:
        raise ModelUnreadable(f"{path.parent.name}/model.bin is too short")
    version, length = struct.unpack_from("<IH", head)
    name = head[6 : 6 + length]
    if not 2 <= version <= 64 or not 1 < length <= MAX_NAME or len(name) != length or name[-1] != 0:
        raise ModelUnreadable(f"{path.parent.name}/model.bin is not a CTranslate2 model")
    return name[:-1].decode("utf-8", "replace")


def _claims(path: Path) -> bool:
    return path.is_dir() and (path / "model.bin").is_file()


def _read(path: Path) -> Detected | None:
    if _specification(path / "model.bin") != "WhisperSpec":
        return None
    if not (path / "config.json").is_file():
        raise ModelUnreadable(f"{path.name} has no config.json")
    size = sum(item.stat().st_size for item in path.iterdir() if item.is_file())
    return Detected("stt", path.name, size, size)


SPEC = FormatSpec("ctranslate2", "Whisper models for faster-whisper, a folder", _claims, _read)
