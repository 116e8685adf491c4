"""An uploaded audio file of any usual container -> 16 kHz mono samples.

The file is a stranger's: only container formats that hold their own audio are opened (a playlist could name files
of this machine or addresses in its network), no protocol is allowed besides the bytes themselves, pictures and films
in it are not unpacked, and what comes of it is bounded before it is there: a small file can hold hours of silence at
a rate that nobody uses, or promise samples without end.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import anyio
import numpy as np
from anyio.lowlevel import RunVar

from models.stoppable import run_stoppable
from voice.codecs.mono import HIGHEST_SOURCE_HZ, LOWEST_SOURCE_HZ
from voice.errors import AudioError
from voice.port import Pcm
from voice.worker.mp4_counts import samples_claimed

__all__ = ["RATE_HZ", "decode", "decoded"]

RATE_HZ = 16_000
MAX_SECONDS = 2 * 3600
MAX_VALUES = MAX_SECONDS * 48_000 * 2
"""Of all channels, as they are in the file: decoding is to take seconds, and not minutes."""
MAX_CLAIMED = 4_000_000
"""Samples that any MP4 may say it has; a larger file may say as many as it has bytes."""
AT_ONCE = 2
"""Each may take half a gigabyte."""
_FORMATS = "wav,w64,mp3,flac,ogg,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,aac,amr,amrnb,amrwb,aiff,au,caf,asf"
_HINT = "send wav, mp3, flac, ogg, opus, webm, m4a or aac"
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "none", "max_pixels": "1"}

_places: RunVar[anyio.CapacityLimiter] = RunVar("places")


async def decoded(data: bytes) -> Pcm:
    """`decode` in a thread, a few at a time. Raises AudioError. Cancelled, it stops at the next frame."""
    try:
        limiter = _places.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(AT_ONCE)
        _places.set(limiter)
    return await run_stoppable(lambda given_up: decode(data, given_up), limiter)


def decode(data: bytes, given_up: Callable[[], bool] = lambda: False) -> Pcm:
    """All samples of the first audio stream. Blocks; asks with every frame, and whenever FFmpeg reads, whether nobody
    wants them any more. Raises AudioError.
    """
    import av

    class Source(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return b"" if given_up() else super().read(size)

    if samples_claimed(data) > max(MAX_CLAIMED, len(data)):
        raise AudioError("the file says that it has more samples than it can hold", hint=_HINT, param="file")
    samples, values = bytearray(), 0
    too_long = AudioError(f"audio longer than {MAX_SECONDS // 3600} hours", hint="shorten it", param="file")
    try:
        with av.open(Source(data), options=_OPTIONS, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise AudioError("the file has no audio in it", hint=_HINT, param="file")
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
            for frame in container.decode(audio=0):
                if given_up():
                    raise AudioError("the upload was given up")
                rate_hz = frame.sample_rate
                if not LOWEST_SOURCE_HZ <= rate_hz <= HIGHEST_SOURCE_HZ:
                    raise AudioError(
                        f"a sample rate of {rate_hz} Hz", hint="usual rates are 8000 to 48000 Hz", param="file"
                    )
                values += frame.samples * len(frame.layout.channels)
                if len(samples) // 2 + frame.samples * RATE_HZ // rate_hz > MAX_SECONDS * RATE_HZ:
                    raise too_long
                if values > MAX_VALUES:
                    raise too_long
                for piece in resampler.resample(frame):
                    samples += piece.to_ndarray().tobytes()
            for piece in resampler.resample(None):
                samples += piece.to_ndarray().tobytes()
    except (av.FFmpegError, ValueError, EOFError) as error:
        raise AudioError("the file is not audio that can be decoded", hint=_HINT, param="file") from error
    return np.frombuffer(samples, np.int16)
