"""What kind of short sound it is, by Google's speech embedding: a second opinion beside the scores of phrases.

pocketsphinx's model hears phones; the embedding (voice/wake/speech_embedding.py, from the wheel that wake words come
with) was trained on very many people to tell short words apart whoever says them. The two err on different sounds:
together they take fewer murmurs for a stop, and noises too (models/bundled/short-sounds.md has the figures). The
embedding is not asked alone: on voices that it was not fitted to it is no better than the phones.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog

from models.errors import ModelUnreadable
from voice.errors import NoModel
from voice.port import Pcm
from voice.sphinx.kind_network import likely_kinds
from voice.wake.speech_embedding import CONTEXT, FRAME, SpeechEmbedding
from voice.wake.tflite import wheel_folder

__all__ = ["SoundKinds", "SoundTable", "levelled", "pooled", "sound_embedding"]

LEVEL = 2000.0
"""Root mean square of what sounds, in steps of a sample: the embedding is not asked how loud it was."""
LEAST = 100.0
"""Share of the power of the loudest 20 ms from which on something sounds."""
PLACES, FIRST_PLACE = 8, 2
"""Embeddings that are looked at, from all over the sound. The first two are of the silence before it."""
FRAMES = 10.0

log = structlog.get_logger(__name__)

Floats = npt.NDArray[np.float32]


def sound_embedding() -> SpeechEmbedding:
    """Raises NoModel where the wheel is not installed, ModelUnreadable where its models are not the known ones."""
    return SpeechEmbedding.load(wheel_folder() / "models")


def levelled(audio: Pcm, span: tuple[int, int]) -> Floats:
    """`span` of `audio` (16 kHz) at one level, with the samples of silence that the embedding wants before and after:
    [480 + n * 1280]."""
    sound = audio[span[0] : span[1]].astype(np.float32)
    powers = (sound[: sound.size // 320 * 320].reshape(-1, 320) ** 2).mean(axis=1)
    power = float(powers[powers > powers.max(initial=0.0) / LEAST].mean()) if powers.any() else 1.0
    frames = -(-sound.size // FRAME) + 1
    return np.pad(sound * (LEVEL / max(1.0, power**0.5)), (CONTEXT, frames * FRAME - sound.size))


def pooled(embeddings: Floats) -> Floats:
    """What the network sees, [865]: of `embeddings` [frames, 96] eight from all over, the most of each number, and
    how many there are."""
    places = np.linspace(min(FIRST_PLACE, len(embeddings) - 1), len(embeddings) - 1, PLACES)
    before = places.astype(np.intp)
    after, share = np.minimum(before + 1, len(embeddings) - 1), (places - before)[:, None]
    between = embeddings[before] * (1 - share) + embeddings[after] * share
    whole = (between.ravel(), embeddings.max(axis=0), np.array([len(embeddings) / FRAMES]))
    found: Floats = np.concatenate(whole, dtype=np.float32)
    return found


@dataclass(frozen=True, slots=True)
class SoundTable:
    """A network of one hidden layer: `hidden` [866, units] and `out` [units + 1, kinds], biases in the last rows."""

    hidden: Floats
    out: Floats

    @classmethod
    def read(cls, path: Path) -> SoundTable:
        """Raises OSError, ValueError or KeyError for what is no such file."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
                return cls(found["hidden"].astype(np.float32), found["out"].astype(np.float32))
        except zipfile.BadZipFile as error:
            raise ValueError(str(error)) from error

    def likely(self, seen: Floats) -> Floats:
        """Probabilities of the kinds."""
        return likely_kinds(seen, self.hidden, self.out)


class SoundKinds:
    """Confined to one thread."""

    def __init__(self, embedding: SpeechEmbedding, table: SoundTable) -> None:
        self._embedding, self._table = embedding, table

    @classmethod
    def load(cls, table: Path) -> SoundKinds | None:
        """None where the wheel's models are not to be had. Raises OSError, ValueError or KeyError for `table`."""
        try:
            embedding = sound_embedding()
        except (ImportError, OSError, NoModel, ModelUnreadable) as error:
            log.warning("stt.no_second_opinion", reason=str(error), hint="pip install pyopen-wakeword")
            return None
        return cls(embedding, SoundTable.read(table))

    def likely(self, audio: Pcm, span: tuple[int, int]) -> Floats:
        """Probabilities of the kinds of what lies in `span` of `audio`, 16 kHz."""
        (embeddings,) = self._embedding.of_sounds(levelled(audio, span)[None])
        return self._table.likely(pooled(embeddings))
