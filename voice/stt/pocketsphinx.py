"""pocketsphinx: the recogniser that needs no download. English, for short requests.

Its acoustic model is the wheel's; language model and dictionary are ours (models/bundled/assistant-lm.md).

A stream keeps its audio. `transcribe()` decodes all of it anew: the features are normalised by the mean of
the whole utterance, which halves the errors against normalising on the way. That costs a tenth to a fifth of
the speech's duration on one core; audio without speech is cut away first. For `partial()` a second decoder
listens along while audio arrives, with a narrower search. A decoder holds about 25 MB, so there are at
most `partial_decoders` of these; a stream that finds none free has "" as its partial until its transcript.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import BadInput, ModelNotFound
from voice.errors import AudioError, SttFailed
from voice.port import EngineConfig, Pcm, SttEngine, SttSpec, Transcript, Word
from voice.sphinx.features import features
from voice.sphinx.short_phrases import ShortPhrases
from voice.sphinx.speech_span import pieces, sounding, speech_span

__all__ = ["SPEC", "PocketsphinxStt"]

RATE_HZ = 16_000
FRAMES_PER_S = 100
MAX_SAMPLES = 10 * 60 * RATE_HZ
MAX_PARTIAL_SAMPLES = 60 * RATE_HZ
"""Past this the listening-along decoder rests: its memory grows with the audio."""
BUNDLED = Path(__file__).resolve().parents[2] / "models" / "bundled"
LANGUAGE_WEIGHT = 10.0
"""How much the language model counts against the sound; measured, see the card."""
WIDE = {"beam": 1e-64, "pbeam": 1e-64, "wbeam": 1e-40, "maxhmmpf": -1}
"""The wheel's own beams (1e-48, 1e-48, 7e-29) drop the right words in a tenth of noisy requests."""
DEFAULT_WARPS = "0.96 1.04"
"""Vocal tracts to try, longer and shorter than average. Each costs one decoding."""
NOISE_WORDS = 2
NOISE_CONFIDENCE = 0.07
"""So few words, so unsure: a click or a hum that was forced into words. Of 14 noises that became words in the
measurement 12 are below, and none of them begins a turn; right single words have 0.08 and more."""


class PocketsphinxStt:
    """Confined to one thread.

    Options: `lm`, `dictionary` (paths), `partial_decoders` (2).
    Raises ModelNotFound when a file is missing, SttFailed when pocketsphinx refuses them.
    """

    def __init__(self, config: EngineConfig) -> None:
        options = config.options
        self._lm = _existing(options.get("lm", str(BUNDLED / "assistant.lm.bin")))
        self._dictionary = _existing(options.get("dictionary", str(BUNDLED / "assistant.dic")))
        self._warps = tuple(float(warp) for warp in options.get("warps", DEFAULT_WARPS).split())
        self._decoder = self._new_decoder(**WIDE)
        narrow = {"fwdflat": False, "bestpath": False, "maxhmmpf": 5000, "beam": 1e-40, "wbeam": 1e-24}
        number = _whole(options.get("partial_decoders", "2"), "partial_decoders")
        self._partial_decoders = [self._new_decoder(**narrow) for _ in range(number)]
        self.short_phrases = ShortPhrases(
            _acoustic_model(), self._dictionary, BUNDLED / "short-phrases.json", BUNDLED / "short-sounds.npz"
        )

    def open(self, language: str | None) -> _Stream:
        """Raises BadInput for a language other than English."""
        if language is not None and language.lower().replace("_", "-").split("-", 1)[0] != "en":
            raise BadInput(
                f"pocketsphinx understands English only, not {language!r}",
                hint=f"`parley download-model --for stt --language {language}` installs a model for it",
                param="language",
            )
        return _Stream(self)

    def transcribe(self, audio: Pcm) -> Transcript:
        """`audio` [samples], 16 kHz. Word times are from its start."""
        words: list[Word] = []
        logs: list[float] = []
        begin, end = sounding(audio)
        audio = audio[begin:end]
        for first, last in pieces(audio):
            found, sure = self._decode(audio[first:last])
            shift_s = (begin + first) / RATE_HZ
            words += (Word(word.text, shift_s + word.start_s, shift_s + word.end_s) for word in found)
            logs += sure
        if not words:
            return Transcript("", language="en")
        confidence = math.exp(sum(logs) / len(logs))
        if len(words) <= NOISE_WORDS and confidence < NOISE_CONFIDENCE:
            return Transcript("", language="en")
        return Transcript(" ".join(word.text for word in words), confidence, "en", tuple(words))

    def take_partial_decoder(self) -> Any | None:
        """A decoder that listens along, or None while all are in use."""
        if not self._partial_decoders:
            return None
        decoder = self._partial_decoders.pop()
        decoder.start_utt()
        return decoder

    def give_back(self, decoder: Any) -> None:
        decoder.end_utt()
        self._partial_decoders.append(decoder)

    def _decode(self, audio: Pcm) -> tuple[list[Word], list[float]]:
        """Words of a piece that holds speech, and the logarithms of their posterior probabilities.

        Decoded once per warp; the one that fits best, in sound and language together, is taken.
        """
        span = speech_span(audio)
        if span is None:
            return [], []
        best: tuple[float, list[Word], list[float]] = (-math.inf, [], [])
        for cepstra in features(audio, *span, self._warps):
            found = self._search(cepstra, span[0] / RATE_HZ)
            if found[0] > best[0]:
                best = found
        return best[1], best[2]

    def _search(self, cepstra: npt.NDArray[np.float32], offset_s: float) -> tuple[float, list[Word], list[float]]:
        decoder = self._decoder
        decoder.start_utt()
        decoder.process_cep(cepstra.tobytes(), no_search=False, full_utt=True)
        decoder.end_utt()
        best = decoder.hyp()
        words: list[Word] = []
        logs: list[float] = []
        for segment in (decoder.seg() or ()) if best is not None else ():
            if segment.word[0] not in "<[":
                start, end = segment.start_frame / FRAMES_PER_S, (segment.end_frame + 1) / FRAMES_PER_S
                words.append(Word(segment.word.split("(")[0], offset_s + start, offset_s + end))
                logs.append(math.log(min(1.0, max(1e-4, segment.prob))))
        return (best.score if best is not None else -math.inf), words, logs

    def _new_decoder(self, **search: Any) -> Any:
        import pocketsphinx

        try:
            return pocketsphinx.Decoder(
                pocketsphinx.Config(
                    lm=str(self._lm), dict=str(self._dictionary), lw=LANGUAGE_WEIGHT, loglevel="FATAL", **search
                )
            )
        except (RuntimeError, ValueError) as error:
            raise SttFailed(f"pocketsphinx cannot start with {self._lm.name}: {error}") from error


