"""Whisper on CTranslate2: the recogniser as soon as a Whisper model is in the store.

Whisper hears whole recordings, so a stream keeps its audio and transcribes all of it each time it is asked. Left
alone it invents words in silence and repeats itself in noise, so: silence is not shown to it at all, a window it
holds for silence or is unsure of gives nothing, and no window sees the text of the last.

Partial transcripts are made of the last seconds of speech (voice/whisper/rolling.py), in time that nobody needs
(voice/whisper/spare_time.py). `partial()` gives the one there is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from models.clock import Clock, SystemClock
from models.errors import BadInput, ModelUnreadable
from voice.errors import AudioError, NoModel
from voice.port import EngineConfig, Pcm, SttEngine, SttSpec, Transcript, Word
from voice.whisper.rolling import LONG_SAMPLES, RollingTranscript, sounds
from voice.whisper.spare_time import SpareTime

__all__ = ["SPEC", "FasterWhisperStt"]

RATE_HZ = 16_000
MAX_SAMPLES = 10 * 60 * RATE_HZ
MIN_SAMPLES = RATE_HZ // 10
"""No word is shorter than 0.1 s."""
WINDOW_SAMPLES = 30 * RATE_HZ
"""Whisper's window. Time stamps only matter where there is more than one."""
SILENCE_PEAK = 33
"""-60 dB of full scale: a microphone's own noise, whatever it is called to be."""
MAX_RATIO = 2.4
"""Text that can be compressed further repeats itself."""
MIN_LOG_PROBABILITY = -1.5
"""Of a token, on average."""
PARTIAL_SHARE, PARTIAL_RUN_S = 0.2, 0.3
"""Of the thread's time; of one run. An end of speech is known 0.1 s after it: a run stands in the way of its
transcript for 0.2 s at worst, and mostly not at all."""
TOKENS, TOKENS_PER_S, MOST_TOKENS = 32, 16, 224
"""What a partial transcript may have: more is a loop. Whisper itself ends at the last."""
CONTROL_TOKENS = 4
"""Before the text: start, language, task, no time stamps."""
SURE_LANGUAGE = 0.5
"""A less probable one is a guess from too little speech."""


