"""Sound files, of any format, rate and number of channels."""

from __future__ import annotations

import errno
import os
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import BadInput
from voice.port import Pcm

__all__ = ["Clip", "read_clip", "session_rate", "write_wav"]

_LOWEST_HZ, _HIGHEST_HZ = 8_000, 48_000
_LONGEST_S = 3_600
_SOUND = "WAV, MP3, FLAC, Ogg and whatever else ffmpeg reads"


@dataclass(frozen=True, slots=True)
class Clip:
    """Mono samples of a file."""

    path: Path
    pcm: Pcm
    rate_hz: int

    @property
    def seconds(self) -> float:
        return len(self.pcm) / self.rate_hz


def session_rate(path: Path) -> int:
    """The rate at which this file's audio can go to a session unchanged: its own, within 8 to 48 kHz."""
    import av

    with _opened(path) as container:
        rate_hz = container.streams.audio[0].rate
    assert isinstance(rate_hz, int), av
    return min(max(rate_hz, _LOWEST_HZ), _HIGHEST_HZ)


def read_clip(path: Path, rate_hz: int) -> Clip:
    """Decode a file to mono at `rate_hz`. Blocks. Raises BadInput for what is no sound, or longer than an hour."""
    import av

    pieces: list[Pcm] = []
    samples = 0
    with _opened(path) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
        try:
            for frame in container.decode(container.streams.audio[0]):
                for piece in resampler.resample(frame):
                    pieces.append(np.asarray(piece.to_ndarray()[0], np.int16))
                    samples += len(pieces[-1])
                if samples > _LONGEST_S * rate_hz:
                    raise BadInput(f"{path} is longer than {_LONGEST_S // 60} minutes")
            pieces += [np.asarray(piece.to_ndarray()[0], np.int16) for piece in resampler.resample(None)]
        except av.FFmpegError as error:
            raise BadInput(f"{path} cannot be decoded: {error.strerror}") from None
    if not samples:
        raise BadInput(f"{path} holds no samples")
    return Clip(path, np.concatenate(pieces), rate_hz)


def write_wav(path: Path, pcm: Pcm, rate_hz: int) -> None:
    """A mono 16-bit WAV, whole or not at all. Blocks. Raises BadInput if it cannot be written."""
    part = path.with_name(f".{path.name}.part")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        try:
            with part.open("wb") as raw, wave.open(raw, "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(rate_hz)
                file.writeframes(pcm.astype("<i2").tobytes())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}", hint="name another file for --save") from None


def _opened(path: Path):  # type: ignore[no-untyped-def]  # PyAV's types are not checked in this project
    import av

    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise BadInput(f"{path} cannot be opened: {error.strerror}", hint=_SOUND) from None
    if not container.streams.audio:
        container.close()
        raise BadInput(f"{path} has no sound in it", hint=_SOUND)
    return container
