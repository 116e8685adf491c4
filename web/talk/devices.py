"""The machine's own microphone and loudspeaker, by way of `sounddevice` (the extra `mic`)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import numpy as np
from anyio.streams.memory import MemoryObjectReceiveStream

from voice.port import Pcm
from web.errors import WebError

__all__ = ["DeviceSpeaker", "NoSoundDevice", "load_sounddevice", "microphone"]

_QUEUED_FRAMES = 100
"""Two seconds of microphone. When the connection does not take them, the newest are lost."""


class NoSoundDevice(WebError):
    code = "no_sound_device"


def load_sounddevice() -> Any:
    """The module. Raises NoSoundDevice that says what to install."""
    try:
        import sounddevice
    except ImportError:
        raise NoSoundDevice(
            "the microphone needs the package sounddevice",
            hint='pip install "parley-voice[mic]"; or give a sound file: parley talk question.wav',
        ) from None
    except OSError as error:
        raise NoSoundDevice(
            f"PortAudio, which sounddevice uses, is missing: {error}",
            hint="Debian, Ubuntu: sudo apt install libportaudio2; or give a sound file: parley talk question.wav",
        ) from None
    return sounddevice


@asynccontextmanager
async def microphone(rate_hz: int, frame_samples: int) -> AsyncIterator[MemoryObjectReceiveStream[bytes]]:
    """Frames of the default microphone, PCM16 mono. Raises NoSoundDevice where there is none."""
    sounddevice = load_sounddevice()
    loop = asyncio.get_running_loop()
    inlet, outlet = anyio.create_memory_object_stream[bytes](_QUEUED_FRAMES)

    def take(data: bytes) -> None:
        try:
            inlet.send_nowait(data)
        except (anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # full: the newest audio is lost, the older keeps its order

    def heard(data: Any, _frames: int, _time: object, _status: object) -> None:  # in PortAudio's thread
        loop.call_soon_threadsafe(take, bytes(data))

    with _device_errors(sounddevice, "microphone"):
        stream = sounddevice.RawInputStream(
            samplerate=rate_hz, blocksize=frame_samples, channels=1, dtype="int16", callback=heard
        )
    with inlet, outlet, stream:
        yield outlet


class DeviceSpeaker:
    """The default loudspeaker. Use as a context manager. Raises NoSoundDevice where there is none."""

    def __init__(self, rate_hz: int) -> None:
        sounddevice = load_sounddevice()
        self._rate_hz = rate_hz
        self._reply = ""
        self._played = 0
        # A deque's append and popleft are atomic; the audio thread must never wait for a lock.
        self._waiting: deque[Pcm] = deque()
        with _device_errors(sounddevice, "loudspeaker"):
            self._stream = sounddevice.OutputStream(
                samplerate=rate_hz, channels=1, dtype="int16", blocksize=rate_hz // 50, callback=self._fill
            )

    def __enter__(self) -> DeviceSpeaker:
        self._stream.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stream.close()

    def play(self, reply: str, pcm: Pcm) -> None:
        if reply != self._reply:
            self._reply, self._played = reply, 0
        self._waiting.append(pcm)

    def stop(self) -> None:
        self._waiting.clear()

    def position(self) -> tuple[str, float] | None:
        return (self._reply, self._played * 1000 / self._rate_hz) if self._reply else None

    def idle(self) -> bool:
        return not self._waiting

    def _fill(self, out: Any, frames: int, _time: object, _status: object) -> None:  # in PortAudio's thread
        at = 0
        while at < frames:
            try:
                piece = self._waiting.popleft()
            except IndexError:
                break
            used = min(len(piece), frames - at)
            out[at : at + used, 0] = piece[:used]
            if used < len(piece):
                self._waiting.appendleft(piece[used:])
            at += used
        out[at:, 0] = np.int16(0)
        self._played += at


@contextmanager
def _device_errors(sounddevice: Any, what: str) -> Iterator[None]:
    try:
        yield
    except sounddevice.PortAudioError as error:
        raise NoSoundDevice(
            f"there is no {what} that can be used: {error}", hint="or give a sound file: parley talk question.wav"
        ) from None
