"""Load what the chosen turn detector listens with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voice.errors import NoModel
from voice.settings import TurnSettings
from voice.turn.endpointing import detectors
from voice.turn_detection.smart_turn import find_model
from voice.turn_detection.spec import Scorer

__all__ = ["load_scorer"]


def load_scorer(settings: TurnSettings, folders: Sequence[Path]) -> Scorer | None:
    """The model of smart_turn, where it is asked for or is there; None: turns end without one.

    `folders` are searched for the model where the settings name none. Takes a second and blocks: call it in a thread.
    Raises NoModel where it is asked for and missing, ModelUnreadable for a file that is none.
    """
    if settings.detector not in ("auto", "smart_turn"):
        return None
    path = Path(settings.smart_turn_model).expanduser() if settings.smart_turn_model else find_model(tuple(folders))
    if path is None or not path.is_file():
        if settings.detector == "auto" and not settings.smart_turn_model:
            return None
        raise NoModel(
            "voice.turn.detector: the Smart Turn model is not there",
            hint="smart_turn_model names its path; `pip install --no-deps pipecat-ai` brings it",
        )
    load = detectors()["smart_turn"].load
    return load(path) if load is not None else None
