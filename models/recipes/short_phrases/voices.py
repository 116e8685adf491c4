"""Who speaks: espeak-ng with many voices, flite's at several lengths of the vocal tract, and a hum made here."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import numpy.typing as npt
import soxr

__all__ = ["HUMS", "RATE_HZ", "Samples", "hum", "somebody", "speak", "trimmed"]

RATE_HZ = 16_000
ACCENTS = ("en-us", "en-us", "en-gb", "en-gb-scotland", "en-029", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd")
FITTED = (
    "", "", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "croak", "whisper", "klatt",
    "klatt2", "klatt3", "klatt4", "Alex", "Andrea", "Diogo", "Gene", "Hugo", "Jacky", "Lee", "Marco", "Mario", "Mike",
    "adam", "anika", "antonio", "aunty", "benjamin", "boris", "david", "ed", "grandma", "grandpa", "iven", "john",
    "kaukovalta", "marcelo", "max", "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "sandro",
    "shelby", "travis", "victor", "zac",
)  # fmt: skip
"""Variants of espeak-ng's voices; each speaks every accent."""
HELD_OUT = ("Annie", "Denis", "linda", "Michael", "Alicia", "caleb", "steph", "Andy", "belinda", "edward")
FLITE_FITTED, FLITE_HELD_OUT = ("rms", "awb", "slt"), ("kal16",)
FLITE_SHARE = 0.3
TRACTS = (0.88, 0.94, 1.0, 1.07, 1.15)
"""A recording played so much faster is somebody smaller, and higher."""
FOR_FLITE = {"[[m'hm]]": "mhm", "[[m@'hm]]": "mm hmm", "[[V'hV]]": "uh huh"}

Samples = npt.NDArray[np.float32]


def somebody(held_out: bool, dice: np.random.Generator) -> str:
    """The name of a voice; one of flite's, where it is, as often as its kind deserves."""
    variants, flite = (HELD_OUT, FLITE_HELD_OUT) if held_out else (FITTED, FLITE_FITTED)
    if dice.random() < FLITE_SHARE and shutil.which("flite"):
        return f"flite {dice.choice(flite)} {dice.choice(TRACTS)}"
    return f"{dice.choice(ACCENTS)}+{dice.choice(variants)}".removesuffix("+")


def speak(text: str, voice: str, pitch: int, words_a_minute: int) -> Samples:
    """[samples] at 16 kHz, the loudest of them 1."""
    if voice.startswith("flite "):
        _, name, tract = voice.split()
        stretch = f"duration_stretch={175 / words_a_minute * float(tract):.3f}"
        command = ["flite", "-voice", name, "--setf", stretch, "-t", FOR_FLITE.get(text, text), "-o", "/dev/stdout"]
        faster = float(tract)
    else:
        command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(words_a_minute), "--stdout", text]
        faster = 1.0
    data = subprocess.run(command, check=True, capture_output=True).stdout
    at, rate_hz = data.index(b"data") + 8, int.from_bytes(data[24:28], "little")
    samples = np.frombuffer(data[at : at + (len(data) - at) // 2 * 2], np.int16).astype(np.float32)
    return trimmed(np.asarray(soxr.resample(samples, rate_hz * faster, RATE_HZ), np.float32))


def trimmed(samples: Samples) -> Samples:
    most = float(np.abs(samples).max(initial=0.0))
    loud = np.flatnonzero(np.abs(samples) > most / 50)
    return samples[max(0, loud[0] - 160) : loud[-1] + 320] / most if loud.size else samples[:0]


HUMS = {"mm-hm": ((250, 1000, 2300), 0.25), "uh-huh": ((620, 1200, 2500), 0.35), "mm": ((260, 1050, 2200), 0.0)}
"""Resonances of the mouth shut, or just open, in Hz, and how much breath there is between two of them."""


def hum(name: str, seed: int) -> Samples:
    """What synthesisers spell out: a mouth that stays shut, one tone or two of them, the second one higher."""
    dice = np.random.default_rng(seed)
    formants, breath = HUMS[name]
    size = dice.uniform(0.32, 0.7) if breath else dice.uniform(0.2, 0.55)
    at = np.arange(int(size * RATE_HZ)) / RATE_HZ
    share = at / size
    base, rise, tract = dice.uniform(85, 260), dice.uniform(0.9, 1.5) if breath else dice.uniform(0.8, 1.15), 1.0
    tract = float(np.clip(0.75 + base / 500, 0.85, 1.25)) * dice.uniform(0.94, 1.06)
    hz = base * (1 + (rise - 1) * np.clip((share - 0.3) / 0.4, 0, 1)) * (1 + 0.01 * np.sin(2 * np.pi * 5 * at))
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    voice, narrow = np.zeros(at.size), dice.uniform(60, 120)
    for number in range(1, int(4000 / base)):
        near = sum(1 / (1 + ((number * hz - f * tract) / narrow) ** 2) / (1 + 2 * n) for n, f in enumerate(formants))
        voice += (near + 0.004) * np.sin(number * phase) / number**0.5
    dip = dice.uniform(0.06, 0.12) / size
    gap = np.exp(-(((share - dice.uniform(0.38, 0.5)) / dip) ** 2)) if breath else np.zeros(at.size)
    noise = np.convolve(dice.normal(0, 1, at.size), np.hanning(9) / 4, "same")
    ends = np.clip(np.minimum(share, 1 - share) / 0.12, 0, 1)
    whole = (voice / np.abs(voice).max() * (1 - gap * dice.uniform(0.7, 1)) + noise * gap * breath * 0.2) * ends
    return trimmed(whole.astype(np.float32))
