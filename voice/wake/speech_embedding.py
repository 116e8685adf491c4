"""openWakeWord's features, computed step by step instead of window by window.

Google's speech_embedding turns 76 mel frames (775 ms) into 96 numbers, every 8 frames (80 ms). As the wheel runs it,
each 80 ms costs the whole window: 6 ms in TensorFlow Lite on the machine of the figures below. But the network is
convolutions over time without padding, so 68 of the 76 frames were computed before: it is enough to keep the last
two rows that each convolution over time has seen, and to compute what 8 new frames add. Same numbers (to 1e-4, which
`load` checks against the wheel's own model), for many streams in one call.

Measured on one core, a stream and 80 ms: see docs/performance.md (`make bench`, ears).

The weights are read from the wheel's models (Apache-2.0) and put into a graph for onnxruntime. The mel part is a
512-point transform of 400 windowed samples each 160, 32 bands, in dB with a floor 80 dB under the loudest of the 8
frames.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.errors import ModelUnreadable
from voice.onnx_session import open_session
from voice.wake.onnx_graph import OnnxGraph
from voice.wake.tflite import TfliteModel

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["CONTEXT", "FRAME", "SpeechEmbedding"]

FRAME = 1280
CONTEXT = 480
"""Samples before a frame that its first mel frame reaches back to."""

SIZE = 96
_FFT, _HOP, _ROWS, _WINDOW_ROWS = 512, 160, 8, 76
_CONVOLUTIONS = 20
_POOLS = {2: (2, 2), 6: (1, 2), 10: (2, 2), 14: (1, 2), 18: (2, 2)}
"""{after this convolution: (time, frequency)}"""

Floats = npt.NDArray[np.float32]


class SpeechEmbedding:
    """Stateless but for the weights: the caller keeps a state per stream. Confined to one thread."""

    def __init__(self, session: onnxruntime.InferenceSession, window: Floats, state_size: int) -> None:
        self._session = session
        self._window = window
        self.fresh = np.zeros(state_size, np.float32)
        """The state of a stream that has heard silence for long."""
        silence = np.zeros((1, CONTEXT + FRAME), np.float32)
        state = self.fresh[None]
        for _ in range(_WINDOW_ROWS // _ROWS + 1):
            self.silence, state = self.step(silence, state)
        self.fresh, self.silence = state[0], self.silence[0]

    def step(self, audio: Floats, state: Floats) -> tuple[Floats, Floats]:
        """`audio` [n, 480 + 1280] in int16's range, `state` [n, len(fresh)]: embeddings [n, 96], the new state."""
        rows = np.lib.stride_tricks.sliding_window_view(audio, _FFT, axis=1)[:, : _ROWS * _HOP : _HOP]
        spectrum = np.fft.rfft(rows * self._window)
        power = spectrum.real**2 + spectrum.imag**2
        embedding, new_state = self._session.run(None, {"power": power, "state": state})
        return embedding, new_state

    def of_sounds(self, audio: Floats) -> Floats:
        """`audio` [n, 480 + frames * 1280] after silence: embeddings [n, frames, 96]."""
        state, found = np.repeat(self.fresh[None], len(audio), axis=0), []
        for begin in range(0, audio.shape[1] - CONTEXT, FRAME):
            embedding, state = self.step(audio[:, begin : begin + CONTEXT + FRAME], state)
            found.append(embedding)
        return np.stack(found, axis=1)

    @classmethod
    def load(cls, folder: Path) -> SpeechEmbedding:
        """From the two feature models of the wheel. Raises ModelUnreadable if they are not the known ones."""
        mel = TfliteModel(folder / "melspectrogram.tflite", (1, CONTEXT + FRAME))
        network = TfliteModel(folder / "embedding_model.tflite", (1, _WINDOW_ROWS, 32, 1))
        try:
            window, bands = _mel_parts(mel)
            graph, state_size = _graph(bands, _network_parts(network))
            embedding = cls(open_session(graph, "the speech embedding"), window, state_size)
            _check(embedding, mel, network)
        finally:
            mel.close()
            network.close()
        return embedding


