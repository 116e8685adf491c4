"""Piper: natural voices of some 60 MB each, faster than real time on a CPU. GPL-3.0 (it contains espeak-ng)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import structlog

from models.clock import Clock, SystemClock
from models.errors import BadInput, ModelUnreadable
from voice.errors import NoModel
from voice.port import EngineConfig, SpeechChunk, TtsEngine, TtsSpec, VoiceInfo
from voice.tts.piper_files import VoiceFile, choose, find, read
from voice.tts.piper_voice import PiperVoice

__all__ = ["KEPT", "SPEC", "PiperTts"]

KEPT = 3
"""Voices that stay loaded: the default one, and those that were used last."""
LOOK_EVERY_S = 10.0
"""A voice that is not there may have been installed meanwhile; folders are looked through no more often."""
log = structlog.get_logger(__name__)


class PiperTts:
    """Confined to one thread. The voice of the configuration is the default one and is loaded at once; those of its
    folders are loaded when they are asked for, by name or by a language that the default voice does not speak."""

    def __init__(self, config: EngineConfig, clock: Clock | None = None) -> None:
        if config.model is None:
            raise NoModel("piper needs a voice (x.onnx with x.onnx.json)")
        self._threads, self._folders = config.threads, config.folders
        self._clock: Clock = SystemClock() if clock is None else clock
        loaded = PiperVoice(config.model, config.threads)
        self._default = read(config.model)
        self._loaded: OrderedDict[Path, PiperVoice] = OrderedDict({self._default.path: loaded})
        self._unusable: set[tuple[Path, int]] = set()
        """Files that cannot be loaded, as they were then (modification time, ns)."""
        self._look()

    @property
    def loaded(self) -> tuple[str, ...]:
        """Names of the voices in memory, the one that was used last at the end."""
        return tuple(path.name.removesuffix(".onnx") for path in self._loaded)

    def voices(self) -> tuple[VoiceInfo, ...]:
        self._look_again()
        return tuple(info for file in self._files for info in file.infos)

    def synthesize(self, text: str, voice: str, speed: float, language: str | None) -> Iterator[SpeechChunk]:
        """One chunk per sentence, words with the last. At the first `next` it raises BadInput for an unknown voice,
        ModelUnreadable for one that was asked for by name and cannot be loaded."""
        file, speaker = self._choose(voice, language)
        try:
            spoken = self._load(file)
        except (ModelUnreadable, NoModel) as error:
            if voice != "default":
                raise
            log.warning("voice.unusable", voice=file.name, language=language, error=error.code)
            self._unusable.add(_stamp(file.path))
            self._files.remove(file)
            spoken, speaker = self._load(self._default), None
        yield from spoken.synthesize(text, speaker, speed)

    def _choose(self, voice: str, language: str | None) -> tuple[VoiceFile, int | None]:
        try:
            found = choose(self._files, voice, language)
        except BadInput:
            if not self._look_again():
                raise
            return choose(self._files, voice, language)
        missed = language is not None and voice == "default" and not _speaks(found[0], language)
        return choose(self._files, voice, language) if missed and self._look_again() else found

    def _load(self, file: VoiceFile) -> PiperVoice:
        if file.path not in self._loaded:
            self._loaded[file.path] = PiperVoice(file.path, self._threads)
            log.info("voice.loaded", voice=file.name)
        self._loaded.move_to_end(file.path)
        while len(self._loaded) > KEPT:
            del self._loaded[next(path for path in self._loaded if path != self._default.path)]
        return self._loaded[file.path]

    def _look_again(self) -> bool:
        """True if the folders were looked through."""
        due = bool(self._folders) and self._clock.now() - self._looked_at >= LOOK_EVERY_S
        if due:
            self._look()
        return due

    def _look(self) -> None:
        self._looked_at = self._clock.now()
        others = (file for file in find(self._folders) if file.path != self._default.path.resolve())
        usable = (
            file for file in others if file.name != self._default.name and _stamp(file.path) not in self._unusable
        )
        self._files = [self._default, *usable]


def _speaks(file: VoiceFile, language: str) -> bool:
    return file.language.casefold().split("-", 1)[0] == language.casefold().replace("_", "-").split("-", 1)[0]


def _stamp(path: Path) -> tuple[Path, int]:
    try:
        return path, path.stat().st_mtime_ns
    except OSError:
        return path, 0


def _load(config: EngineConfig) -> TtsEngine:
    return PiperTts(config)


SPEC = TtsSpec(
    name="piper",
    load=_load,
    description="Piper: natural voices, one model a voice",
    needs_model=True,
    word_times=True,
    licence="GPL-3.0 (piper-tts); each voice its own",
    formats=("piper",),
)
