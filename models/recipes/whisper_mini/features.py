"""The network up to the average over speech, in numpy: what the output matrix is fitted on.

The same arithmetic as CTranslate2's Whisper does with the weights of `weights.py`, for a few frames instead of 1500.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "CONST",
    "FEATURES",
    "FRAMES",
    "GATE",
    "GATE_HIGH",
    "GATE_LOW",
    "STEEP",
    "Encoder",
    "make_encoder",
    "pooled",
    "speech_average",
]

Array = npt.NDArray[np.float32]

MELS, CEPSTRA = 80, 13
RANDOM, FEATURES = 96, 60
"""Channels of the first convolution's random part, and features that reach the decoder."""
GATE_LOW, GATE_HIGH = FEATURES, FEATURES + 1
"""Channels whose difference rises from 0 to 1 where a frame's spectrum begins to have a shape."""
GATE = 2.0
"""What that difference is scaled with: enough for GELU to be a hinge, not so much that int8 loses the rest."""
STEEP = 12.0
"""Attention to speech against the rest, as a logit: e^12 outweighs 1500 frames of silence."""
CONST = 600.0
"""Two constant channels of +-CONST keep the layer norms almost linear: they are nearly all of the variance."""
FRAMES = 1500
_SHAPE_FROM, _SHAPE_TO = 3.0, 4.5
"""Sum of absolute cepstra: noise stays below 1.8, voices lie between 5 and 13."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """The two convolutions: weight [out, in, 3] and bias [out]."""

    conv1: Array
    bias1: Array
    conv2: Array
    bias2: Array


def make_encoder(rng: np.random.Generator) -> Encoder:
    """Random features of cepstra over 5 frames, and the two gate channels. Cepstra ignore loudness."""
    bands = np.arange(MELS) + 0.5
    cepstra = np.stack([np.cos(np.pi * (k + 1) * bands / MELS) for k in range(CEPSTRA)]) * np.sqrt(2 / MELS)
    conv1 = np.zeros((RANDOM + 2 * CEPSTRA, MELS, 3), np.float32)
    conv1[:RANDOM] = np.einsum("dkc,cm->dmk", rng.normal(0, 0.35, (RANDOM, 3, CEPSTRA)), cepstra)
    bias1 = np.zeros(len(conv1), np.float32)
    bias1[:RANDOM] = rng.normal(0, 0.5, RANDOM)
    # |c| as GELU(8 c) / 8 + GELU(-8 c) / 8.
    conv1[RANDOM : RANDOM + CEPSTRA, :, 1] = 8 * cepstra
    conv1[RANDOM + CEPSTRA :, :, 1] = -8 * cepstra
    conv2 = np.zeros((FEATURES + 2, len(conv1), 3), np.float32)
    conv2[:FEATURES, :RANDOM] = rng.normal(0, 1.6 / np.sqrt(3 * RANDOM), (FEATURES, RANDOM, 3))
    bias2 = np.zeros(len(conv2), np.float32)
    bias2[:FEATURES] = rng.normal(0, 0.5, FEATURES)
    slope = 1 / (_SHAPE_TO - _SHAPE_FROM)
    conv2[FEATURES:, RANDOM:] = GATE * slope / (3 * 8)
    bias2[GATE_LOW], bias2[GATE_HIGH] = -GATE * slope * _SHAPE_FROM, -GATE * slope * _SHAPE_TO
    return Encoder(conv1, bias1, conv2, bias2)


def pooled(encoder: Encoder, mel: Array) -> Array:
    """Average of the features over speech, [FEATURES], of a log-mel spectrogram [80, frames]."""
    padded = np.concatenate([mel, np.zeros((MELS, 8), np.float32)], axis=1)
    hidden = _gelu(_conv(padded, encoder.conv1, encoder.bias1, 1))
    output = _gelu(_conv(hidden, encoder.conv2, encoder.bias2, 2))
    return speech_average(output)[:FEATURES]


def speech_average(output: Array) -> Array:
    """What cross-attention makes of the encoder's output [channels, frames]; missing frames repeat the last one."""
    gate = (output[GATE_LOW] - output[GATE_HIGH]) / GATE
    weight = np.exp(STEEP * gate)
    missing = FRAMES - output.shape[1]
    total = output @ weight + missing * weight[-1] * output[:, -1]
    return (total / (weight.sum() + missing * weight[-1])).astype(np.float32)


def _conv(signal: Array, weight: Array, bias: Array, stride: int) -> Array:
    frames = signal.shape[1]
    padded = np.pad(signal, ((0, 0), (1, 1)))
    taps = [weight[:, :, tap] @ padded[:, tap : tap + frames : stride] for tap in range(3)]
    return sum(taps) + bias[:, None]


def _gelu(x: Array) -> Array:
    """0.5 x (1 + erf(x / sqrt 2)), erf by Abramowitz and Stegun 7.1.26 (error below 2e-7)."""
    z = np.abs(x) * np.float32(0.70710678)
    t = 1 / (1 + np.float32(0.3275911) * z)
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.sign(x) * (1 - poly * np.exp(-z * z))
    return (0.5 * x * (1 + erf)).astype(np.float32)
