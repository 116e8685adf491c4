"""An uploaded audio file of any usual container -> 16 kHz mono samples.

The file is a stranger's: only container formats that hold their own audio are opened (a playlist could name files
of this machine or addresses in its network), no protocol is allowed besides the bytes themselves, and the decoded
length is bounded (a small file can hold hours of silence).
"""

from __future__ import annotations

import io

import numpy as np

from voice.errors import AudioError
from voice.port import Pcm

__all__ = ["RATE_HZ", "decode"]

RATE_HZ = 16_000
MAX_SECONDS = 2 * 3600
_FORMATS = "wav,w64,mp3,flac,ogg,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,aac,amr,amrnb,amrwb,aiff,au,caf,asf"
_HINT = "send wav, mp3, flac, ogg, opus, webm, m4a or aac"


def decode(data: bytes) -> Pcm:
    """All samples of the first audio stream. Blocks: call it in a thread. Raises AudioError."""
    import av

    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}
    blocks: list[Pcm] = []
    total = 0
    try:
        with av.open(io.BytesIO(data), options=options, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise AudioError("the file has no audio in it", hint=_HINT, param="file")
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    blocks.append(piece.to_ndarray().reshape(-1))
                    total += blocks[-1].size
                if total > MAX_SECONDS * RATE_HZ:
                    raise AudioError(
                        f"audio longer than {MAX_SECONDS // 3600} hours", hint="shorten it", param="file"
                    )
            blocks.extend(piece.to_ndarray().reshape(-1) for piece in resampler.resample(None))
    except (av.FFmpegError, ValueError, EOFError) as error:
        raise AudioError("the file is not audio that can be decoded", hint=_HINT, param="file") from error
    return np.concatenate(blocks).astype(np.int16, copy=False) if blocks else np.zeros(0, np.int16)
