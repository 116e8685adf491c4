"""espeak-ng's speech, cut into diphones: envelopes and voicing from the middle of one phoneme to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.espeak_ng import Mark, library
from models.recipes.piper_mini.phones import CONSONANTS, SILENCE, SYMBOLS, VOWELS, symbols_of

__all__ = ["BANDS", "FFT", "HALF", "HOP", "RATE_HZ", "WINDOW", "Diphones", "band_centres_hz", "record"]

Array = npt.NDArray[np.float32]

RATE_HZ = 16_000
HOP = 80
WINDOW, FFT = 320, 512
BANDS = 36
HALF = 4
"""Envelopes for half a phoneme; a diphone has twice as many."""
VOICE = "en-us"
FLOOR = -9.0
"""Natural logarithm of a band's amplitude below which it is silent."""


@dataclass(frozen=True, slots=True)
class Diphones:
    """Indexed by the places of two symbols in SYMBOLS.

    `envelope` [n, n, 2 HALF, BANDS]: log amplitude; `voicing` [n, n, 2 HALF]: 0 noise .. 1 pulses;
    `seconds` [n, 2]: mean length of a symbol in running speech, unstressed and stressed.
    """

    envelope: Array
    voicing: Array
    seconds: Array


def band_centres_hz() -> Array:
    """Centres of the bands: 90 Hz apart below 1 kHz, then wider and wider, as the ear hears."""
    mel = np.linspace(_mel(60.0), _mel(RATE_HZ / 2), BANDS)
    return (700 * (np.exp(mel / 1127) - 1)).astype(np.float32)


def record() -> Diphones:
    """Some seconds of work; the same every time in a fresh process."""
    count = len(SYMBOLS)
    total = np.zeros((count, count, 2 * HALF, BANDS + 1))
    seen = np.zeros((count, count))
    lengths: dict[tuple[int, int], list[float]] = {}
    for text, mnemonics in [(chunk, True) for chunk in _every_pair()] + [(text, False) for text in SENTENCES]:
        said = library().speak(text, VOICE, phonemes=True, mnemonics=mnemonics)
        frames = _analyse(said.pcm, said.rate_hz)
        parts = _parts(said.phonemes, len(said.pcm), said.rate_hz)
        for (a, a_from, a_to, _), (b, b_from, b_to, _) in zip(parts, parts[1:], strict=False):
            left = _states(frames, (a_from + a_to) / 2, a_to)
            right = _states(frames, b_from, (b_from + b_to) / 2)
            total[a, b] += np.concatenate([left, right])
            seen[a, b] += 1
        if not mnemonics:
            for symbol, start, end, stressed in parts:
                lengths.setdefault((symbol, stressed), []).append(end - start)
    table = _filled(total, seen)
    return Diphones(table[..., :BANDS].astype(np.float32), table[..., BANDS].astype(np.float32), _seconds(lengths))


def _every_pair() -> list[str]:
    """Words of phonemes in which each follows each: an Eulerian circuit through the complete graph, in pieces."""
    names = [*CONSONANTS, *("'" + vowel for vowel in VOWELS)]
    unused = {name: list(names) for name in names}
    stack, circuit = [names[0]], []
    while stack:
        if unused[stack[-1]]:
            stack.append(unused[stack[-1]].pop())
        else:
            circuit.append(stack.pop())
    step = 9
    chunks = [circuit[start : start + step + 1] for start in range(0, len(circuit) - 1, step)]
    return ["[[" + "|".join(chunk) + "]]" for chunk in chunks]


def _parts(phonemes: tuple[Mark, ...], samples: int, rate_hz: int) -> list[tuple[int, float, float, int]]:
    """(symbol, from, to, stressed) in seconds; a phoneme of several symbols is shared out equally among them."""
    parts: list[tuple[int, float, float, int]] = []
    ends = [mark.sample for mark in phonemes[1:]] + [samples]
    for mark, end in zip(phonemes, ends, strict=True):
        start_s, end_s = mark.sample / rate_hz, end / rate_hz
        symbols = symbols_of(mark.name) or [SILENCE]
        stressed = int("ˈ" in mark.name)
        each = (end_s - start_s) / len(symbols)
        for index, symbol in enumerate(symbols):
            if each > 0.004:
                start = start_s + index * each
                parts.append((SYMBOLS.index(symbol), start, start + each, stressed))
    return parts


