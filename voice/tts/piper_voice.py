"""One loaded Piper voice: text in, samples and word times out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import ModelUnreadable
from voice.errors import NoModel
from voice.mouth.heard_words import spans
from voice.onnx_session import open_session
from voice.port import Pcm, SpeechChunk, Word
from voice.tts.onnx_durations import with_durations
from voice.tts.pieces import pieces, plain
from voice.tts.trim import leading_silence
from voice.tts.word_times import from_units

__all__ = ["PiperVoice"]

PIECE_CHARS = 240
"""A piece is synthesised in one go, so it bounds what a cancelled reply still costs."""


class PiperVoice:
    """Confined to one thread. Raises NoModel, ModelUnreadable."""

    def __init__(self, model: Path, threads: int) -> None:
        self._voice, self._has_times = _load_voice(model, threads)

    def synthesize(self, text: str, speaker: int | None, speed: float) -> Iterator[SpeechChunk]:
        """One chunk per sentence, words with the last. `speaker` None: the first of the file."""
        from piper import SynthesisConfig

        length_scale = self._voice.config.length_scale / min(4.0, max(0.25, speed))
        settings = SynthesisConfig(speaker_id=speaker, length_scale=length_scale)
        rate_hz = self._voice.config.sample_rate
        words: list[Word] = []
        done = 0
        # [[ ]] would switch Piper's text reader to raw phonemes; here it is text like any other.
        for piece in pieces(plain(text).replace("[[", "[ [").replace("]]", "] ]"), PIECE_CHARS):
            units: list[tuple[float, float, int]] = []
            for chunk in self._voice.synthesize(piece, settings, include_alignments=self._has_times):
                pcm: Pcm = chunk.audio_int16_array
                skip = leading_silence(pcm, rate_hz) if done == 0 else 0
                units += _units(chunk, (done - skip) / rate_hz, rate_hz)
                done += len(pcm) - skip
                if len(pcm) > skip:
                    yield SpeechChunk(pcm[skip:], rate_hz)
            words += self._words(piece, units, done / rate_hz)
        yield SpeechChunk(np.zeros(0, np.int16), rate_hz, tuple(words))

    def _words(self, piece: str, units: list[tuple[float, float, int]], end_s: float) -> list[Word]:
        texts = [piece[start:end] for start, end in spans(piece)]
        alone = [
            [count for sentence in self._voice.phonemize(text) for count in _phonemes(sentence)] for text in texts
        ]
        words = from_units(texts, alone, units)
        return [Word(word.text, max(0.0, word.start_s), min(end_s, word.end_s)) for word in words]


def _phonemes(sentence: list[str]) -> list[int]:
    """How many there are in each group that stands between spaces and punctuation."""
    text = "".join(
        " " if phoneme in _BREAKS else "x" for phoneme in sentence if phoneme in _BREAKS or _sounds(phoneme)
    )
    return [len(group) for group in text.split()]


def _sounds(phoneme: str) -> bool:
    return any(char.isalpha() for char in phoneme)


def _units(chunk: Any, offset_s: float, rate_hz: int) -> list[tuple[float, float, int]]:
    """Start and end of such a group in the audio of one sentence, and how many phonemes it has."""
    units: list[tuple[float, float, int]] = []
    at, start, count = 0, 0, 0
    for part in (*(chunk.phoneme_alignments or ()), None):
        if count and (part is None or (part.phoneme in _BREAKS and not _sounds(part.phoneme))):
            units.append((max(0.0, start / rate_hz + offset_s), max(0.0, at / rate_hz + offset_s), count))
            count = 0
        if part is not None:
            if _sounds(part.phoneme):
                start, count = (start if count else at), count + 1
            at += int(part.num_samples)
    return units


_BREAKS = frozenset(" ,.;:!?$")


def _load_voice(path: Path, threads: int) -> tuple[Any, bool]:
    """The voice, and whether it tells its durations."""
    from piper import PiperVoice as Voice
    from piper.config import PiperConfig

    config_path = path.with_name(path.name + ".json")
    if not path.is_file() or not config_path.is_file():
        raise NoModel(f"{path.name} is not a Piper voice (x.onnx with x.onnx.json)")
    try:
        settings = json.loads(config_path.read_text(encoding="utf-8"))
        config = PiperConfig.from_dict(settings)
        model = path.read_bytes()
        timed = with_durations(model)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelUnreadable(f"{path.name} cannot be loaded as a Piper voice: {error}") from error
    session = open_session(timed or model, f"the Piper voice {path.name}", threads)
    return Voice(session=session, config=config), timed is not None
