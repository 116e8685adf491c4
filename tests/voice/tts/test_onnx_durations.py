from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tests.speech_models import piper_mini
from voice.tts.onnx_durations import with_durations


def graph(*ops: str) -> bytes:
    """x -> ops, one after the other -> y."""
    names = ["x", *(f"t{index}" for index in range(len(ops) - 1)), "y"]
    nodes = [helper.make_node(op, [a], [b]) for op, a, b in zip(ops, names, names[1:], strict=False)]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("x", "y")]
    made = helper.make_graph(nodes, "g", value[:1], value[1:])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def outputs(model: bytes) -> list[str]:
    return [output.name for output in onnx.load_from_string(model).graph.output]


def test_the_durations_become_an_output_that_runs() -> None:
    model = with_durations(graph("Ceil", "Neg"))
    assert model is not None
    assert outputs(model) == ["y", "t0"]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    y, durations = session.run(None, {"x": np.array([0.5, 1.2], np.float32)})
    assert y.tolist() == [-1, -2]
    assert durations.tolist() == [1, 2]


def test_the_same_tensor_as_the_onnx_package_marks() -> None:
    from piper.patch_voice_with_alignment import add_alignment_output

    theirs = onnx.load(str(piper_mini()))
    ours = with_durations(piper_mini().read_bytes())
    assert ours is not None
    assert outputs(ours)[-1] == add_alignment_output(theirs)


def test_a_model_that_tells_them_already_is_left_alone() -> None:
    model = graph("Neg", "Ceil")
    assert with_durations(model) == model


@pytest.mark.parametrize("ops", [("Neg", "Neg"), ("Ceil", "Neg", "Ceil")])
def test_without_one_rounding_there_are_none(ops: tuple[str, ...]) -> None:
    assert with_durations(graph(*ops)) is None


@given(st.binary(max_size=200))
def test_rubbish_is_a_value_error_or_nothing(data: bytes) -> None:
    try:
        assert with_durations(data) is None
    except ValueError:
        pass


@given(st.integers(0, 400))
def test_a_file_cut_short_never_runs_away(length: int) -> None:
    try:
        with_durations(graph("Ceil", "Neg")[:length])
    except ValueError:
        pass
