"""Every VAD engine that discovery finds does what its port says."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from models.errors import ModelUnreadable
from models.registry import discover
from tests.recordings import needs_recordings, recording
from tests.speaking import spoken
from voice.port import EngineConfig, Pcm, VadEngine
from voice.wake.onnx_graph import OnnxGraph

FRAME = 512
SPECS = discover("voice.vad")


@pytest.fixture(scope="module", params=SPECS)
def engine(request: pytest.FixtureRequest) -> VadEngine:
    return SPECS[request.param].load(EngineConfig())


def frames(pcm: Pcm) -> npt.NDArray[np.float32]:
    whole = len(pcm) // FRAME * FRAME
    return pcm[:whole].reshape(-1, FRAME).astype(np.float32) / 32768


def listen(engine: VadEngine, pcm: Pcm) -> list[float]:
    stream = engine.open()
    try:
        return [float(engine.step([stream], frame[None])[0]) for frame in frames(pcm)]
    finally:
        engine.close(stream)


def noise(seconds: float, level: float, seed: int = 0) -> Pcm:
    return np.random.default_rng(seed).normal(0, level, round(seconds * 16_000)).astype(np.int16)


def test_speech_is_told_from_silence_and_noise(engine: VadEngine) -> None:
    quiet = np.zeros(8000, np.int16)
    heard = listen(engine, np.concatenate((quiet, spoken("what is the capital of france"), quiet, quiet)))
    assert max(heard[:14]) < 0.35
    assert sorted(heard)[-20] > 0.9
    assert max(heard[-15:]) < 0.35
    assert max(listen(engine, noise(2.0, 1000))) < 0.5


def test_probabilities_are_probabilities(engine: VadEngine) -> None:
    stream = engine.open()
    for seed in range(20):
        loud = noise(0.032, 30_000, seed).astype(np.float32).reshape(1, FRAME) / 32768
        result = engine.step([stream], loud)
        assert result.shape == (1,)
        assert result.dtype == np.float32
        assert 0 <= result[0] <= 1
    engine.close(stream)


def test_streams_in_a_batch_do_not_hear_each_other(engine: VadEngine) -> None:
    speech = spoken("turn on the kitchen lights")
    sounds = [speech, noise(len(speech) / 16_000, 2000), speech[::-1].copy(), speech[4000:]]
    alone = [listen(engine, pcm) for pcm in sounds]
    streams = [engine.open() for _ in sounds]
    together: list[list[float]] = [[] for _ in sounds]
    for i in range(len(frames(speech))):
        # Those that still have a frame, in an order that changes.
        order = [k for k in range(len(sounds)) if i < len(alone[k])]
        order = order[i % len(order) :] + order[: i % len(order)]
        batch = np.stack([frames(sounds[k])[i] for k in order])
        for k, probability in zip(order, engine.step([streams[k] for k in order], batch), strict=True):
            together[k].append(float(probability))
    for stream in streams:
        engine.close(stream)
    for one, other in zip(alone, together, strict=True):
        assert np.allclose(one, other, atol=1e-4)


def test_a_stream_that_is_opened_again_remembers_nothing(engine: VadEngine) -> None:
    speech = spoken("turn on the kitchen lights")
    first = listen(engine, speech)
    assert listen(engine, speech) == first


def test_hundreds_of_streams_can_be_open(engine: VadEngine) -> None:
    streams = [engine.open() for _ in range(200)]
    assert len(set(streams)) == 200
    assert engine.step(streams, np.zeros((200, FRAME), np.float32)).shape == (200,)
    for stream in streams:
        engine.close(stream)


def test_a_wrong_call_is_refused_and_harms_nothing(engine: VadEngine) -> None:
    speech = frames(spoken("alexa"))
    expected = listen(engine, spoken("alexa"))
    stream, closed = engine.open(), engine.open()
    engine.close(closed)
    heard = []
    for frame in speech:
        for streams, wrong in (
            ([stream], np.zeros((1, 500), np.float32)),
            ([stream], np.zeros((2, FRAME), np.float32)),
            ([stream, stream], np.zeros((2, FRAME), np.float32)),
            ([closed], np.zeros((1, FRAME), np.float32)),
        ):
            with pytest.raises(ValueError):
                engine.step(streams, wrong)
        heard.append(float(engine.step([stream], frame[None])[0]))
    engine.close(stream)
    assert heard == expected


def in_wheel(package: str, *parts: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    return Path(spec.submodule_search_locations[0], *parts)


def over_the_whole(graph: Path, pcm: Pcm) -> npt.NDArray[np.float32]:
    """The reference: a graph over a whole sequence of frames, in one call."""
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    plain = frames(pcm)
    before = np.concatenate((np.zeros((1, 64), np.float32), plain[:-1, -64:]))
    state = np.zeros((1, 1, 128), np.float32)
    inputs = {"input": np.concatenate((before, plain), axis=1), "h": state, "c": state}
    return np.asarray(session.run(["speech_probs"], inputs)[0])


def check_against_the_whole(pcm: Pcm) -> None:
    official = in_wheel("silero_vad", "data", "silero_vad_16k_sequence.onnx")
    assert np.allclose(listen(SPECS["silero"].load(EngineConfig()), pcm), over_the_whole(official, pcm), atol=1e-4)
    other = in_wheel("faster_whisper", "assets", "silero_vad_v6.onnx")
    heard = listen(SPECS["silero"].load(EngineConfig(model=other)), pcm)
    assert np.allclose(heard, over_the_whole(other, pcm), atol=1e-4)


def test_silero_step_by_step_is_silero_over_the_whole() -> None:
    check_against_the_whole(np.concatenate((spoken("what is the capital of france"), noise(1.0, 3000))))


@needs_recordings
@pytest.mark.parametrize("file", ["vad/audio/silero_test_60s.wav", "noise/sb_noise5.wav"])
def test_silero_step_by_step_on_recordings(file: str) -> None:
    check_against_the_whole(recording(file).pcm())


def test_a_file_that_is_no_vad_is_named(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(b"RIFF0000WAVE")
    graph = OnnxGraph()
    graph.node("Mul", [graph.input("x", [1]), graph.input("y", [1])], "z")
    graph.output("z", [1])
    other = tmp_path / "other.onnx"
    other.write_bytes(graph.model())
    for path in (garbage, other):
        with pytest.raises(ModelUnreadable, match=path.name):
            SPECS["silero"].load(EngineConfig(model=path))