class FasterWhisperStt:
    """Confined to one thread.

    Options: `compute_type` (int8), `device` (cpu), `beam_size` (1; 5 is slower and a little better),
    `word_times` (false; true costs a second pass of the decoder), `partial_share` (0.2; how much of the time partial
    transcripts may take), `partial_run_s` (0.3; how long one may).
    """

    def __init__(self, config: EngineConfig, clock: Clock | None = None) -> None:
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
        self._now = (clock or SystemClock()).now
        share, run_s = (
            _number(config, name, default)
            for name, default in (("partial_share", PARTIAL_SHARE), ("partial_run_s", PARTIAL_RUN_S))
        )
        self._spare = SpareTime(share, run_s)
        self._asked: dict[_Stream, None] = {}
        """Who was asked for a partial transcript since its last one, in order."""

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
        began_s = self._now()
        segments, info = self._segments(
            audio,
            language,
            beam_size=self._beam_size,
            # A second try at another temperature only where the first was unsure or repeated itself.
            temperature=[0.0, 0.4],
            without_timestamps=audio.size <= WINDOW_SAMPLES,
            word_timestamps=self._word_times,
        )
        run_s = (self._now() - began_s) / math.ceil(audio.size / WINDOW_SAMPLES)
        self._spare.transcribed(run_s, alike=audio.size <= LONG_SAMPLES)
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

    def want(self, stream: _Stream) -> None:
        """A partial transcript of it, when there is time."""
        self._asked.setdefault(stream)

    def forget(self, stream: _Stream) -> None:
        self._asked.pop(stream, None)

    def use_spare_time(self, wanted: Callable[[], bool]) -> None:
        """One partial transcript, of whoever has waited longest and is speaking."""
        began_s = self._now()
        if not self._spare.free(began_s):
            return
        for stream in self._asked:
            if stream.is_speaking():
                del self._asked[stream]
                done = stream.hear_partial(wanted)
                self._spare.ran(began_s, self._now(), to_its_end=done)
                break

    def partial(
        self, audio: Pcm, language: str | None, prefix: str, wanted: Callable[[], bool]
    ) -> tuple[str, str | None] | None:
        """What `audio` [samples] says, and in which language, None for a guess; it is made to begin with `prefix`.
        None when it was given up because of `wanted`."""
        from voice.whisper.model import GivenUp

        known = min(MOST_TOKENS - 1, len(self._whisper.hf_tokenizer.encode(prefix, add_special_tokens=False).ids))
        most = min(MOST_TOKENS, known + TOKENS + TOKENS_PER_S * audio.size // RATE_HZ)
        try:
            with self._whisper.given_up_if(wanted):
                segments, info = self._segments(
                    audio,
                    language,
                    beam_size=1,
                    temperature=[0.0],
                    without_timestamps=True,
                    known=known,
                    prefix=prefix or None,
                    # It may end after the prefix.
                    suppress_blank=not prefix,
                    # Half of the sum of this and the prompt is what CTranslate2 takes for the longest text.
                    max_new_tokens=2 * most - known - CONTROL_TOKENS,
                )
        except GivenUp:
            return None
        sure = info.language_probability >= SURE_LANGUAGE
        return "".join(s.text for s in segments).strip() if sure else "", info.language if sure else None

    def _segments(self, audio: Pcm, language: str | None, known: int = 0, **how: Any) -> tuple[list[Any], Any]:
        """What is still repetitive or unsure after the last try is no speech we could answer, and is left out.

        `known`: so many tokens were given to it. They count as certain in its average.
        """
        found, info = self._whisper.transcribe(
            audio.astype(np.float32) / 32768,
            language=language,
            no_speech_threshold=0.6,
            log_prob_threshold=-1.0,
            compression_ratio_threshold=MAX_RATIO,
            condition_on_previous_text=False,
            vad_filter=False,
            **how,
        )
        sure = [
            s
            for s in found
            if s.compression_ratio <= MAX_RATIO
            and s.avg_logprob * (len(s.tokens) + 1) / max(1, len(s.tokens) - known + 1) >= MIN_LOG_PROBABILITY
        ]
        return sure, info


class _Stream:
    def __init__(self, engine: FasterWhisperStt, language: str | None) -> None:
        self._engine = engine
        self._language = language
        self._spoken: str | None = None
        """The language that was heard."""
        self._blocks: list[Pcm] = []
        self._samples = 0
        self._rolling = RollingTranscript()
        self._is_new = False
        """Nobody was told of the last partial transcript."""

    def feed(self, pcm: Pcm) -> None:
        if not isinstance(pcm, np.ndarray) or pcm.dtype != np.int16 or pcm.ndim != 1:
            raise AudioError("a recogniser takes int16 [samples] at 16 kHz")
        if self._samples + pcm.size > MAX_SAMPLES:
            raise AudioError("more than 10 minutes in one stream", hint="end the turn, or send a file")
        self._blocks.append(pcm.copy())
        self._samples += pcm.size

    def partial(self) -> str:
        """Each one once, or as long as nobody has spoken since: that two looks agree says something only of what was
        heard twice, or is all."""
        self._engine.want(self)
        is_new, self._is_new = self._is_new, False
        return self._rolling.text if is_new or not sounds(self._audio(), self._rolling.end) else ""

    def is_speaking(self) -> bool:
        return self._rolling.due(self._samples) and sounds(self._audio())

    def hear_partial(self, wanted: Callable[[], bool]) -> bool:
        """Make a new partial transcript. False: it was given up, because of `wanted`."""
        audio = self._audio()
        stretch = self._rolling.next(audio)
        heard = self._engine.partial(
            audio[stretch.start : stretch.end], self._language or self._spoken, stretch.prefix, wanted
        )
        if heard is None:
            return False
        text, self._spoken = heard
        self._rolling.heard(stretch, text)
        self._is_new = True
        return True

    def transcribe(self) -> Transcript:
        return self._engine.transcribe(self._audio(), self._language)

    def close(self) -> None:
        self._engine.forget(self)
        self._blocks.clear()
        self._samples = 0

    def _audio(self) -> Pcm:
        if len(self._blocks) > 1:
            self._blocks = [np.concatenate(self._blocks)]
        return self._blocks[0] if self._blocks else np.zeros(0, np.int16)


def _load_whisper(path: Path, config: EngineConfig) -> Any:
    from voice.whisper.model import Whisper

    try:
        return Whisper(
            str(path),
            device=config.options.get("device", "cpu"),
            compute_type=config.options.get("compute_type", "int8"),
            cpu_threads=config.threads,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError, KeyError) as error:
        raise ModelUnreadable(f"{path.name} cannot be loaded as a Whisper model: {error}") from error


def _number(config: EngineConfig, name: str, default: float) -> float:
    """An option that is a number above 0."""
    text = config.options.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise BadInput(f"{name} is a number above 0, not {text!r}", param=name)
    return value


def _load(config: EngineConfig) -> SttEngine:
    return FasterWhisperStt(config)


SPEC = SttSpec(
    name="faster_whisper",
    load=_load,
    description="Whisper on CTranslate2: accurate, 99 languages, needs a model",
    needs_model=True,
    streaming=True,
    licence="MIT (faster-whisper, CTranslate2); the model's own licence",
    formats=("ctranslate2",),
)
