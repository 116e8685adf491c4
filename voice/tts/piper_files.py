"""The Piper voices of some folders: what they are called, what they speak, and which of them a request means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import BadInput, ModelUnreadable
from models.formats import piper
from models.store import walk
from voice.port import VoiceInfo

__all__ = ["VoiceFile", "choose", "find", "read"]


@dataclass(frozen=True, slots=True)
class VoiceFile:
    """`language`: a tag such as "de-DE". `speakers`: (name, id) of a file that holds several."""

    name: str
    path: Path
    language: str
    rate_hz: int
    speakers: tuple[tuple[str, int], ...] = ()

    @property
    def infos(self) -> tuple[VoiceInfo, ...]:
        """A file with several speakers offers each as `{name}#{speaker}`."""
        names = [f"{self.name}#{speaker}" for speaker, _ in self.speakers] or [self.name]
        return tuple(VoiceInfo(name, f"Piper {name}", self.language, self.rate_hz) for name in names)


def find(folders: Iterable[Path]) -> list[VoiceFile]:
    """Those that can be read, by name; of two of one name the first. Blocks on the disk."""
    found: dict[str, VoiceFile] = {}
    for folder in folders:
        for path in walk(folder):
            if piper.SPEC.claims(path):
                try:
                    piper.SPEC.read(path)
                    voice = read(path)
                except ModelUnreadable:
                    continue  # the store's page tells of it
                found.setdefault(voice.name, voice)
    return sorted(found.values(), key=lambda voice: voice.name)


def read(path: Path) -> VoiceFile:
    """What its `.onnx.json` says. Raises ModelUnreadable."""
    try:
        config: dict[str, Any] = json.loads(path.with_name(path.name + ".json").read_text(encoding="utf-8"))
        told = config.get("language") or {}
        language = str(told.get("code") or (config.get("espeak") or {})["voice"]).replace("_", "-")
        several = int(config.get("num_speakers", 1)) > 1
        speakers = (config.get("speaker_id_map") or {}) if several else {}
        return VoiceFile(
            path.name.removesuffix(".onnx"),
            path,
            language,
            int(config["audio"]["sample_rate"]),
            tuple((str(name), int(number)) for name, number in speakers.items()),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnreadable(f"{path.name} cannot be loaded as a Piper voice: {error}") from error


def choose(voices: Sequence[VoiceFile], voice: str, language: str | None) -> tuple[VoiceFile, int | None]:
    """The file and the speaker in it. Pure. `voices[0]` is the default voice, the others come in any order.

    A voice by name, without regard to case: 1. a file. 2. one of its speakers, with the file's name or without.
    The default voice: 3. the one that speaks exactly this language. 4. one of its primary tag, the default voice
    first. 5. the default voice, whatever language is asked for: words said strangely are better than none.
    Raises BadInput.
    """
    if voice != "default":
        wanted = voice.casefold()
        for file in voices:
            if wanted == file.name.casefold():  # 1
                return file, None
        for file in voices:
            for name, number in file.speakers:
                if wanted in (f"{file.name}#{name}".casefold(), name.casefold()):  # 2
                    return file, number
        known = ", ".join([info.id for file in voices for info in file.infos][:5])
        raise BadInput(f"no voice {voice[:80]!r} is installed", hint=f"use default or {known}", param="voice")
    tag = (language or "").casefold().replace("_", "-")
    for same in (_whole, _primary):  # 3, 4
        for file in voices:
            if tag and same(file.language) == same(tag):
                return file, None
    return voices[0], None  # 5


def _whole(tag: str) -> str:
    return tag.casefold()


def _primary(tag: str) -> str:
    return tag.casefold().split("-", 1)[0]
