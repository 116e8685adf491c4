"""Microphone files for Chromium: speech of the embedded synthesiser and silence, put together on a timeline."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import soxr

from voice.port import EngineConfig, Pcm
from voice.tts.espeak import SPEC

__all__ = ["RATE_HZ", "read_wav", "say", "write_microphone"]

RATE_HZ = 16_000
_DEVICE_HZ = 48_000


def say(text: str) -> Pcm:
    """`text` in the embedded voice, 16 kHz."""
    chunks = list(SPEC.load(EngineConfig()).synthesize(text, "default", 0.9, "en"))
    pcm = np.concatenate([chunk.pcm for chunk in chunks])
    voice: Pcm = soxr.resample(pcm, chunks[0].rate_hz, RATE_HZ).astype(np.int16)
    return voice


def read_wav(path: Path) -> Pcm:
    """A recording of 16 kHz mono."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE_HZ, 1, 2)
        return np.frombuffer(file.readframes(-1), np.int16)


def write_microphone(path: Path, *parts: Pcm | float, room: bool = True) -> Path:
    """A WAV of recordings and of silences (in seconds), with the faint noise of a room in it."""
    pieces = [np.zeros(int(part * RATE_HZ), np.int16) if isinstance(part, float | int) else part for part in parts]
    pcm = np.concatenate(pieces).astype(np.float32)
    if room:
        pcm += np.random.default_rng(1).normal(0.0, 6.0, len(pcm)).astype(np.float32)
    wide = soxr.resample(np.clip(pcm, -32768, 32767).astype(np.int16), RATE_HZ, _DEVICE_HZ).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_DEVICE_HZ)
        file.writeframes(wide.tobytes())
    return path
