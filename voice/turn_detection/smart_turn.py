"""Smart Turn v3: a small network (Whisper's encoder, 8 M parameters) hears whether a turn is over.

The model is not part of Parley. `smart-turn-v3.*.onnx` (BSD-2-Clause, github.com/pipecat-ai/smart-turn) is looked
for where `[voice.turn] smart_turn_model` says, in the model folders, and in an installed `pipecat-ai`, which brings
it; nothing of pipecat is imported. Input `input_features` [n, 80, 800], output the probability [n, 1].

It is asked once a pause, in a worker thread. Sure that the turn is over, we wait for less than the configured
silence; sure that it is not, for several times as much, like the makers' own three seconds; while it has not
answered, for the configured silence. Who pauses long is given longer (habits.py), and so is who pauses between whole
sentences, where it hears an end each time; nobody is given less.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from models.errors import ModelUnreadable
from voice.onnx_session import open_session
from voice.port import Pcm
from voice.turn_detection.habits import Habits
from voice.turn_detection.log_mel import FRAMES, MELS, log_mel
from voice.turn_detection.spec import Detector, DetectorSpec, Patience, Pause, Scorer
from voice.turn_detection.unfinished import unfinished

__all__ = ["SPEC", "SmartTurn", "SmartTurnScorer", "find_model"]

_PATTERN = "smart-turn-v3*.onnx"
_OVER = 0.5
_SURE_OVER = 0.8
_SURE_FACTOR = 0.7
_GOES_ON_FACTOR = 3.0


class SmartTurn:
    """Pure: from the model's probability to seconds."""

    def __init__(self, patience: Patience, habits: Habits) -> None:
        self._patience, self._habits = patience, habits

    def silence_s(self, pause: Pause) -> float:
        given_s, over = self._patience.silence_s, pause.probability
        silence_s = max(given_s, self._habits.silence_s(given_s))
        if (over is not None and over < _OVER) or unfinished(pause.text or ""):
            silence_s = max(silence_s, given_s * _GOES_ON_FACTOR)
        elif over is not None and over >= _SURE_OVER:
            silence_s = self._habits.sure_s(given_s * _SURE_FACTOR, _SURE_OVER)
        return min(silence_s, self._patience.deadline_s)


class SmartTurnScorer:
    """Raises ModelUnreadable for a file that is none."""

    def __init__(self, path: Path) -> None:
        self._session = open_session(path, path.name)
        given = self._session.get_inputs()
        if len(given) != 1 or list(given[0].shape[1:]) != [MELS, FRAMES]:
            shapes = ", ".join(f"{each.name} {each.shape}" for each in given)
            raise ModelUnreadable(f"{path.name} is not a Smart Turn v3 model: its inputs are {shapes}")
        self._name = given[0].name

    def score(self, pcm: Pcm) -> float:
        return float(self._session.run(None, {self._name: log_mel(pcm)[None]})[0].reshape(-1)[0])


def find_model(folders: tuple[Path, ...]) -> Path | None:
    """The newest file of that name in the folders or in an installed pipecat-ai; None: there is none."""
    places = list(folders)
    found = find_spec("pipecat")
    if found is not None and found.origin is not None:
        places.append(Path(found.origin).parent / "audio" / "turn" / "smart_turn" / "data")
    for place in places:
        models = sorted(place.rglob(_PATTERN)) if place.is_dir() else []
        if models:
            cpu = [path for path in models if "gpu" not in path.name]
            return (cpu or models)[-1]
    return None


def _load(path: Path) -> Scorer:
    return SmartTurnScorer(path)


def _make(patience: Patience, habits: Habits) -> Detector:
    return SmartTurn(patience, habits)


SPEC = DetectorSpec("smart_turn", "Smart Turn v3 hears whether the sentence is over", _make, _load)
