"""What is said, by whom, and what it counts as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from models.recipes.short_phrases.voices import HUMS, RATE_HZ, Samples, hum, somebody, speak, trimmed

__all__ = ["Clip", "bursts", "clips", "hums"]

OTHERS = (
    "turn off the light", "tell me more", "louder please", "I have a question", "next song", "five minutes", "alexa",
    "computer", "go back", "the kitchen", "play music", "seven", "in the morning", "my name is Tom", "open the door",
    "set a timer", "excuse me", "listen", "lights", "weather", "hello", "volume up", "tomorrow", "and then", "thirty",
    "make it louder", "another one", "the second one", "add milk", "call my mother", "red", "on Monday", "bathroom",
)  # fmt: skip
SPOKEN = {"mm-hm": ("mm hm", "mhm", "[[m'hm]]", "[[m@'hm]]"), "uh-huh": ("uh huh", "[[V'hV]]"), "i see": ("I see",)}
"""How a synthesiser is made to say it; [[...]] are espeak-ng's phonemes."""
OFTEN = frozenset(("mm-hm", "uh-huh", "yeah", "okay", "right", "sure", "yes", "stop", "wait", "no", "what", "why"))
"""Most of what people say over a reply."""
FITTED_EACH, HELD_OUT_EACH = 40, 6
"""Voices that say it; twice as many where it is said often."""
PITCHES, PACES = (25, 35, 50, 60, 75), (125, 145, 165, 175, 190, 215)


@dataclass(frozen=True, slots=True)
class Clip:
    text: str
    kind: str
    voice: str
    held_out: bool
    samples: Samples


def clips(phrases: Sequence[str], kinds: Sequence[str]) -> list[Clip]:
    """Each phrase by some of the voices. espeak-ng is needed; flite is used where it is."""
    dice = np.random.default_rng(1)
    listed = [*zip(phrases, kinds, strict=True), *((text, "else") for text in OTHERS)]
    jobs = [
        (str(dice.choice(SPOKEN.get(text, (text,)))), kind, somebody(held_out, dice), held_out, *_manner(dice))
        for text, kind in listed
        for held_out, count in ((False, FITTED_EACH), (True, HELD_OUT_EACH))
        for _ in range(count * (2 if text in OFTEN else 1))
    ]
    with ThreadPoolExecutor(2) as threads:
        return [clip for clip in threads.map(lambda job: _clip(*job), jobs) if clip.samples.size]


def _manner(dice: np.random.Generator) -> tuple[int, int]:
    return int(dice.choice(PITCHES)), int(dice.choice(PACES))


def _clip(text: str, kind: str, voice: str, held_out: bool, pitch: int, words_a_minute: int) -> Clip:
    return Clip(text, kind, voice, held_out, speak(text, voice, pitch, words_a_minute))


def hums(count: int) -> Iterator[Clip]:
    names = list(HUMS)
    for number in range(count):
        name = names[number % len(names)]
        yield Clip(f"hummed {name}", "murmur", "hum", number % 4 == 3, hum(name, number))


def bursts(count: int) -> Iterator[Clip]:
    """Bursts, hums and clicks of many lengths: coughs, doors, tones."""
    dice = np.random.default_rng(2)
    for number in range(count):
        size = int(dice.uniform(0.1, 1.2) * RATE_HZ)
        at = np.arange(size) / RATE_HZ
        if number % 3 == 0:
            tones = dice.uniform(80, 2000, 4)
            samples = sum(np.sin(2 * np.pi * hz * at) for hz in tones) * np.exp(-at * dice.uniform(0, 6))
        elif number % 3 == 1:
            samples = _noise(size, dice) * np.exp(-at * dice.uniform(0, 12))
        else:
            samples = _cough(dice)
        yield Clip("a burst", "else", "noise", number % 4 == 0, trimmed(samples.astype(np.float32)))


def _cough(dice: np.random.Generator) -> Samples:
    """A puff, a gap, and a hoarse end with some voice in it; once or twice."""
    parts = []
    for _ in range(int(dice.integers(1, 3))):
        puff, end = int(dice.uniform(0.03, 0.1) * RATE_HZ), int(dice.uniform(0.08, 0.3) * RATE_HZ)
        at = np.arange(end) / RATE_HZ
        hz = dice.uniform(90, 220) * (1 - 0.3 * at / at[-1])
        voice = np.sign(np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ)) * dice.uniform(0, 0.5)
        hoarse = (_noise(end, dice) + voice) * np.exp(-at * dice.uniform(4, 15))
        parts += [_noise(puff, dice) * np.linspace(1, 0.3, puff) * 2, hoarse, np.zeros(int(0.1 * RATE_HZ))]
    return np.concatenate(parts).astype(np.float32)


def _noise(size: int, dice: np.random.Generator) -> Samples:
    """Of one broad colour; its root mean square is 1."""
    spectrum = np.fft.rfft(dice.normal(0, 1, size))
    hz = np.fft.rfftfreq(size, 1 / RATE_HZ)
    spectrum *= np.exp(-((hz - dice.uniform(100, 4000)) ** 2) / (2 * dice.uniform(200, 3000) ** 2))
    found = np.fft.irfft(spectrum, size)
    return np.asarray(found / np.sqrt((found**2).mean()), np.float32)
