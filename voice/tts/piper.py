"""Piper: natural voices of some 60 MB each, faster than real time on a CPU. GPL-3.0 (it contains espeak-ng)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import BadInput, ModelUnreadable
from voice.errors import NoModel
from voice.port import EngineConfig, Pcm, SpeechChunk, TtsEngine, TtsSpec, VoiceInfo, Word
from voice.tts.onnx_durations import with_durations
from voice.tts.pieces import pieces, plain
from voice.tts.trim import leading_silence
from voice.tts.word_times import from_units, spans

__all__ = ["SPEC", "PiperTts"]

PIECE_CHARS = 240
"""A piece is synthesised in one go, so it bounds what a cancelled reply still costs."""


class PiperTts:
    """Confined to one thread. One voice file; a file with several speakers offers each as `{name}#{speaker}`.

    A voice speaks one language, whatever language is asked for: words said strangely are better than none.
    """

    def __init__(self, config: EngineConfig) -> None:
        if config.model is None:
            raise NoModel("piper needs a voice (x.onnx with x.onnx.json)")
        self._name = config.model.name.removesuffix(".onnx")
        self._voice, self._language, self._has_times = _load_voice(config.model, config.threads)
        self._speakers = dict(self._voice.config.speaker_id_map) if self._voice.config.num_speakers > 1 else {}

    def voices(self) -> tuple[VoiceInfo, ...]:
        rate_hz = self._voice.config.sample_rate
        names = [f"{self._name}#{speaker}" for speaker in self._speakers] or [self._name]
        return tuple(VoiceInfo(name, f"Piper {name}", self._language, rate_hz) for name in names)

    def synthesize(self, text: str, voice: str, speed: float, language: str | None) -> Iterator[SpeechChunk]:
        """One chunk per sentence, words with the last. Raises BadInput for an unknown voice, at the first `next`."""
        from piper import SynthesisConfig

        speaker = self._speaker(voice)
        length_scale = self._voice.config.length_scale / min(4.0, max(0.25, speed))
        settings = SynthesisConfig(speaker_id=speaker, length_scale=length_scale)
        rate_hz = self._voice.config.sample_rate
        words: list[Word] = []
        done = 0
        # [[ ]] would switch Piper's text reader to raw phonemes; here it is text like any other.
        for piece in pieces(plain(text).replace("[[", "[ [").replace("]]", "] ]"), PIECE_CHARS):
            units: list[tuple[float, float]] = []
            for chunk in self._voice.synthesize(piece, settings, include_alignments=self._has_times):
                pcm: Pcm = chunk.audio_int16_array
                skip = leading_silence(pcm, rate_hz) if done == 0 else 0
                units += _units(chunk, (done - skip) / rate_hz, rate_hz)
                done += len(pcm) - skip
                if len(pcm) > skip:
                    yield SpeechChunk(pcm[skip:], rate_hz)
            words += self._words(piece, units, done / rate_hz)
        yield SpeechChunk(np.zeros(0, np.int16), rate_hz, tuple(words))

    def _words(self, piece: str, units: list[tuple[float, float]], end_s: float) -> list[Word]:
        texts = [piece[start:end] for start, end in spans(piece)]
        if len(texts) == len(units):
            weights = [1.0] * len(texts)
        else:  # how long each is expected to be, from how many phonemes it has by itself
            weights = [1.0 + sum(len(sentence) for sentence in self._voice.phonemize(text)) for text in texts]
        words = from_units(texts, weights, units)
        return [Word(word.text, max(0.0, word.start_s), min(end_s, word.end_s)) for word in words]

    def _speaker(self, voice: str) -> int | None:
        """1. The voice itself or "default": its first speaker. 2. One of its speakers, by name."""
        if voice in ("default", self._name):  # 1
            return None
        speaker = voice.removeprefix(self._name + "#")
        if speaker in self._speakers:  # 2
            return int(self._speakers[speaker])
        known = ", ".join(info.id for info in self.voices()[:5])
        raise BadInput(f"no voice {voice!r} is loaded", hint=f"use default or {known}", param="voice")


def _units(chunk: Any, offset_s: float, rate_hz: int) -> list[tuple[float, float]]:
    """Start and end of what stands between spaces and punctuation in the phonemes of one sentence."""
    units: list[tuple[float, float]] = []
    at, start = 0, None
    for part in chunk.phoneme_alignments or ():
        sounds = any(char.isalpha() for char in part.phoneme)
        if sounds and start is None:
            start = at
        elif not sounds and start is not None and part.phoneme in _BREAKS:
            units.append((max(0.0, start / rate_hz + offset_s), max(0.0, at / rate_hz + offset_s)))
            start = None
        at += int(part.num_samples)
    if start is not None:
        units.append((max(0.0, start / rate_hz + offset_s), max(0.0, at / rate_hz + offset_s)))
    return units


_BREAKS = frozenset(" ,.;:!?$")


def _load_voice(path: Path, threads: int) -> tuple[Any, str, bool]:
    """The voice, its language, and whether it tells its durations. Raises NoModel, ModelUnreadable."""
    import onnxruntime
    from piper import PiperVoice
    from piper.config import PiperConfig

    config_path = path.with_name(path.name + ".json")
    if not path.is_file() or not config_path.is_file():
        raise NoModel(f"{path.name} is no Piper voice (x.onnx with x.onnx.json)")
    try:
        settings = json.loads(config_path.read_text(encoding="utf-8"))
        config = PiperConfig.from_dict(settings)
        model = path.read_bytes()
        timed = with_durations(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(timed or model, options, providers=["CPUExecutionProvider"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelUnreadable(f"{path.name} cannot be loaded as a Piper voice: {error}") from error
    except Exception as error:
        # onnxruntime's own exceptions derive from Exception and have no name in its public interface.
        raise ModelUnreadable(f"{path.name} cannot be loaded as a Piper voice: {error}") from error
    language = settings.get("language", {}).get("code") or config.espeak_voice
    return PiperVoice(session=session, config=config), str(language).replace("_", "-"), timed is not None


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
