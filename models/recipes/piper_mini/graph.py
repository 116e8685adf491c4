"""The voice as an ONNX graph: phoneme ids in, samples and samples per id out.

Inputs and outputs are those of a Piper voice: `input` [1, T] int64, `input_lengths` [1] int64, `scales` [3] float32
(noise, length, noise width); `output` [1, 1, 1, S] float32. As in Piper's own voices one Ceil node gives the frames
of every id; the tensor is called w_ceil and becomes an output where times are wanted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.recipes.piper_mini.diphones import BANDS, FFT, HALF, HOP, RATE_HZ, WINDOW, Diphones, band_centres_hz
from models.recipes.piper_mini.phones import LONG, MARKS, PAUSES, STRESS, SYMBOLS, nearest

__all__ = ["voice_graph"]

BINS = FFT // 2 + 1
STATES = 2 * HALF
F0_START_HZ, F0_FALL_HZ, F0_ACCENT_HZ, F0_QUESTION_HZ = 122.0, 26.0, 22.0, 45.0
ACCENT_FRAMES = 31
EDGE = (WINDOW - HOP) // 2


class _Graph:
    """Nodes and constants, named as they come."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def floats(self, value: Any) -> str:
        return self._constant(np.asarray(value, np.float32))

    def ints(self, value: Any) -> str:
        return self._constant(np.asarray(value, np.int64))

    def do(self, op: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        name = to or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def to_float(self, value: str) -> str:
        return self._cast(value, TensorProto.FLOAT)

    def to_int(self, value: str) -> str:
        return self._cast(value, TensorProto.INT64)

    def _cast(self, value: str, kind: int) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node("Cast", [value], [name], to=kind))
        return name

    def _constant(self, array: np.ndarray[Any, Any]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name


def voice_graph(diphones: Diphones, id_map: dict[str, list[int]]) -> onnx.ModelProto:
    """`id_map`: Piper's phoneme -> [id]."""
    g = _Graph()
    tables = _id_tables(diphones, id_map)
    ids = g.do("Reshape", "input", g.ints([-1]))
    accent_of_id = _earlier(g, g.do("Gather", g.floats(tables["stress"]), ids), by=2)
    frames_of_id = _durations(g, ids, accent_of_id, tables)
    symbols = _symbols(g, ids, tables)
    # From here on only what sounds or pauses: marks have no frames.
    kept = g.do("Greater", frames_of_id, g.floats(0))
    symbols, frames, accents = (g.do("Compress", x, kept, axis=0) for x in (symbols, frames_of_id, accent_of_id))
    place, within, total = _time(g, frames)
    states = _states(g, symbols, place, within, diphones)
    question = g.do("ReduceMax", g.do("Gather", g.floats(tables["question"]), ids), keepdims=0)
    pitch = _pitch(g, g.do("Gather", accents, place), total, question)
    _vocoder(g, states, pitch)
    return _model(g)


def _id_tables(diphones: Diphones, id_map: dict[str, list[int]]) -> dict[str, Any]:
    """What each id is: its symbol, its seconds unstressed and stressed, whether it is stress, length or question."""
    size = max(max(ids) for ids in id_map.values()) + 1
    table: dict[str, Any] = {name: np.zeros(size) for name in ("symbol", "plain", "stressed", "stress", "question")}
    table["long"] = np.zeros(size, bool)
    for phoneme, (number, *_) in id_map.items():
        table["question"][number] = phoneme == "?"
        if phoneme in STRESS:
            table["stress"][number] = STRESS[phoneme]
        elif phoneme in PAUSES:
            table["plain"][number] = table["stressed"][number] = PAUSES[phoneme]
        elif phoneme == LONG:
            table["long"][number] = True
            table["plain"][number], table["stressed"][number] = 0.05, 0.065
        elif phoneme not in MARKS:
            symbol = SYMBOLS.index(nearest(phoneme))
            table["symbol"][number] = symbol
            table["plain"][number], table["stressed"][number] = diphones.seconds[symbol]
    return table


def _earlier(g: _Graph, values: str, by: int) -> str:
    """`values` [T] moved `by` places on, so that each place sees what stood before it.

    Two ids back is the phoneme before, for Piper puts a pad between any two.
    """
    padded = g.do("Pad", values, g.ints([by, 0]))
    return g.do("Slice", padded, g.ints([0]), g.ints([-by]))


def _durations(g: _Graph, ids: str, accent: str, tables: dict[str, Any]) -> str:
    """Frames [T] of every id; marks and pads have none."""
    plain = g.do("Gather", g.floats(tables["plain"]), ids)
    more = g.do("Gather", g.floats(tables["stressed"] - tables["plain"]), ids)
    seconds = g.do("Add", plain, g.do("Mul", more, accent))
    scale = g.do("Clip", g.do("Gather", "scales", g.ints(1)), g.floats(0.1), g.floats(10))
    frames = g.do("Mul", g.do("Mul", seconds, scale), g.floats(RATE_HZ / HOP))
    return g.do("Reshape", g.do("Ceil", frames, to="w_ceil"), g.ints([-1]))


def _symbols(g: _Graph, ids: str, tables: dict[str, Any]) -> str:
    """The symbol [T] of every id; a length mark sounds like what it lengthens."""
    symbols = g.do("Gather", g.ints(tables["symbol"]), ids)
    long = g.do("Greater", g.do("Gather", g.floats(tables["long"]), ids), g.floats(0.5))
    return g.do("Where", long, _earlier(g, symbols, by=2), symbols)


def _time(g: _Graph, frames: str) -> tuple[str, str, str]:
    """For every frame [F]: which phoneme it lies in, where in it (0..1); and F."""
    ends = g.do("CumSum", frames, g.ints(0))
    starts = g.do("Sub", ends, frames)
    total = g.do("ReduceSum", frames, keepdims=0)
    middle = g.do("Add", g.do("Range", g.floats(0), total, g.floats(1)), g.floats(0.5))
    passed = g.do("Greater", g.do("Unsqueeze", middle, g.ints([1])), g.do("Unsqueeze", ends, g.ints([0])))
    place = g.to_int(g.do("ReduceSum", g.to_float(passed), g.ints([1]), keepdims=0))
    since = g.do("Sub", middle, g.do("Gather", starts, place))
    return place, g.do("Div", since, g.do("Gather", frames, place)), total


def _states(g: _Graph, symbols: str, place: str, within: str, diphones: Diphones) -> str:
    """Envelope and voicing of every frame, [F, BANDS + 1], on straight lines between the diphones' states."""
    table = np.concatenate([diphones.envelope, diphones.voicing[..., None]], axis=-1)
    known = g.floats(table.reshape(-1, STATES, BANDS + 1))
    count = g.ints(len(SYMBOLS))
    before = g.do("Slice", g.do("Pad", symbols, g.ints([1, 0])), g.ints([0]), g.ints([-1]))
    after = g.do("Slice", g.do("Pad", symbols, g.ints([0, 1])), g.ints([1]), g.ints([2**31]))
    arriving = g.do("Gather", known, g.do("Add", g.do("Mul", before, count), symbols))
    leaving = g.do("Gather", known, g.do("Add", g.do("Mul", symbols, count), after))
    second_half = g.do("Slice", arriving, g.ints([HALF]), g.ints([STATES]), g.ints([1]))
    first_half = g.do("Slice", leaving, g.ints([0]), g.ints([HALF]), g.ints([1]))
    line = g.do("Reshape", g.do("Concat", second_half, first_half, axis=1), g.ints([-1, BANDS + 1]))
    last = g.do("Sub", g.do("Gather", g.do("Shape", line), g.ints(0)), g.ints(1))
    at = g.do("Mul", g.do("Add", g.to_float(place), within), g.floats(STATES))
    at = g.do("Max", g.do("Sub", at, g.floats(0.5)), g.floats(0))
    low = g.do("Min", g.to_int(g.do("Floor", at)), last)
    high = g.do("Min", g.do("Add", low, g.ints(1)), last)
    share = g.do("Unsqueeze", g.do("Sub", at, g.to_float(low)), g.ints([1]))
    lower, higher = g.do("Gather", line, low), g.do("Gather", line, high)
    return g.do("Add", lower, g.do("Mul", g.do("Sub", higher, lower), share))


def _pitch(g: _Graph, accent: str, total: str, question: str) -> str:
    """f0 in Hz of every frame [F]: falling, higher on stressed syllables, rising at the end of a question."""
    rise = g.do("AveragePool", g.do("Unsqueeze", accent, g.ints([0, 1])), kernel_shape=[ACCENT_FRAMES],
                pads=[ACCENT_FRAMES // 2] * 2, count_include_pad=1)  # fmt: skip
    rise = g.do("Squeeze", rise, g.ints([0, 1]))
    gone = g.do("Div", g.do("Range", g.floats(0), total, g.floats(1)), total)
    fall = g.do("Mul", gone, g.floats(-F0_FALL_HZ))
    end = g.do("Max", g.do("Sub", gone, g.floats(0.75)), g.floats(0))
    end = g.do("Mul", g.do("Mul", end, question), g.floats(4 * F0_QUESTION_HZ))
    melody = g.do("Add", g.do("Mul", rise, g.floats(2.5 * F0_ACCENT_HZ)), g.do("Add", fall, end))
    return g.do("Add", melody, g.floats(F0_START_HZ))


def _vocoder(g: _Graph, states: str, pitch: str) -> None:
    """Pulses at the pitch and noise, both of power one, in short spectra that are weighted by the envelopes."""
    envelope = g.do("Slice", states, g.ints([0]), g.ints([BANDS]), g.ints([1]))
    voicing = _each_sample(g, g.do("Slice", states, g.ints([BANDS]), g.ints([BANDS + 1]), g.ints([1])))
    f0 = _each_sample(g, g.do("Unsqueeze", pitch, g.ints([1])))
    cycles = g.do("Floor", g.do("CumSum", g.do("Div", f0, g.floats(RATE_HZ)), g.ints(0)))
    before = g.do("Slice", g.do("Pad", cycles, g.ints([1, 0])), g.ints([0]), g.ints([-1]))
    strength = g.do("Sqrt", g.do("Div", g.floats(RATE_HZ), f0))
    pulses = g.do("Mul", g.do("Sub", cycles, before), strength)
    voiced = g.do("Mul", voicing, g.floats(0.97))
    noise = g.do("RandomNormalLike", f0, seed=1.0)
    pulses = g.do("Mul", pulses, g.do("Sqrt", voiced))
    noise = g.do("Mul", noise, g.do("Sqrt", g.do("Sub", g.floats(1), voiced)))
    excitation = g.do("Reshape", g.do("Add", pulses, noise), g.ints([1, 1, -1]))
    gain = g.do("Exp", g.do("MatMul", envelope, g.floats(_band_to_bin())))
    gain = g.do("Unsqueeze", g.do("Transpose", gain, perm=[1, 0]), g.ints([0]))
    parts = []
    for analysis, synthesis in _short_spectra():
        part = g.do("Conv", excitation, g.floats(analysis), strides=[HOP], pads=[EDGE, EDGE])
        part = g.do("Mul", part, gain)
        parts.append(g.do("ConvTranspose", part, g.floats(synthesis), strides=[HOP], pads=[EDGE, EDGE]))
    g.do("Reshape", g.do("Add", *parts), g.ints([1, 1, 1, -1]), to="output")


def _each_sample(g: _Graph, frames: str) -> str:
    """[F, 1] -> [F * HOP]."""
    shape = g.do("Concat", g.do("Shape", frames, start=0, end=1), g.ints([HOP]), axis=0)
    return g.do("Reshape", g.do("Expand", frames, shape), g.ints([-1]))


def _band_to_bin() -> np.ndarray[Any, Any]:
    """[BANDS, BINS]: straight lines between the centres of the bands."""
    bins = np.linspace(0, RATE_HZ / 2, BINS)
    return np.stack([np.interp(bins, band_centres_hz(), row) for row in np.eye(BANDS)])


def _short_spectra() -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Kernels of the real and the imaginary part: analysis and synthesis, each [BINS, 1, WINDOW]."""
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW))
    angle = 2 * np.pi * np.outer(np.arange(BINS), np.arange(WINDOW)) / FFT
    twice = np.full((BINS, 1), 2.0)
    twice[[0, -1]] = 1
    overlap = WINDOW / HOP / 2  # the squared windows add up to this
    waves = (np.cos(angle), -np.sin(angle))
    return [((wave * window)[:, None], (wave * window * twice / FFT / overlap)[:, None]) for wave in waves]


def _model(g: _Graph) -> onnx.ModelProto:
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, ["batch", "phonemes"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 1, 1, "samples"])]
    graph = helper.make_graph(g.nodes, "piper_mini", inputs, outputs, g.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model