class _Stream:
    def __init__(self, engine: PocketsphinxStt) -> None:
        self._engine = engine
        self._blocks: list[Pcm] = []
        self._samples = 0
        self._along: Any | None = None
        self._closed = False

    def feed(self, pcm: Pcm) -> None:
        if self._closed:
            raise SttFailed("the stream is closed")
        if not isinstance(pcm, np.ndarray) or pcm.dtype != np.int16 or pcm.ndim != 1:
            raise AudioError("a recogniser takes int16 [samples] at 16 kHz")
        if self._samples + pcm.size > MAX_SAMPLES:
            raise AudioError("more than 10 minutes in one stream", hint="end the turn, or send a file")
        if not pcm.size:
            return
        if self._samples == 0:
            self._along = self._engine.take_partial_decoder()
        self._blocks.append(pcm.copy())
        self._samples += pcm.size
        if self._along is not None and self._samples <= MAX_PARTIAL_SAMPLES:
            self._along.process_raw(self._blocks[-1].tobytes())

    def partial(self) -> str | None:
        found = self._along.hyp() if self._along is not None else None
        return found.hypstr if found is not None else ""

    def transcribe(self) -> Transcript:
        if len(self._blocks) > 1:
            self._blocks = [np.concatenate(self._blocks)]
        return self._engine.transcribe(self._blocks[0]) if self._blocks else Transcript("", language="en")

    def spot(self, phrases: Sequence[str]) -> str:
        if len(self._blocks) > 1:
            self._blocks = [np.concatenate(self._blocks)]
        return self._engine.short_phrases.spot(self._blocks[0], phrases) if self._blocks else ""

    def close(self) -> None:
        """Idempotent."""
        self._closed = True
        self._blocks.clear()
        self._samples = 0
        if self._along is not None:
            self._engine.give_back(self._along)
            self._along = None


def _acoustic_model() -> Path:
    import pocketsphinx

    return Path(pocketsphinx.get_model_path()) / "en-us" / "en-us"


def _existing(path: str) -> Path:
    if not Path(path).is_file():
        raise ModelNotFound(f"no file {path}", hint="it comes with Parley; see models/bundled/assistant-lm.md")
    return Path(path)


def _whole(text: str, name: str) -> int:
    if not text.isdigit() or int(text) > 16:
        raise BadInput(f"{name} is a number from 0 to 16, not {text!r}", param=name)
    return int(text)


def _load(config: EngineConfig) -> SttEngine:
    return PocketsphinxStt(config)


SPEC = SttSpec(
    name="pocketsphinx",
    load=_load,
    description="pocketsphinx with our assistant language model: always there, English requests only",
    needs_model=False,
    streaming=True,
    spotting=True,
    languages=("en",),
    licence="BSD-2-Clause (pocketsphinx and its acoustic model); language model Apache-2.0",
)
