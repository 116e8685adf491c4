"""Whisper on CTranslate2: the recogniser as soon as a Whisper model is in the store.

Whisper hears whole recordings, so a stream keeps its audio and transcribes all of it each time it is asked; it has
no partial hypothesis. Left alone it invents words in silence and repeats itself in noise, so: silence is not shown to
it at all, a window it holds for silence or is unsure of gives nothing, and no window sees the text of the last.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import BadInput, ModelUnreadable
from voice.errors import AudioError, NoModel
from voice.port import EngineConfig, Pcm, SttEngine, SttSpec, Transcript, Word

__all__ = ["SPEC", "FasterWhisperStt"]

RATE_HZ = 16_000
MAX_SAMPLES = 10 * 60 * RATE_HZ
MIN_SAMPLES = RATE_HZ // 10
"""No word is shorter than 0.1 s."""
WINDOW_SAMPLES = 30 * RATE_HZ
"""Whisper's window. Time stamps only matter where there is more than one."""
SILENCE_PEAK = 33
"""-60 dB of full scale: a microphone's own noise, whatever it is called to be."""


class FasterWhisperStt:
    """Confined to one thread.

    Options: `compute_type` (int8), `device` (cpu), `beam_size` (1; 5 is slower and a little better),
    `word_times` (false; true costs a second pass of the decoder).
    """

    def __init__(self, config: EngineConfig) -> None:
        if config.model is None:
            raise NoModel("faster_whisper needs a Whisper model in CTranslate2's format")
        if not (config.model / "model.bin").is_file():
            raise NoModel(f"{config.model.name} is not a CTranslate2 model (a folder with model.bin)")
        if not (config.model / "tokenizer.json").is_file():
            # faster-whisper would try to fetch it from a hub, and wait.
            raise ModelUnreadable(f"{config.model.name} has no tokenizer.json", hint="install the whole model again")
        self._beam_size = int(config.options.get("beam_size", "1"))
        self._word_times = config.options.get("word_times", "false") == "true"
        self._whisper = _load_whisper(config.model, config)
        self._languages = frozenset(self._whisper.supported_languages)

    def open(self, language: str | None) -> _Stream:
        """Raises BadInput for a language Whisper does not have. An English-only model hears English, always."""
        code = None
        if language is not None:
            code = language.lower().replace("_", "-").split("-", 1)[0]
            if not self._whisper.model.is_multilingual:
                code = "en"
            elif code not in self._languages:
                raise BadInput(
                    f"Whisper has no language {language!r}", hint="a code such as en, de", param="language"
                )
        return _Stream(self, code)

    def transcribe(self, audio: Pcm, language: str | None) -> Transcript:
        """`audio` [samples], 16 kHz."""
        if audio.size < MIN_SAMPLES or int(np.abs(audio.astype(np.int32)).max()) < SILENCE_PEAK:
            return Transcript("", language=language)
        found, info = self._whisper.transcribe(
            audio.astype(np.float32) / 32768,
            language=language,
            beam_size=self._beam_size,
            # A second try at another temperature only where the first was unsure or repeated itself.
            temperature=[0.0, 0.4],
            no_speech_threshold=0.6,
            log_prob_threshold=-1.0,
            compression_ratio_threshold=2.4,
            condition_on_previous_text=False,
            without_timestamps=audio.size <= WINDOW_SAMPLES,
            word_timestamps=self._word_times,
            vad_filter=False,
        )
        # What is still repetitive or unsure after both tries is no speech we could answer.
        segments = [s for s in found if s.compression_ratio <= 2.4 and s.avg_logprob >= -1.5]
        text = "".join(segment.text for segment in segments).strip()
        if not text:
            return Transcript("", language=info.language)
        weights = [max(1, len(segment.tokens)) for segment in segments]
        mean = sum(s.avg_logprob * w for s, w in zip(segments, weights, strict=True)) / sum(weights)
        words = tuple(
            Word(word.word.strip(), float(word.start), float(word.end))
            for segment in segments
            for word in segment.words or ()
        )
        return Transcript(text, min(1.0, math.exp(mean)), info.language, words)


class _Stream:
    def __init__(self, engine: FasterWhisperStt, language: str | None) -> None:
        self._engine = engine
        self._language = language
        self._blocks: list[Pcm] = []
        self._samples = 0

    def feed(self, pcm: Pcm) -> None:
        if not isinstance(pcm, np.ndarray) or pcm.dtype != np.int16 or pcm.ndim != 1:
            raise AudioError("a recogniser takes int16 [samples] at 16 kHz")
        if self._samples + pcm.size > MAX_SAMPLES:
            raise AudioError("more than 10 minutes in one stream", hint="end the turn, or send a file")
        self._blocks.append(pcm.copy())
        self._samples += pcm.size

    def partial(self) -> None:
        return None

    def transcribe(self) -> Transcript:
        if len(self._blocks) > 1:
            self._blocks = [np.concatenate(self._blocks)]
        audio = self._blocks[0] if self._blocks else np.zeros(0, np.int16)
        return self._engine.transcribe(audio, self._language)

    def close(self) -> None:
        self._blocks.clear()
        self._samples = 0


def _load_whisper(path: Path, config: EngineConfig) -> Any:
    from faster_whisper import WhisperModel

    try:
        return WhisperModel(
            str(path),
            device=config.options.get("device", "cpu"),
            compute_type=config.options.get("compute_type", "int8"),
            cpu_threads=config.threads,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError, KeyError) as error:
        raise ModelUnreadable(f"{path.name} cannot be loaded as a Whisper model: {error}") from error


def _load(config: EngineConfig) -> SttEngine:
    return FasterWhisperStt(config)


SPEC = SttSpec(
    name="faster_whisper",
    load=_load,
    description="Whisper on CTranslate2: accurate, 99 languages, needs a model",
    needs_model=True,
    streaming=False,
    licence="MIT (faster-whisper, CTranslate2); the model's own licence",
    formats=("ctranslate2",),
)
