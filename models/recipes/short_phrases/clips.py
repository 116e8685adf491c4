"""What is said, by whom, and what it counts as."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

QUESTIONS = (
    "what", "why", "who", "how", "where", "when", "which", "what do you mean", "why is that", "but why", "what is it",
    "how so",
)  # fmt: skip
"""Phrases that are neither; in the table, so that they are not taken for "wow"."""
OTHERS = (
    "but why is that", "who is that", "when was that", "where is it", "which one", "turn off the light",
    "tell me more", "louder please", "I have a question", "next song", "five minutes", "alexa", "computer", "go back",
    "the kitchen", "play music", "can you repeat", "seven", "in the morning", "my name is Tom", "open the door",
    "set a timer", "excuse me", "listen", "lights", "weather", "hello", "volume up", "tomorrow", "and then",
)  # fmt: skip
SPOKEN = {"mm-hm": ("mm hm", "[[m'hm]]", "[[m@'hm]]"), "uh-huh": ("uh huh", "[[V'hV]]"), "i see": ("I see",)}
"""How a synthesiser is made to say it; [[...]] are espeak-ng's phonemes."""
FOR_FLITE = {"[[m'hm]]": "mhm", "[[m@'hm]]": "mm hmm", "[[V'hV]]": "uh huh"}
FITTED = (
    "en-us+m1", "en-us+m2", "en-us+m4", "en-us+m7", "en-us+f1", "en-us+f2", "en-us+f4", "en-gb+m3", "en-gb-x-rp+f1",
    "en-gb-x-rp+m1", "en-029+m2", "en-gb-scotland+f2", "en-gb-x-gbclan+m4", "en-us+klatt", "en-us+klatt3",
)  # fmt: skip
HELD_OUT = (
    "en-us+m3", "en-gb+m6", "en-gb-x-rp+f4", "en-gb-x-gbcwmd+m8", "en-029+f2", "en-us+m5", "en-us+klatt2",
    "en-gb-scotland+f1",
)  # fmt: skip
FLITE_FITTED, FLITE_HELD_OUT = ("rms", "awb"), ("slt", "kal16")
FITTED_TWICE = 1
RATE_HZ = 16_000
PEAK = 10_000

Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Clip:
    text: str
    kind: str
    voice: str
    held_out: bool
    pcm: Pcm


def clips(stops: Sequence[str], murmurs: Sequence[str]) -> list[Clip]:
    """Each phrase by each voice. espeak-ng is needed; flite is used where it is."""
    dice = random.Random(1)
    jobs = [
        (said, kind, voice, held_out, dice.choice((30, 45, 50, 60, 75)), dice.choice((150, 165, 175, 190, 210)))
        for phrases, kind in ((stops, "stop"), (murmurs, "murmur"), ((*QUESTIONS, *OTHERS), "else"))
        for phrase in phrases
        for said in SPOKEN.get(phrase, (phrase,))
        for voice, held_out in _voices()
    ]
    with ThreadPoolExecutor(2) as threads:
        return [clip for clip in threads.map(lambda job: _clip(*job), jobs) if clip.pcm.size]


def _voices() -> Iterator[tuple[str, bool]]:
    yield from ((voice, False) for voice in FITTED * FITTED_TWICE)
    yield from ((voice, True) for voice in HELD_OUT)
    if shutil.which("flite"):
        yield from ((f"flite {voice}", False) for voice in FLITE_FITTED * FITTED_TWICE)
        yield from ((f"flite {voice}", True) for voice in FLITE_HELD_OUT)


def _clip(text: str, kind: str, voice: str, held_out: bool, pitch: int, words_a_minute: int) -> Clip:
    if voice.startswith("flite "):
        stretch, spoken = f"duration_stretch={175 / words_a_minute}", FOR_FLITE.get(text, text)
        command = ["flite", "-voice", voice[6:], "--setf", stretch, "-t", spoken, "-o", "/dev/stdout"]
    else:
        command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(words_a_minute), "--stdout", text]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    at, rate_hz = data.index(b"data") + 8, int.from_bytes(data[24:28], "little")
    samples = np.frombuffer(data[at : at + (len(data) - at) // 2 * 2], np.int16).astype(np.float32)
    samples = soxr.resample(samples, rate_hz, RATE_HZ)
    most = np.abs(samples).max(initial=0.0)
    loud = np.flatnonzero(np.abs(samples) > most / 50)
    samples = samples[max(0, loud[0] - 160) : loud[-1] + 320] * (PEAK / most)
    return Clip(text, kind, voice, held_out, samples.round().astype(np.int16))


def sounds_like_noise(count: int) -> list[Clip]:
    """Bursts, hums and clicks of many lengths: coughs, doors, tones."""
    dice = np.random.default_rng(2)
    found = []
    for number in range(count):
        size = int(dice.uniform(0.1, 1.2) * RATE_HZ)
        at = np.arange(size) / RATE_HZ
        if number % 3 == 0:
            tones = dice.uniform(80, 2000, 4)
            samples = sum(np.sin(2 * np.pi * hz * at) for hz in tones) * np.exp(-at * dice.uniform(0, 6))
        else:
            spectrum = np.fft.rfft(dice.normal(0, 1, size))
            hz = np.fft.rfftfreq(size, 1 / RATE_HZ)
            spectrum *= np.exp(-((hz - dice.uniform(100, 4000)) ** 2) / (2 * dice.uniform(200, 3000) ** 2))
            samples = np.fft.irfft(spectrum, size) * np.exp(-at * dice.uniform(0, 12))
        pcm = (samples * PEAK / np.abs(samples).max()).round().astype(np.int16)
        found.append(Clip(f"noise {number}", "else", "noise", number % 4 == 0, pcm))
    return found
