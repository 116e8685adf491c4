"""Every wake-word engine that discovery finds does what its port says."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from models.errors import ModelUnreadable
from models.registry import discover
from tests.recordings import FOLDER, needs_recordings, recording
from tests.speaking import spoken
from voice.port import EngineConfig, Pcm, WakeEngine
from voice.wake.onnx_graph import OnnxGraph
from voice.wake.tflite import wheel_folder

FRAME = 1280
SPECS = discover("voice.wake")


@pytest.fixture(scope="module", params=SPECS)
def engine(request: pytest.FixtureRequest) -> WakeEngine:
    return SPECS[request.param].load(EngineConfig())


def words_of(engine: WakeEngine) -> tuple[str, str]:
    """Two of its words, one twice where it has no other: those that our own voice says well, where it knows them."""
    known = [word for word in ("alexa", "hey jarvis") if word in engine.words] or engine.words
    return known[0], known[-1]


def padded(pcm: Pcm) -> Pcm:
    return np.concatenate((np.zeros(8000, np.int16), pcm, np.zeros(16_000, np.int16)))


def listen(engine: WakeEngine, pcm: Pcm, words: Sequence[str]) -> dict[str, float]:
    """The best score of every word."""
    stream = engine.open(words)
    best = dict.fromkeys(words, 0.0)
    for at in range(0, len(pcm) - FRAME + 1, FRAME):
        (scores,) = engine.step([stream], pcm[None, at : at + FRAME])
        assert set(scores) == set(words)
        assert all(0 <= score <= 1 for score in scores.values())
        best = {word: max(best[word], scores[word]) for word in words}
    engine.close(stream)
    return best


def test_it_has_words(engine: WakeEngine) -> None:
    assert engine.words
    assert len(set(engine.words)) == len(engine.words)


def test_words_are_heard_and_told_apart(engine: WakeEngine) -> None:
    for word in words_of(engine):
        best = listen(engine, padded(spoken(word)), engine.words)
        assert [each for each, score in best.items() if score >= 0.5] == [word]


@pytest.mark.parametrize("text", ["what is the capital of france", "turn on the kitchen lights", "a talk on history"])
def test_other_speech_is_no_wake_word(engine: WakeEngine, text: str) -> None:
    best = listen(engine, padded(spoken(text)), engine.words)
    assert max(best.values()) < 0.5


def test_silence_and_noise_are_no_wake_word(engine: WakeEngine) -> None:
    noise = np.random.default_rng(0).normal(0, 3000, 5 * 16_000).astype(np.int16)
    best = listen(engine, np.concatenate((np.zeros(32_000, np.int16), noise)), engine.words)
    assert max(best.values()) < 0.5


def test_streams_in_a_batch_do_not_hear_each_other(engine: WakeEngine) -> None:
    first, other = words_of(engine)
    sounds = [padded(spoken(text)) for text in (first, "good evening", f"{first} turn on the light", "good morning")]
    words: list[tuple[str, ...]] = [(first,), tuple({other, first}), (other,), ()]
    alone = [listen(engine, pcm, asked) for pcm, asked in zip(sounds, words, strict=True)]
    streams = [engine.open(asked) for asked in words]
    together = [dict.fromkeys(asked, 0.0) for asked in words]
    for at in range(0, max(map(len, sounds)), FRAME):
        order = [k for k in range(len(sounds)) if at + FRAME <= len(sounds[k])]
        order = order[at // FRAME % max(1, len(order)) :] + order[: at // FRAME % max(1, len(order))]
        if not order:
            continue
        scores = engine.step([streams[k] for k in order], np.stack([sounds[k][at : at + FRAME] for k in order]))
        for k, found in zip(order, scores, strict=True):
            together[k] = {word: max(together[k][word], found[word]) for word in words[k]}
    for stream in streams:
        engine.close(stream)
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, abs=1e-3)
    assert together[0][first] > 0.5 > together[1][first]


def test_a_stream_that_is_opened_again_remembers_nothing(engine: WakeEngine) -> None:
    word, _ = words_of(engine)
    first = listen(engine, padded(spoken(word)), [word])
    assert listen(engine, padded(spoken(word)), [word]) == first


def test_hundreds_of_streams_can_be_open(engine: WakeEngine) -> None:
    streams = [engine.open(engine.words[:1]) for _ in range(200)]
    assert len(set(streams)) == 200
    assert len(engine.step(streams, np.zeros((200, FRAME), np.int16))) == 200
    for stream in streams:
        engine.close(stream)


def test_a_wrong_call_is_refused(engine: WakeEngine) -> None:
    stream, closed = engine.open(engine.words), engine.open(engine.words)
    engine.close(closed)
    for streams, shape in (
        ([stream], (1, 500)),
        ([stream], (2, FRAME)),
        ([stream] * 2, (2, FRAME)),
        ([closed], (1, FRAME)),
    ):
        with pytest.raises(ValueError):
            engine.step(streams, np.zeros(shape, np.int16))
    with pytest.raises(ValueError, match="abracadabra"):
        engine.open(["abracadabra"])
    engine.close(stream)


def test_models_of_ones_own_are_loaded_beside_the_others(tmp_path: Path) -> None:
    """One of each kind, found under the name it is given; the ONNX model looks at 20 features instead of 16."""
    graph = OnnxGraph()
    loudness = graph.node("ReduceMean", [graph.input("features", [1, 20, 96])], axes=[1, 2], keepdims=0)
    graph.node("Sigmoid", [graph.node("Neg", [loudness])], "score")
    graph.output("score", [1])
    (tmp_path / "mine.onnx").write_bytes(graph.model())
    shutil.copy(wheel_folder() / "models" / "alexa.tflite", tmp_path / "mine.tflite")
    engine = SPECS["openwakeword"].load(
        EngineConfig(options={"echo": str(tmp_path / "mine.tflite"), "any sound": str(tmp_path / "mine.onnx")})
    )
    assert {"echo", "any sound", "alexa"} <= set(engine.words)
    best = listen(engine, padded(spoken("alexa")), ["alexa", "echo", "any sound"])
    assert best["echo"] == best["alexa"] > 0.5
    quiet = listen(engine, np.zeros(32_000, np.int16), ["any sound"])
    assert best["any sound"] != pytest.approx(quiet["any sound"], abs=0.01)


@needs_recordings
@pytest.mark.parametrize("model", ["alexa_v0.1.onnx", "hey_jarvis_v0.1.onnx"])
def test_onnx_models_hear_what_the_tflite_models_hear(model: str) -> None:
    word = model.removesuffix("_v0.1.onnx").replace("_", " ")
    engine = SPECS["openwakeword"].load(EngineConfig(options={"mine": str(FOLDER / "wake" / "openwakeword" / model)}))
    assert "mine" in engine.words
    pcm = padded(recording(f"wake/recordings/phrases/{word.replace(' ', '_')}.wav").pcm())
    best = listen(engine, pcm, ["mine", word])
    assert best["mine"] > 0.9
    assert best["mine"] == pytest.approx(best[word], abs=0.02)


@pytest.mark.parametrize("name", ["absent.tflite", "garbage.tflite", "garbage.onnx", "words.txt", "shape.onnx"])
def test_a_file_that_is_no_wake_model_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "shape.onnx":
        graph = OnnxGraph()
        graph.node("Sigmoid", [graph.input("x", [1, 16])], "y")
        graph.output("y", [1, 16])
        path.write_bytes(graph.model())
    elif name != "absent.tflite":
        path.write_bytes(b"no model at all")
    with pytest.raises(ModelUnreadable, match=name):
        SPECS["openwakeword"].load(EngineConfig(options={"mine": str(path)}))
