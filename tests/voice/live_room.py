"""A client of a real server that stands in a room: its loudspeaker plays, and its microphone hears it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import anyio
import numpy as np
import numpy.typing as npt

from tests.bench.live_client import OUT_HZ, Heard, LiveClient
from tests.bench.utterances import RATE_HZ, Utterance
from tests.voice.room import impulse_response
from voice.port import Pcm
from voice.resample import StreamResampler

__all__ = ["RoomClient", "utterance"]


def utterance(pcm: Pcm, name: str = "") -> Utterance:
    """A sound whose voice begins and ends with it."""
    return Utterance(name, pcm, 0, len(pcm) - 1, human=True)


@dataclass(slots=True)
class RoomClient(LiveClient):
    """`gain_db` None: the microphone does not hear the loudspeaker (a headset)."""

    gain_db: float | None = None
    delay_ms: float = 150.0
    _line: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """What the loudspeaker plays, from the microphone's first sample on."""
    _response: npt.NDArray[np.float64] = field(default_factory=lambda: impulse_response(0.3, 0))
    _spectrum: npt.NDArray[np.complex128] | None = None
    """Of the response, where it is long: a frame's echo must not take a millisecond where eight rooms are open."""
    _resampler: StreamResampler = field(default_factory=lambda: StreamResampler(OUT_HZ, RATE_HZ))

    def hears_directly(self) -> None:
        """A room without reverberation."""
        self._response = np.ones(1)

    # ---- what came of it ------------------------------------------------------------------------------------

    def told(self, kind: str, after_s: float = 0.0, **fields: Any) -> list[Heard]:
        """The messages of a type since a time whose fields are these."""
        return [
            each
            for each in self.heard
            if each.type == kind
            and each.at_s >= after_s
            and all(each.body.get(name) == value for name, value in fields.items())
        ]

    def audio_s(self, after_s: float = 0.0) -> float:
        """Seconds of audio that came."""
        return sum(len(each.pcm) for each in self.told("audio", after_s)) / OUT_HZ

    async def state(self, name: str, after_s: float, timeout_s: float = 60) -> Heard:
        """Wait for the conversation to be in a state. Raises TimeoutError."""
        with anyio.fail_after(timeout_s):
            while not (found := self.told("state", after_s, state=name)):
                await anyio.sleep(0.02)
        return found[0]

    # ---- the room -------------------------------------------------------------------------------------------

    def _came(self, message: Heard) -> None:
        now = max(self._sent, round((time.monotonic() - self._started_s) * RATE_HZ)) if self._started_s else 0
        if message.type == "audio":
            pcm = self._resampler.process(message.pcm).astype(np.float64)
            begin = max(len(self._line), now)
            self._line = np.concatenate((self._line, np.zeros(begin - len(self._line)), pcm))
        elif message.type == "interrupted":
            self._line = self._line[:now]

    def _in_the_air(self, frame: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        if self.gain_db is None:
            return frame
        count = len(frame)
        late = self._sent - count - round(self.delay_ms * RATE_HZ / 1000)
        first = late - len(self._response) + 1
        played = np.zeros(len(self._response) - 1 + count)
        piece = self._line[max(0, first) : max(0, late + count)]
        offset = max(0, -first)
        played[offset : offset + len(piece)] = piece
        echo = self._reverberate(played) * 10 ** (self.gain_db / 20)
        mixed: npt.NDArray[np.int16] = (frame + echo).round().clip(-32768, 32767).astype(np.int16)
        return mixed

    def _reverberate(self, played: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The convolution with the room's response, as far as it is whole."""
        if len(self._response) == 1:
            return played * self._response[0]
        size = 1 << (len(played) - 1).bit_length()
        if self._spectrum is None:
            self._spectrum = np.fft.rfft(self._response, size)
        wrapped = np.fft.irfft(np.fft.rfft(played, size) * self._spectrum, size)
        return wrapped[len(self._response) - 1 : len(played)]
