"""Where in a recording the speech lies, by its loudness alone; pure.

pocketsphinx normalises the features of an utterance by their mean, and silence around the words drags that
mean away: cutting it off removes about a quarter of the errors on short requests.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from voice.port import Pcm

__all__ = ["levels_db", "pieces", "sounding", "speech_span"]

RATE_HZ = 16_000
FRAME = RATE_HZ // 100
PAD_FRAMES = 20
MIN_RANGE_DB = 7.0
"""Between quiet and loud frames. Steady hum, hiss and silence have less."""
MIN_RISE_DB = 6.0
RISE_SHARE = 0.35
MIN_PEAK_DB = 20.0
"""Of one sample step: quieter is a microphone's own noise."""
DIGITAL_SILENCE = 2
"""Sample steps. No room is so quiet: nothing was recorded there, or it was gated away."""
LONGEST_PIECE = 30 * RATE_HZ
SEARCH_FROM = 20 * RATE_HZ


def levels_db(audio: Pcm) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Loudness of each whole 10 ms frame, in dB over one sample step; shape [frames]."""
    frames = audio[: audio.size // FRAME * FRAME].reshape(-1, FRAME).astype(np.float32)
    power: np.ndarray[tuple[int], np.dtype[np.float32]] = (frames - frames.mean(axis=1, keepdims=True)).var(axis=1)
    levels: np.ndarray[tuple[int], np.dtype[np.float32]] = 10 * np.log10(power + 1.0)
    return levels


def sounding(audio: Pcm) -> tuple[int, int]:
    """(first, last) sample without the digital silence at either end, (0, 0) where there is nothing else.

    Clients that send zeros around the words (files, gates, pauses of a codec) would set the level of the quiet
    frames, by which the span of speech and the noise in it are found: that doubled the errors on people's commands.
    """
    found = np.flatnonzero((audio > DIGITAL_SILENCE) | (audio < -DIGITAL_SILENCE))
    return (int(found[0]), int(found[-1]) + 1) if found.size else (0, 0)


def speech_span(audio: Pcm) -> tuple[int, int] | None:
    """(first, last) sample of what may be speech, with a margin; None where nothing stands out."""
    levels = levels_db(audio)
    if levels.size < 10:
        return None
    quiet, loud = (float(level) for level in np.percentile(levels, (10, 97)))
    if loud - quiet < MIN_RANGE_DB or loud < MIN_PEAK_DB:
        return None
    found = np.flatnonzero(levels > quiet + max(MIN_RISE_DB, RISE_SHARE * (loud - quiet)))
    first, last = int(found[0]) - PAD_FRAMES, int(found[-1]) + 1 + PAD_FRAMES
    return max(0, first) * FRAME, min(audio.size, last * FRAME)


def pieces(audio: Pcm) -> Iterator[tuple[int, int]]:
    """Spans of at most 30 s that cover the audio, cut at the quietest place between 20 and 30 s."""
    start = 0
    while audio.size - start > LONGEST_PIECE:
        window = levels_db(audio[start + SEARCH_FROM : start + LONGEST_PIECE])
        smooth = np.convolve(window, np.ones(15) / 15, mode="same")
        end = start + SEARCH_FROM + int(np.argmin(smooth)) * FRAME
        yield start, end
        start = end
    yield start, audio.size