def _analyse(pcm: npt.NDArray[np.int16], rate_hz: int) -> Array:
    """[frames, BANDS + 1]: log amplitude of each band and the voicing, a frame every HOP samples."""
    import soxr

    signal = np.asarray(soxr.resample(pcm.astype(np.float32) / 32768, rate_hz, RATE_HZ), np.float32)
    padded = np.pad(signal, (WINDOW // 2, WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), FFT)) ** 2 / (0.375 * WINDOW)
    bands = power @ _band_filter().T
    # Two periods are seen at once, so one frame has harmonics in it; its neighbours together have not.
    bands = (np.roll(bands, 1, axis=0) + bands + np.roll(bands, -1, axis=0)) / 3
    envelope = np.maximum(0.5 * np.log(bands + 1e-12), FLOOR)
    return np.concatenate([envelope, _voicing(frames)[:, None]], axis=1).astype(np.float32)


def _band_filter() -> npt.NDArray[np.float64]:
    """[BANDS, bins] triangles that each sum to one."""
    centre = band_centres_hz().astype(np.float64)
    bins = np.linspace(0, RATE_HZ / 2, FFT // 2 + 1)
    low = np.concatenate([[0.0], centre[:-1]])
    high = np.concatenate([centre[1:], [RATE_HZ / 2 + 200]])
    rising = (bins - low[:, None]) / (centre - low)[:, None]
    falling = (high[:, None] - bins) / (high - centre)[:, None]
    triangles = np.clip(np.minimum(rising, falling), 0, None)
    return np.asarray(triangles / triangles.sum(axis=1, keepdims=True))


def _voicing(frames: Array) -> Array:
    """Highest autocorrelation at the periods of a voice (70 to 250 Hz), stretched to 0..1; silence has none."""
    spectrum = np.fft.rfft(frames, 1024)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:, : RATE_HZ // 70]
    energy = correlation[:, :1]
    # A window holds fewer products at longer lags.
    lags = np.arange(RATE_HZ // 250, RATE_HZ // 70)
    best = (correlation[:, lags] * WINDOW / (WINDOW - lags)).max(axis=1) / (energy[:, 0] + 1e-9)
    return np.where(energy[:, 0] > 1e-3, np.clip((best - 0.35) / 0.4, 0, 1), 0)


def _states(frames: Array, start_s: float, end_s: float) -> Array:
    """HALF states between two times: the means of the frames in each, or the nearest frame."""
    edges = np.linspace(start_s, end_s, HALF + 1) * RATE_HZ / HOP
    states = []
    for low, high in zip(edges, edges[1:], strict=False):
        first, last = int(np.ceil(low)), int(np.ceil(high))
        middle = min(int(round((low + high) / 2)), len(frames) - 1)
        inside = frames[first:last]
        states.append(inside.mean(axis=0) if len(inside) else frames[middle])
    return np.stack(states)


def _filled(total: npt.NDArray[np.float64], seen: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Means; a pair that was never heard gets its two halves from what its symbols do in other company."""
    mean = total / np.maximum(seen, 1)[:, :, None, None]
    left = total[:, :, :HALF].sum(axis=1) / np.maximum(seen.sum(axis=1), 1)[:, None, None]
    right = total[:, :, HALF:].sum(axis=0) / np.maximum(seen.sum(axis=0), 1)[:, None, None]
    for a, b in np.argwhere(seen == 0):
        mean[a, b] = np.concatenate([left[a], right[b]])
    mean[0, 0, :, :BANDS], mean[0, 0, :, BANDS] = FLOOR, 0
    return mean


def _seconds(lengths: dict[tuple[int, int], list[float]]) -> Array:
    """Means of running speech; what does not occur there lasts 70 ms, and stress makes it a little longer."""
    table = np.zeros((len(SYMBOLS), 2), np.float32)
    for symbol in range(len(SYMBOLS)):
        plain = lengths.get((symbol, 0), [])
        table[symbol, 0] = np.mean(plain) if plain else 0.07
        stressed = lengths.get((symbol, 1), [])
        table[symbol, 1] = np.mean(stressed) if stressed else table[symbol, 0] * 1.15
    return table


def _mel(hz: float) -> float:
    return float(1127 * np.log(1 + hz / 700))


SENTENCES = (
    "The birch canoe slid on the smooth planks, and a rainbow stood over the far river.",
    "What time is it? I would like to hear some music in the kitchen, please.",
    "She chose a yellow jacket because the weather was very cold this morning.",
    "Joy and pleasure are measured by usual things: hot tea, good books, long walks.",
    "Turn off the light in the bedroom and set a timer for twenty five minutes.",
    "Few people know how much power a small motor needs to push through thick fog.",
    "Their father thought about both of these before he gave his careful answer.",
    "The quick brown fox jumps over the lazy dog; eight zebras judge them quietly.",
)
