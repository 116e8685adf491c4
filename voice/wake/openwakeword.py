"""openWakeWord: the wake words of the pyopen-wakeword wheel, and any `.tflite` or `.onnx` model trained for it.

Features are shared by all words of a stream and computed for all streams in one call (speech_embedding.py); a word's
model looks at the last 16 of them (1.28 s, with what each looks back: 2 s) and costs 0.07 ms.

The code of openWakeWord and the feature models are Apache-2.0. The pretrained words are CC BY-NC-SA 4.0: not for
commercial use. A word of one's own goes into the store as a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.errors import ModelUnreadable
from voice.onnx_session import open_session
from voice.port import EngineConfig, WakeEngine, WakeSpec
from voice.wake.speech_embedding import CONTEXT, FRAME, SIZE, SpeechEmbedding
from voice.wake.tflite import TfliteModel, wheel_folder

__all__ = ["SPEC", "OpenWakeWord"]

Floats = npt.NDArray[np.float32]

_FEATURE_MODELS = ("melspectrogram", "embedding_model")
_LONGEST = 120
"""Embeddings kept a stream; models that look at more (9.6 s) are refused."""


class _Word(Protocol):
    length: int
    """Embeddings it looks at."""

    def score(self, embeddings: Floats) -> float:
        """[length, 96] -> 0..1."""
        ...


class _TfliteWord:
    def __init__(self, path: Path) -> None:
        self._model = TfliteModel(path)
        self.length = _length(path, self._model.input_shape)

    def score(self, embeddings: Floats) -> float:
        return float(self._model.run(embeddings[None]).reshape(-1)[0])


class _OnnxWord:
    def __init__(self, path: Path) -> None:
        self._session = open_session(path, path.name)
        first = self._session.get_inputs()[0]
        self._name = first.name
        self.length = _length(path, tuple(first.shape))

    def score(self, embeddings: Floats) -> float:
        return float(self._session.run(None, {self._name: embeddings[None]})[0].reshape(-1)[0])


class OpenWakeWord:
    """A WakeEngine. Confined to one thread."""

    def __init__(self, embedding: SpeechEmbedding, words: dict[str, _Word]) -> None:
        self.words = tuple(words)
        self._models = words
        self._embedding = embedding
        self._length = max((word.length for word in words.values()), default=1)
        self._asked: list[tuple[str, ...] | None] = []
        """The words of each stream; None: it is not open."""
        self._audio = np.zeros((0, CONTEXT), np.float32)
        self._state = np.zeros((0, len(embedding.fresh)), np.float32)
        self._history = np.zeros((0, self._length, SIZE), np.float32)

    def open(self, words: Sequence[str]) -> int:
        """Raises ValueError for a word that is not one of `words`."""
        unknown = set(words).difference(self._models)
        if unknown:
            raise ValueError(f"no model for {sorted(unknown)}")
        if None not in self._asked:
            self._grow()
        stream = self._asked.index(None)
        self._asked[stream] = tuple(words)
        self._audio[stream] = 0.0
        self._state[stream] = self._embedding.fresh
        self._history[stream] = self._embedding.silence
        return stream

    def close(self, stream: int) -> None:
        self._asked[stream] = None

    def step(self, streams: Sequence[int], frames: npt.NDArray[np.int16]) -> list[dict[str, float]]:
        """Raises ValueError for other shapes, a stream that is not open or one that stands there twice."""
        if frames.shape != (len(streams), FRAME):
            raise ValueError(f"frames are {frames.shape}, not ({len(streams)}, {FRAME})")
        asked = [self._asked[stream] for stream in streams]
        if len(set(streams)) != len(streams) or None in asked:
            raise ValueError("each stream must be open and stand there once")
        rows = np.asarray(streams, np.intp)
        audio = np.concatenate((self._audio[rows], frames), axis=1, dtype=np.float32)
        embeddings, self._state[rows] = self._embedding.step(audio, self._state[rows])
        self._audio[rows] = audio[:, -CONTEXT:]
        history = np.concatenate((self._history[rows, 1:], embeddings[:, None]), axis=1)
        self._history[rows] = history
        return [self._scores(words or (), past) for words, past in zip(asked, history, strict=True)]

    def _scores(self, words: tuple[str, ...], history: Floats) -> dict[str, float]:
        return {word: self._models[word].score(history[-self._models[word].length :]) for word in words}

    def _grow(self) -> None:
        more = max(8, len(self._asked))
        self._asked += [None] * more
        self._audio = np.concatenate((self._audio, np.zeros((more, *self._audio.shape[1:]), np.float32)))
        self._state = np.concatenate((self._state, np.zeros((more, *self._state.shape[1:]), np.float32)))
        self._history = np.concatenate((self._history, np.zeros((more, *self._history.shape[1:]), np.float32)))


def _length(path: Path, shape: tuple[int | str | None, ...]) -> int:
    if len(shape) != 3 or shape[2] != SIZE or not isinstance(shape[1], int) or not 0 < shape[1] <= _LONGEST:
        raise ModelUnreadable(
            f"{path.name} is not an openWakeWord model: its input is {list(shape)}, not [1, n, {SIZE}]"
        )
    return shape[1]


def _open_word(path: Path) -> _Word:
    """Raises ModelUnreadable."""
    if path.suffix not in (".tflite", ".onnx") or not path.is_file():
        raise ModelUnreadable(f"{path.name} is no .tflite or .onnx file", hint="openWakeWord trains both kinds")
    return _TfliteWord(path) if path.suffix == ".tflite" else _OnnxWord(path)


def _load(config: EngineConfig) -> WakeEngine:
    """`config.options`: {word: path of its model}, beside the wheel's words and before them.

    Raises NoModel if the wheel is not there, ModelUnreadable for a model that is none.
    """
    folder = wheel_folder() / "models"
    found = {path.stem.replace("_", " "): path for path in sorted(folder.glob("*.tflite"))}
    for name in _FEATURE_MODELS:
        found.pop(name.replace("_", " "), None)
    found |= {word: Path(path) for word, path in config.options.items()}
    return OpenWakeWord(SpeechEmbedding.load(folder), {word: _open_word(path) for word, path in found.items()})


SPEC = WakeSpec(
    name="openwakeword",
    load=_load,
    description="openWakeWord, features computed once for all words of a stream",
    licence="Apache-2.0; the pretrained words CC BY-NC-SA 4.0",
)
