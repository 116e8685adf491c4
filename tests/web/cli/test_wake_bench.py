"""`parley wake-bench`: every threshold from one listening, any format of recordings, nothing skipped in silence."""

from __future__ import annotations

import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from voice.ears.events import WakeHeard
from voice.wake.bench import Heard, WakeReport, holds_word, recordings_in
from web.main import main


def score(value: float, end_s: float) -> WakeHeard:
    return WakeHeard("alexa", value, end_s - 0.5, end_s)


def test_every_threshold_from_one_listening() -> None:
    everything = WakeReport(
        (
            Heard(Path("alexa/1.wav"), 2.0, True, scores=(score(0.3, 1.0), score(0.8, 1.08), score(0.2, 1.16))),
            Heard(Path("alexa/2.wav"), 2.0, True, scores=(score(0.4, 1.0),)),
            Heard(Path("tv.wav"), 1800.0, False, scores=(score(0.45, 9.0), score(0.6, 9.08), score(0.5, 99.0))),
        )
    )
    low, middle, high = (everything.at(threshold, 1500) for threshold in (0.2, 0.5, 0.7))
    assert [len(each.misses) for each in (low, middle, high)] == [0, 1, 1]
    assert [each.false_per_hour for each in (low, middle, high)] == [4.0, 4.0, 0.0]
    assert len(low.hits[0].wakes) == 1, "deaf for a while after a word"


def test_the_word_is_in_the_name(tmp_path: Path) -> None:
    assert holds_word(Path("hey_jarvis-lights.mp3"), "hey jarvis") and not holds_word(
        Path("a/alexander.wav"), "alexa"
    )


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg makes the recordings")
def test_recordings_of_any_format_are_heard_and_others_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path / "home"))
    folder = tmp_path / "recordings"
    folder.mkdir()
    noise = np.random.default_rng(1).normal(0, 300, 3 * 16_000).astype("<i2")
    with wave.open(str(folder / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(noise.tobytes())
    others = [str(folder / f"b.{kind}") for kind in ("mp3", "ogg", "flac", "webm")]
    for other in others:
        command = ["ffmpeg", "-v", "error", "-i", str(folder / "a.wav"), other]
        subprocess.run(command, check=True, timeout=200)
    (folder / "notes.txt").write_text("alexa")
    (folder / "broken.mp3").write_bytes(b"not really")
    assert len(recordings_in(folder)) == 7
    assert main(["wake-bench", str(folder), "--word", "alexa"]) == 0
    said = capsys.readouterr().out
    assert "heard           no recording has the word" in said
    assert "false wakes     0 in 0.00 hours" in said
    assert said.count("not read") == 2 and "notes.txt" in said and "broken.mp3" in said
    assert len([line for line in said.splitlines() if line.strip().endswith("0.0")]) >= 11, (
        "a line for each threshold"
    )


def test_a_folder_without_a_recording_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path / "home"))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("alexa")
    assert main(["wake-bench", str(tmp_path / "notes"), "--word", "alexa"]) == 2
    shown = capsys.readouterr()
    assert "is a recording" in shown.err and "a.txt" in shown.err and "false wakes" not in shown.out
