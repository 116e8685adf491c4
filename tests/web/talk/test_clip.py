from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from models.errors import BadInput
from web.talk.clip import read_clip, session_rate, write_wav


def _tone(rate_hz: int, seconds: float = 0.5) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * 440 * np.arange(int(rate_hz * seconds)) / rate_hz)).astype(np.int16)


@pytest.mark.parametrize(("rate_hz", "channels"), [(8000, 1), (16000, 2), (44100, 2), (48000, 1)])
def test_any_rate_and_channels(tmp_path: Path, rate_hz: int, channels: int) -> None:
    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.repeat(_tone(rate_hz), channels).tobytes())
    assert session_rate(path) == rate_hz
    clip = read_clip(path, rate_hz)
    assert clip.pcm.dtype == np.int16 and abs(clip.seconds - 0.5) < 0.001
    assert np.corrcoef(clip.pcm, _tone(rate_hz))[0, 1] > 0.99
    other = read_clip(path, 16000)
    assert abs(len(other.pcm) - 8000) <= 32
    assert 0.5 < np.abs(other.pcm).max() / 8000 < 1.2


def test_rates_outside_of_a_sessions_are_brought_in(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    write_wav(path, _tone(96000), 96000)
    assert session_rate(path) == 48000
    assert abs(read_clip(path, 48000).seconds - 0.5) < 0.01


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    write_wav(path, _tone(24000), 24000)
    assert np.array_equal(read_clip(path, 24000).pcm, _tone(24000))


@pytest.mark.parametrize("content", [b"", b"no sound at all", b"RIFF\x00\x00\x00\x00WAVEfmt "])
def test_what_is_no_sound_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="x.wav"):
        session_rate(path)


def test_empty_and_missing_files_are_told(tmp_path: Path) -> None:
    write_wav(tmp_path / "empty.wav", np.zeros(0, np.int16), 16000)
    with pytest.raises(BadInput):
        read_clip(tmp_path / "empty.wav", 16000)
    with pytest.raises(BadInput, match="No such file"):
        session_rate(tmp_path / "missing.wav")
    with pytest.raises(BadInput, match="cannot be written"):
        write_wav(tmp_path / "no" / "such" / "folder.wav", _tone(16000), 16000)
