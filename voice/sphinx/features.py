"""The features that pocketsphinx's en-us acoustic model was trained on, computed here; pure.

The wheel's own front end (src/fe of pocketsphinx 5) keeps its noise estimate from one utterance to the next and
starts the first one without any. Computed here, an utterance's features depend on that utterance alone, the
noise estimate starts from its quiet frames, and the frequency axis can be stretched to fit a longer or
shorter vocal tract than the average one (VTLN). With no stretch and no noise estimate the result is the wheel's.
Parameters are those of the model's feat.params.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from voice.port import Pcm

__all__ = ["CEPSTRA", "features"]

RATE_HZ = 16_000
SHIFT = 160
WINDOW = 410
FFT = 512
FILTERS = 25
CEPSTRA = 13
LOW_HZ, HIGH_HZ = 130.0, 6800.0
PRE_EMPHASIS = 0.97
LIFTER = 22
LOG_FLOOR = 1e-4

# Noise removal: names and values of fe_noise.c.
LAMBDA_POWER, LAMBDA_A, LAMBDA_B, LAMBDA_T = 0.7, 0.995, 0.5, 0.85
MU_T = 0.2
MAX_GAIN = 20.0
SMOOTH_WINDOW = 4

NOISE_QUANTILE = 0.2
NOISE_SHARE = 0.5
"""The noise estimate starts at this share of the mean power of the quietest frames."""
ENERGY_SCALE = 1.15
"""Noise fills the valleys of the energy; its cepstrum is stretched again by this much."""
ENERGY_OFFSET = 1000.0
"""pocketsphinx takes the mean off once more, over frames of positive energy only: this makes that all of them."""

DITHER = 20.0
"""Standard deviation of noise added to the samples, the same each time. Microphones with noise suppression give
digital silence between words; its logarithm lies so far below that of any room that the mean would be of it only."""

Floats = npt.NDArray[np.float64]


def features(audio: Pcm, first: int, last: int, warps: tuple[float, ...]) -> npt.NDArray[np.float32]:
    """Cepstra of samples `first` to `last`, shape [warps, frames, 13], each with a mean of zero
    but for an offset of the energy, which the decoder takes off again.

    A warp of 1.1 moves every filter up by a tenth: for voices higher than average. The rest of the audio is
    listened to for its noise only. At least one window (410 samples) of audio is needed.
    """
    mel = _mel_power(audio, warps)
    energy = np.log(mel[:, :FILTERS] + 1.0).sum(axis=1)
    noise = mel[energy <= np.quantile(energy, NOISE_QUANTILE)].mean(axis=0) * NOISE_SHARE
    begin = min(first // SHIFT, len(mel) - 1)
    end = max(begin + 1, last // SHIFT - 2)
    clean = _remove_noise(mel[begin:end], noise)
    logs = np.log(clean + LOG_FLOOR).reshape(len(clean), len(warps), FILTERS).transpose(1, 0, 2)
    cepstra = logs @ _dct().T * _lifter()
    cepstra -= cepstra.mean(axis=1, keepdims=True)
    cepstra[:, :, 0] = cepstra[:, :, 0] * ENERGY_SCALE + ENERGY_OFFSET
    return np.ascontiguousarray(cepstra, dtype=np.float32)


def _mel_power(audio: Pcm, warps: tuple[float, ...]) -> Floats:
    """Power in the filters of each warp, shape [frames, warps * 25]."""
    samples = audio + np.random.default_rng(0).normal(0.0, DITHER, audio.size)
    emphasised = samples.copy()
    emphasised[1:] -= PRE_EMPHASIS * samples[:-1]
    if emphasised.size < WINDOW:
        emphasised = np.pad(emphasised, (0, WINDOW - emphasised.size))
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, WINDOW)[::SHIFT]
    hamming = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    # In blocks: the spectra of ten minutes would take hundreds of megabytes at once.
    blocks = [
        np.abs(np.fft.rfft(frames[at : at + 1000] * hamming, FFT)) ** 2 @ _filters(warps).T
        for at in range(0, len(frames), 1000)
    ]
    found: Floats = np.concatenate(blocks)
    return found


@cache
def _filters(warps: tuple[float, ...]) -> Floats:
    """Triangles of unit area on the mel scale, corners rounded to FFT bins; shape [warps * 25, 257]."""
    step = RATE_HZ / FFT
    hz = np.arange(FFT // 2 + 1) * step
    mels = np.linspace(2595 * np.log10(1 + LOW_HZ / 700), 2595 * np.log10(1 + HIGH_HZ / 700), FILTERS + 2)
    rows = []
    for warp in warps:
        corners = np.minimum(700 * (10 ** (mels / 2595) - 1) * warp, RATE_HZ / 2)
        corners = np.floor(corners / step + 0.5) * step
        for low, middle, high in zip(corners, corners[1:], corners[2:], strict=False):
            rise, fall = max(middle - low, step), max(high - middle, step)
            rows.append(np.maximum(0, np.minimum((hz - low) / rise, (high - hz) / fall)) * 2 / (high - low))
    return np.stack(rows)


@cache
def _dct() -> Floats:
    rows: Floats = np.cos(np.pi * np.outer(np.arange(CEPSTRA), np.arange(FILTERS) + 0.5) / FILTERS)
    rows *= np.sqrt(2 / FILTERS)
    rows[0] /= np.sqrt(2)
    return rows


@cache
def _lifter() -> Floats:
    found: Floats = 1 + LIFTER / 2 * np.sin(np.arange(CEPSTRA) * np.pi / LIFTER)
    return found


def _remove_noise(mel: Floats, noise: Floats) -> Floats:
    """fe_track_snr and fe_remove_noise of the wheel, for all warps at once, from a given noise estimate."""
    power, floor, peak = mel[0], mel[0] / MAX_GAIN, np.zeros_like(noise)
    gains = np.empty_like(mel)
    for index, frame in enumerate(mel):
        power = LAMBDA_POWER * power + (1 - LAMBDA_POWER) * frame
        noise = _lower_envelope(power, noise)
        signal = np.maximum(power - noise, 1.0)
        floor = _lower_envelope(signal, floor)
        peak = LAMBDA_T * peak
        masked = np.where(signal < LAMBDA_T * peak, peak * MU_T, signal)
        peak = np.maximum(signal, peak)
        gains[index] = np.maximum(masked, floor) / np.maximum(power, 1e-9)  # digital silence has none
    return mel * _smooth(np.clip(gains, 1 / MAX_GAIN, MAX_GAIN))


def _lower_envelope(power: Floats, envelope: Floats) -> Floats:
    """Follows slowly up and quickly down."""
    share = np.where(power >= envelope, LAMBDA_A, LAMBDA_B)
    return share * envelope + (1 - share) * power


def _smooth(gains: Floats) -> Floats:
    """Mean over the four filters to either side, within each warp."""
    rows = gains.reshape(len(gains), -1, FILTERS)
    sums = np.cumsum(np.pad(rows, ((0, 0), (0, 0), (1, 0))), axis=2)
    low = np.maximum(np.arange(FILTERS) - SMOOTH_WINDOW, 0)
    high = np.minimum(np.arange(FILTERS) + SMOOTH_WINDOW, FILTERS - 1) + 1
    smooth: Floats = ((sums[:, :, high] - sums[:, :, low]) / (high - low)).reshape(gains.shape)
    return smooth