def _mel_parts(model: TfliteModel) -> tuple[Floats, Floats]:
    """The window [512] and the bands [257, 32]. The transform is stored as 257 windowed cosines and sines."""
    arrays = [array for _, array in model.tensors()]
    waves = [array[:, 0, :, 0] for array in arrays if array.shape == (_FFT // 2 + 1, 1, _FFT, 1)]
    bands = [array for array in arrays if array.shape == (_FFT // 2 + 1, 32)]
    if len(waves) != 2 or len(bands) != 1:
        raise ModelUnreadable("melspectrogram.tflite is not the model that is known here")
    return max((wave[0] for wave in waves), key=lambda row: float(np.abs(row).max())), bands[0]


def _network_parts(model: TfliteModel) -> list[tuple[Floats, Floats]]:
    """(weights [out, in, time, frequency], bias [out]) of the convolutions in order."""
    weights: dict[int, Floats] = {}
    biases: dict[int, Floats] = {_CONVOLUTIONS - 1: np.zeros(SIZE, np.float32)}
    for name, array in model.tensors():
        if array.ndim == 4 and (found := re.fullmatch(r"model/conv2d(?:_(\d+))?/Conv2D1?", name)):
            weights[int(found[1] or 0)] = array.transpose(0, 3, 1, 2)
        if array.ndim == 1 and (found := re.match(r"model/batch_normalization(?:_(\d+))?/", name)):
            biases[int(found[1] or 0)] = array
    if set(weights) != set(range(_CONVOLUTIONS)) or set(biases) != set(weights):
        raise ModelUnreadable("embedding_model.tflite is not the model that is known here")
    return [(weights[i], biases[i]) for i in range(_CONVOLUTIONS)]


def _graph(bands: Floats, layers: list[tuple[Floats, Floats]]) -> tuple[bytes, int]:
    """The model of one step, and the size of its state."""
    graph = OnnxGraph()
    power = graph.input("power", ["n", _ROWS, _FFT // 2 + 1])
    state = graph.input("state", ["n", "state"])

    kept, width = [], 32  # rows kept before each convolution over time: [channels, 2, width]
    for i, (weights, _) in enumerate(layers):
        if weights.shape[2] == 3:
            kept.append((weights.shape[1], 2, width))
        width //= _POOLS.get(i, (1, 1))[1]
    sizes = [int(np.prod(shape)) for shape in kept]
    olds = graph.split("Split", [state, graph.constant(sizes)], len(sizes), axis=1)
    news: list[str] = []

    floored = graph.node("Max", [graph.node("MatMul", [power, graph.constant(bands)]), _scalar(graph, 1e-10)])
    decibel = graph.node("Mul", [graph.node("Log", [floored]), _scalar(graph, 10 / np.log(10))])
    loudest = graph.node("ReduceMax", [decibel], axes=[1, 2], keepdims=1)
    clipped = graph.node("Max", [decibel, graph.node("Sub", [loudest, _scalar(graph, 80.0)])])
    scaled = graph.node("Add", [graph.node("Mul", [clipped, _scalar(graph, 0.1)]), _scalar(graph, 2.0)])
    x = graph.node("Reshape", [scaled, graph.constant([-1, 1, _ROWS, 32])])

    rows = _ROWS
    for i, (weights, bias) in enumerate(layers):
        if weights.shape[2] == 3:
            old = graph.node("Reshape", [olds[len(news)], graph.constant([-1, *kept[len(news)]])])
            x = graph.node("Concat", [old, x], axis=2)
            last = graph.node("Slice", [x, *(graph.constant([v]) for v in (rows, rows + 2, 2))])
            news.append(graph.node("Reshape", [last, graph.constant([-1, sizes[len(news)]])]))
        side = weights.shape[3] // 2
        x = graph.node(
            "Conv",
            [x, graph.constant(weights), graph.constant(bias)],
            kernel_shape=weights.shape[2:],
            pads=[0, side] * 2,
        )
        if i < _CONVOLUTIONS - 1:
            x = graph.node("Max", [graph.node("LeakyRelu", [x], alpha=0.2), _scalar(graph, -0.4)])
        if i in _POOLS:
            x = graph.node("MaxPool", [x], kernel_shape=_POOLS[i], strides=_POOLS[i])
            rows //= _POOLS[i][0]
    graph.node("Reshape", [x, graph.constant([-1, SIZE])], "embedding")
    graph.node("Concat", news, "new_state", axis=1)
    graph.output("embedding", ["n", SIZE])
    graph.output("new_state", ["n", "state"])
    return graph.model(), sum(sizes)


def _scalar(graph: OnnxGraph, value: float) -> str:
    return graph.constant(np.asarray(value, np.float32))


def _check(embedding: SpeechEmbedding, mel: TfliteModel, network: TfliteModel) -> None:
    """Step by step and window by window must agree on a second of noise."""
    steps = _WINDOW_ROWS // _ROWS + 1
    audio = np.random.default_rng(0).normal(0, 3000, CONTEXT + steps * FRAME).astype(np.float32)
    state, mels = embedding.fresh[None], []
    for i in range(steps):
        chunk = audio[None, i * FRAME : i * FRAME + CONTEXT + FRAME]
        stepped, state = embedding.step(chunk, state)
        mels.append(mel.run(chunk).reshape(_ROWS, 32) / 10 + 2)
    window = np.concatenate(mels)[-_WINDOW_ROWS:].reshape(1, _WINDOW_ROWS, 32, 1).astype(np.float32)
    wrong = float(np.abs(network.run(window).reshape(SIZE) - stepped[0]).max())
    if not wrong < 0.02:
        raise ModelUnreadable(f"embedding_model.tflite is not the network that is known here (off by {wrong:.3g})")
