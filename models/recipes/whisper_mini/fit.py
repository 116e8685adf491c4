"""What the output matrix is fitted on, and how: spoken words by espeak-ng, silence and noise; logistic regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.espeak_ng import library
from models.recipes.whisper_mini.features import Array, Encoder, pooled
from models.recipes.whisper_mini.tokens import WORDS

__all__ = ["Readout", "fit", "spoken"]

RATE_HZ = 16_000
VOICES = ("en-us", "en-us+f2", "en-us+m3", "en-gb", "en-gb+f1", "en-gb-x-rp+m1", "en-gb-scotland")
SAMPLES_OF_A_WORD = 48


@dataclass(frozen=True, slots=True)
class Readout:
    """Scores [1 + words] = weight @ pooled + bias; the first is silence."""

    weight: Array
    bias: Array


def spoken(word: str, voice: str, wpm: int, pitch: int) -> Array:
    """`word` at 16 kHz, -1..1, without the silence around it."""
    import soxr

    said = library().speak(word, voice, wpm, pitch=pitch)
    pcm = soxr.resample(said.pcm.astype(np.float32) / 32768, said.rate_hz, RATE_HZ)
    loud = np.flatnonzero(np.abs(pcm) > 0.003)
    return np.asarray(pcm[loud[0] : loud[-1] + 1], np.float32)


def fit(encoder: Encoder, rng: np.random.Generator) -> Readout:
    """A few seconds. The same `rng` gives the same readout."""
    from faster_whisper.feature_extractor import FeatureExtractor

    extract = FeatureExtractor()
    rows, labels = [], []
    for audio, label in _examples(rng):
        rows.append(pooled(encoder, extract(audio)[:, :3000]))
        labels.append(label)
    return _regress(np.stack(rows).astype(np.float64), np.array(labels))


def _examples(rng: np.random.Generator) -> list[tuple[Array, int]]:
    examples = []
    for label, word in enumerate(WORDS, start=1):
        for _ in range(SAMPLES_OF_A_WORD):
            voice = str(rng.choice(VOICES))
            said = spoken(word, voice, int(rng.integers(120, 220)), int(rng.integers(20, 85)))
            before, after = (np.zeros(int(n), np.float32) for n in rng.integers(1600, 12_000, 2))
            audio = np.concatenate([before, said, after]) * rng.uniform(0.05, 1.0)
            examples.append(((audio + _noise(rng, len(audio), -5, -2.6)).astype(np.float32), label))
    for _ in range(2 * SAMPLES_OF_A_WORD):
        length = int(rng.integers(4_000, 48_000))
        examples.append((_noise(rng, length, -8, -1), 0))
    examples.append((np.zeros(16_000, np.float32), 0))
    return examples


def _noise(rng: np.random.Generator, length: int, quietest: float, loudest: float) -> Array:
    return rng.normal(0, 10 ** rng.uniform(quietest, loudest), length).astype(np.float32)


def _regress(rows: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], steps: int = 300) -> Readout:
    """Multinomial logistic regression by Adam on standardised features, with a little weight decay."""
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 0.05
    x = (rows - mean) / spread
    x1 = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    target = np.eye(1 + len(WORDS))[labels]
    weight = np.zeros((x1.shape[1], target.shape[1]))
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    for step in range(1, steps + 1):
        logits = x1 @ weight
        chance = np.exp(logits - logits.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        slope = x1.T @ (chance - target) / len(x1) + 1e-3 * weight
        first, second = 0.9 * first + 0.1 * slope, 0.99 * second + 0.01 * slope**2
        weight -= 0.05 * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
    scaled = (weight[:-1] / spread[:, None]).T
    return Readout(scaled.astype(np.float32), (weight[-1] - scaled @ mean).astype(np.float32))
