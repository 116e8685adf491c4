"""onnxruntime on the CPU: one way to open a model, and one error where that fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import ModelUnreadable
from models.telemetry import silence_telemetry

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["open_session"]


def open_session(model: Path | bytes, name: str, threads: int = 1) -> onnxruntime.InferenceSession:
    """`name` is what the error calls it. Raises ModelUnreadable."""
    silence_telemetry()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # some graphs make it warn about unused initialisers
    given = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of a tree of its own without public names; all mean: not usable
        raise ModelUnreadable(f"{name} cannot be loaded: {error}") from error
