"""The step-by-step features against the wheel's own models, window by window; the graph writer; TensorFlow Lite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from models.errors import ModelUnreadable
from tests.speaking import spoken
from voice.port import Pcm
from voice.wake.onnx_graph import OnnxGraph
from voice.wake.speech_embedding import CONTEXT, FRAME, SpeechEmbedding
from voice.wake.tflite import TfliteModel, wheel_folder

MODELS = wheel_folder() / "models"


@pytest.fixture(scope="module")
def embedding() -> SpeechEmbedding:
    return SpeechEmbedding.load(MODELS)


def stepped(embedding: SpeechEmbedding, pcm: Pcm) -> np.ndarray:
    audio = np.concatenate((np.zeros(CONTEXT), pcm)).astype(np.float32)
    state, out = embedding.fresh[None], []
    for at in range(0, len(pcm) - FRAME + 1, FRAME):
        features, state = embedding.step(audio[None, at : at + CONTEXT + FRAME], state)
        out.append(features[0])
    return np.stack(out)


def windowed(pcm: Pcm) -> np.ndarray:
    """As the wheel does it: mel frames of 80 ms chunks, then each window of 76 of them."""
    mel = TfliteModel(MODELS / "melspectrogram.tflite", (1, CONTEXT + FRAME))
    network = TfliteModel(MODELS / "embedding_model.tflite", (1, 76, 32, 1))
    audio = np.concatenate((np.zeros(CONTEXT), np.zeros(10 * FRAME), pcm)).astype(np.float32)
    rows = [
        mel.run(audio[None, at : at + CONTEXT + FRAME]).reshape(8, 32) / 10 + 2
        for at in range(0, len(audio) - CONTEXT - FRAME + 1, FRAME)
    ]
    mels = np.concatenate(rows)
    out = [network.run(mels[end - 76 : end].reshape(1, 76, 32, 1)).reshape(96) for end in range(88, len(mels) + 1, 8)]
    return np.stack(out)


def test_step_by_step_is_window_by_window(embedding: SpeechEmbedding) -> None:
    pcm = np.concatenate((np.zeros(4000, np.int16), spoken("hey jarvis what is the capital of france")))
    ours, theirs = stepped(embedding, pcm), windowed(pcm)
    assert ours.shape == theirs.shape
    assert np.abs(theirs).max() > 10
    assert np.abs(ours - theirs).max() < 0.01


def test_silence_changes_nothing(embedding: SpeechEmbedding) -> None:
    features = stepped(embedding, np.zeros(5 * FRAME, np.int16))
    assert np.allclose(features, embedding.silence, atol=1e-4)


def test_the_written_graph_is_a_valid_onnx_model() -> None:
    graph = OnnxGraph()
    x = graph.input("x", ["n", 3])
    left, right = graph.split("Split", [x, graph.constant([1, 2])], 2, axis=1)
    summed = graph.node("Add", [graph.node("LeakyRelu", [left], alpha=0.25), right])
    graph.node("Mul", [summed, graph.constant(np.array([-2.5], np.float32))], "y")
    graph.output("y", ["n", 2])
    model = onnx.load_from_string(graph.model())
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Split", "LeakyRelu", "Add", "Mul"]
    assert model.graph.node[1].attribute[0].f == 0.25
    assert [list(i.dims) for i in model.graph.initializer] == [[2], [1]]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"


def test_a_written_graph_computes() -> None:
    import onnxruntime

    graph = OnnxGraph()
    x = graph.input("x", ["n", 300])
    graph.node("Slice", [x, *(graph.constant([v]) for v in (298, 300, 1))], "y")
    graph.output("y", ["n", 2])
    session = onnxruntime.InferenceSession(graph.model(), providers=["CPUExecutionProvider"])
    values = np.arange(600, dtype=np.float32).reshape(2, 300)
    assert session.run(None, {"x": values})[0].tolist() == [[298, 299], [598, 599]]


def test_tflite_refuses_what_is_no_model(tmp_path: Path) -> None:
    garbage = tmp_path / "x.tflite"
    garbage.write_bytes(b"TFL3" * 100)
    with pytest.raises(ModelUnreadable, match=r"x\.tflite"):
        TfliteModel(garbage)
    model = TfliteModel(MODELS / "alexa.tflite")
    with pytest.raises(ValueError, match="the input is"):
        model.run(np.zeros((1, 3, 96), np.float32))
    model.close()
    model.close()


def test_other_feature_models_are_refused(tmp_path: Path) -> None:
    for name, stand_in in (("melspectrogram", "alexa"), ("embedding_model", "embedding_model")):
        (tmp_path / f"{name}.tflite").write_bytes((MODELS / f"{stand_in}.tflite").read_bytes())
    with pytest.raises(ModelUnreadable, match="melspectrogram"):
        SpeechEmbedding.load(tmp_path)
    (tmp_path / "melspectrogram.tflite").write_bytes((MODELS / "melspectrogram.tflite").read_bytes())
    (tmp_path / "embedding_model.tflite").write_bytes((MODELS / "alexa.tflite").read_bytes())
    with pytest.raises(ModelUnreadable, match=r"alexa|embedding_model"):
        SpeechEmbedding.load(tmp_path)
