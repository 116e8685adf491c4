"""Silero VAD v6: 32 ms frames of many streams in one call.

The model comes out of an installed wheel, read as a data file (importing `silero_vad` would import torch):

1. `silero-vad` has graphs of one step that batch over streams: input [n, 64 + 512] (64 samples of the frame
   before, then the frame), state [2, n, 128]. The graph without branches is the fastest: measured on one core
   0.094 ms a frame alone and 0.042 batched by 32; `silero_vad.onnx` 0.194 and 0.042; same output to 1e-6.
2. `faster-whisper` has a graph over a sequence of frames of one stream, with h and c [1, 1, 128]: no batching. Its
   weights are an earlier 6.0; on 440 s of test noise they begin speech three times, those of 6.2 never.

The code is after `OnnxWrapper` in silero_vad/utils_vad.py, which is the reference of the tests. MIT licence.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from models.errors import ModelUnreadable
from voice.errors import NoModel
from voice.onnx_session import open_session
from voice.port import EngineConfig, VadEngine, VadSpec

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["FRAME", "SPEC", "SileroVad"]

FRAME = 512
_CONTEXT = 64
_STATE = 128

_STEP_GRAPHS = ("silero_vad_op18_ifless.onnx", "silero_vad_16k_op15.onnx", "silero_vad.onnx")

Floats = npt.NDArray[np.float32]


class _Graph(Protocol):
    def run(self, inputs: Floats, state: Floats) -> tuple[Floats, Floats]:
        """`inputs` [n, 576], `state` [2, n, 128]: probabilities [n] and the new state."""
        ...


class _StepGraph:
    """All streams in one call."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._rate = {"sr": np.array(16_000, np.int64)} if _inputs(session) >= {"sr"} else {}

    def run(self, inputs: Floats, state: Floats) -> tuple[Floats, Floats]:
        out, new_state = self._session.run(None, {"input": inputs, "state": state, **self._rate})
        return out[:, 0], new_state


class _SequenceGraph:
    """One call a stream: the batch axis of this graph is time."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session

    def run(self, inputs: Floats, state: Floats) -> tuple[Floats, Floats]:
        out = np.empty(len(inputs), np.float32)
        new_state = np.empty_like(state)
        for i in range(len(inputs)):
            h, c = state[0, i].reshape(1, 1, _STATE), state[1, i].reshape(1, 1, _STATE)
            probability, h, c = self._session.run(None, {"input": inputs[i : i + 1], "h": h, "c": c})
            out[i], new_state[0, i], new_state[1, i] = probability[0], h[0, 0], c[0, 0]
        return out, new_state


class SileroVad:
    """A VadEngine. Confined to one thread."""

    def __init__(self, graph: _Graph) -> None:
        self._graph = graph
        self._state = np.zeros((2, 0, _STATE), np.float32)
        self._context = np.zeros((0, _CONTEXT), np.float32)
        self._free: list[int] = []
        self._open: set[int] = set()

    def open(self) -> int:
        if not self._free:
            self._grow()
        stream = self._free.pop()
        self._state[:, stream] = 0.0
        self._context[stream] = 0.0
        self._open.add(stream)
        return stream

    def close(self, stream: int) -> None:
        if stream in self._open:
            self._open.remove(stream)
            self._free.append(stream)

    def step(self, streams: Sequence[int], frames: Floats) -> Floats:
        """Raises ValueError for other shapes, a stream that is not open or one that stands there twice."""
        if frames.shape != (len(streams), FRAME):
            raise ValueError(f"frames are {frames.shape}, not ({len(streams)}, {FRAME})")
        if not self._open.issuperset(streams) or len(set(streams)) != len(streams):
            raise ValueError("each stream must be open and stand there once")
        rows = np.asarray(streams, np.intp)
        inputs = np.concatenate((self._context[rows], frames), axis=1, dtype=np.float32)
        probabilities, self._state[:, rows] = self._graph.run(inputs, self._state[:, rows])
        self._context[rows] = inputs[:, -_CONTEXT:]
        return probabilities

    def _grow(self) -> None:
        held = len(self._context)
        more = max(8, held)
        self._state = np.concatenate((self._state, np.zeros((2, more, _STATE), np.float32)), axis=1)
        self._context = np.concatenate((self._context, np.zeros((more, _CONTEXT), np.float32)))
        self._free.extend(reversed(range(held, held + more)))


def _find(package: str, folder: str, names: Sequence[str]) -> Path | None:
    """The first of `names` inside an installed package, which is not imported."""
    spec = find_spec(package)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        for name in names:
            path = Path(root, folder, name)
            if path.is_file():
                return path
    return None


def _inputs(session: onnxruntime.InferenceSession) -> set[str]:
    return {i.name for i in session.get_inputs()}


def _load(config: EngineConfig) -> VadEngine:
    """`config.model`: a Silero ONNX file of either kind instead of the wheels'.

    Raises NoModel if there is none, ModelUnreadable if it is another model.
    """
    path = (
        config.model
        or _find("silero_vad", "data", _STEP_GRAPHS)
        or _find("faster_whisper", "assets", ("silero_vad_v6.onnx",))
    )
    if path is None:
        raise NoModel("no Silero VAD model is installed", hint="pip install --no-deps silero-vad")
    session = open_session(path, path.name, config.threads)
    inputs = _inputs(session)
    if {"input", "state"} <= inputs:
        return SileroVad(_StepGraph(session))
    if {"input", "h", "c"} <= inputs:
        return SileroVad(_SequenceGraph(session))
    raise ModelUnreadable(
        f"{path.name} is not a Silero VAD model of version 5 or later: its inputs are {sorted(inputs)}"
    )


SPEC = VadSpec(
    name="silero",
    load=_load,
    description="Silero VAD v6 in onnxruntime, batched over streams",
    licence="MIT",
)
