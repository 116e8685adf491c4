"""The recordings of people and noises that tests listen to, where they are installed.

They are not part of the project. `PARLEY_TEST_MODELS` names their folder (default `../shared/testdata` beside the
repository); its `manifest.tsv` lists every wav, all 16 kHz mono PCM16. Tests that need them carry `needs_recordings`.
"""

from __future__ import annotations

import ast
import csv
import functools
import os
import re
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from voice.port import Pcm

__all__ = ["FOLDER", "RATE_HZ", "Recording", "needs_recordings", "recording", "recordings", "silence"]

RATE_HZ = 16_000

_ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("PARLEY_TEST_MODELS", _ROOT.parent / "shared" / "testdata"))

needs_recordings = pytest.mark.skipif(
    not (FOLDER / "manifest.tsv").is_file(), reason=f"no recordings at {FOLDER} (set PARLEY_TEST_MODELS)"
)


@dataclass(frozen=True, slots=True)
class Recording:
    file: str
    """Path below the folder, as in "speech/commands_human/rs_nevermind.wav"."""
    transcript: str
    """Empty where none is known."""
    kind: str
    """As in "human", "noise", "silence", "SYNTHETIC ..."."""
    seconds: float
    note: str

    @property
    def path(self) -> Path:
        return FOLDER / self.file

    def pcm(self) -> Pcm:
        """int16 [samples] at 16 kHz."""
        with wave.open(str(self.path)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE_HZ, 1, 2)
            return np.frombuffer(file.readframes(file.getnframes()), np.int16)

    def speech(self) -> list[tuple[float, float]]:
        """Labelled intervals of speech in seconds; empty where there are no labels."""
        found = re.search(r"speech intervals s: (\[\[.*\]\])", self.note)
        return [(float(start), float(end)) for start, end in ast.literal_eval(found[1])] if found else []


def recordings(prefix: str = "") -> list[Recording]:
    """Those whose file begins with `prefix`, sorted by it; none where they are not installed."""
    return [each for each in _all() if each.file.startswith(prefix)]


def recording(file: str) -> Recording:
    """Raises KeyError for a file that the manifest does not have."""
    for each in _all():
        if each.file == file:
            return each
    raise KeyError(file)


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * RATE_HZ), np.int16)


@functools.cache
def _all() -> tuple[Recording, ...]:
    manifest = FOLDER / "manifest.tsv"
    if not manifest.is_file():
        return ()
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    found = [
        Recording(row["file"], row["transcript"], row["kind"], float(row["seconds"]), row["note"]) for row in rows
    ]
    return tuple(sorted(found, key=lambda each: each.file))
