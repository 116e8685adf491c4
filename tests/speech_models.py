"""The small Whisper and the small Piper voice that the recipes make, built once in a test run."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from voice.port import EngineConfig, Pcm

__all__ = ["PARTIALS", "clear_speech", "engine_config", "piper_mini", "whisper_mini"]

PARTIALS = {"partial_share": "1", "partial_run_s": "inf"}
"""Options with which Whisper makes partial transcripts however slow the machine is."""


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="parley-speech-models-")


@cache
def whisper_mini() -> Path:
    """A CTranslate2 Whisper folder."""
    from models.recipes.whisper_mini.build import build

    path = Path(_folder().name) / "whisper-mini"
    build(path)
    return path


@cache
def piper_mini() -> Path:
    """The .onnx file of a Piper voice."""
    from models.recipes.piper_mini.build import build

    return build(Path(_folder().name) / "piper-mini")


@cache
def clear_speech(text: str) -> Pcm:
    """`text` by the small Piper voice, which recognisers understand well; half a second of quiet around it, 16 kHz.

    The same samples every time it is asked for in a run; do not change them.
    """
    from voice.tts.piper import PiperTts

    quiet = np.zeros(8000, np.int16)
    chunks = PiperTts(EngineConfig(model=piper_mini())).synthesize(text, "default", 1.0, None)
    return np.concatenate([quiet, *(chunk.pcm for chunk in chunks), quiet])


def engine_config(name: str, *, needs_model: bool) -> EngineConfig:
    """What the engine `name` is loaded with in tests. An engine that needs a model says here where it comes from."""
    if not needs_model:
        return EngineConfig()
    makers = {"faster_whisper": whisper_mini, "piper": piper_mini}
    assert name in makers, f"{name} needs a model: add a maker to tests/speech_models.py"
    return EngineConfig(model=makers[name](), options=PARTIALS if name == "faster_whisper" else {})
