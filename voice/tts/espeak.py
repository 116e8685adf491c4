"""espeak-ng: speaks more than a hundred languages, robotically, with no model to install. GPL-3.0."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.errors import BadInput
from voice.port import EngineConfig, SpeechChunk, TtsEngine, TtsSpec, VoiceInfo, Word
from voice.tts.pieces import pieces
from voice.tts.trim import leading_silence
from voice.tts.word_times import from_positions

__all__ = ["SPEC", "EspeakTts"]

DEFAULT_VOICE = "en-us"
_OTHER_NAMES = {"zh": "cmn", "no": "nb"}
"""Languages that espeak-ng files under a narrower tag."""


class EspeakTts:
    """Confined to one thread; the library under it is locked besides."""

    def __init__(self) -> None:
        from models.espeak_ng import NORMAL_WPM, library

        self._espeak = library()
        self._normal_wpm = NORMAL_WPM
        self._voices = {voice.id: voice for voice in self._espeak.voices()}

    def voices(self) -> tuple[VoiceInfo, ...]:
        rate_hz = self._espeak.rate_hz
        return tuple(VoiceInfo(v.id, f"espeak-ng {v.name}", v.id, rate_hz) for v in self._voices.values())

    def synthesize(self, text: str, voice: str, speed: float, language: str | None) -> Iterator[SpeechChunk]:
        """One chunk per piece of at most 240 characters (about 30 ms of work each), words with the last.

        `voice` is an id of `voices()`, with a variant if wanted ("de+f3"). Raises BadInput for an unknown voice
        or language, at the first `next`.
        """
        chosen = self._choose(voice, language)
        wpm = round(self._normal_wpm * speed)
        rate_hz = self._espeak.rate_hz
        words: list[Word] = []
        done = 0
        for piece in pieces(text):
            spoken = self._espeak.speak(piece, chosen, wpm, phonemes=True)
            skip = leading_silence(spoken.pcm, rate_hz) if done == 0 else 0
            offset = done - skip
            pauses = sorted((m.sample + offset) / rate_hz for m in spoken.phonemes if m.name == "")
            sounds = sorted((m.sample + offset) / rate_hz for m in spoken.phonemes if m.name != "")
            starts = [(m.position, max(0, m.sample + offset) / rate_hz) for m in spoken.words]
            pcm = spoken.pcm[skip:]
            done += len(pcm)
            words.extend(from_positions(piece, starts, pauses, done / rate_hz, sounds))
            if len(pcm):
                yield SpeechChunk(pcm, rate_hz)
        yield SpeechChunk(np.zeros(0, np.int16), rate_hz, tuple(words))

    def _choose(self, voice: str, language: str | None) -> str:
        """Find the espeak voice.

        1. A voice by name. 2. The language, exactly. 3. Any voice of its primary tag. 4. American English.
        """
        if voice != "default":  # 1
            if voice.lower().split("+", 1)[0] not in self._voices:
                raise BadInput(
                    f"espeak-ng has no voice {voice!r}",
                    hint="use a language tag such as en-us, en-gb, de or fr, or default",
                    param="voice",
                )
            return voice
        if language is None:  # 4
            return DEFAULT_VOICE
        tag = language.lower().replace("_", "-")
        if tag == "en":
            return DEFAULT_VOICE
        primary = tag.split("-", 1)[0]
        primary = _OTHER_NAMES.get(primary, primary)
        regional = sorted(name for name in self._voices if name.startswith(primary + "-"))
        for name in (tag, primary, f"{primary}-{primary}", *regional):  # 2, 3
            if name in self._voices:
                return name
        raise BadInput(
            f"espeak-ng does not speak {language!r}", hint="use a tag such as en, de or fr", param="language"
        )


def _load(config: EngineConfig) -> TtsEngine:
    return EspeakTts()


SPEC = TtsSpec(
    name="espeak",
    load=_load,
    description="espeak-ng: small, fast, robotic, more than 100 languages",
    needs_model=False,
    word_times=True,
    licence="GPL-3.0 (espeak-ng)",
)
