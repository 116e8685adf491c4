"""MP3, decoded by FFmpeg frame by frame, encoded by LAME into whole files."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from voice.codecs.mono import MonoStream
from voice.codecs.mpeg_frames import MpegFrame, MpegSplitter
from voice.codecs.spec import CodecSpec
from voice.errors import AudioError
from voice.port import Pcm

__all__ = ["SPEC"]

_LAME_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_MAX_BAD_FRAMES = 8


class _Mp3Decoder:
    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._mono = MonoStream(rate_hz)
        self._splitter = MpegSplitter()
        self._decoder: Any = None
        self._bad = 0

    def feed(self, data: bytes) -> Pcm:
        for frame in self._splitter.feed(data):
            self._decode(frame)
        return self._mono.take()

    def finish(self) -> Pcm:
        return self._mono.finish()

    def _decode(self, frame: MpegFrame) -> None:
        from av import FFmpegError, Packet
        from av.codec import CodecContext  # loads FFmpeg

        if frame.new_file or self._decoder is None:
            self._decoder = CodecContext.create("mp3float", "r")
        try:
            decoded = self._decoder.decode(Packet(frame.data))
        except (FFmpegError, ValueError):
            # The first frames of a stream that was joined in the middle lean on frames that never came.
            self._bad += 1
            if self._bad > _MAX_BAD_FRAMES:
                raise AudioError("damaged MP3 frames", hint="send the stream from its beginning, in order") from None
            return
        self._bad = 0
        for piece in decoded:
            samples = np.asarray(piece.to_ndarray(), dtype=np.float32).T
            keep = samples[frame.skip : len(samples) - frame.trim]
            if len(keep):
                self._mono.add(keep, frame.rate_hz)


class _Mp3Encoder:
    """64 kbit/s mono up to 24 kHz, 96 above. LAME's tag makes the decoded length exact to 46 samples."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._coder_hz = next((rate for rate in _LAME_RATES_HZ if rate >= rate_hz), _LAME_RATES_HZ[-1])

    def encode(self, pcm: Pcm) -> bytes:
        import av
        import soxr

        if self._coder_hz != self.rate_hz:
            pcm = soxr.resample(pcm, self.rate_hz, self._coder_hz).astype(np.int16, copy=False)
        file = io.BytesIO()
        with av.open(file, "w", format="mp3", options={"id3v2_version": "0"}) as container:
            stream: Any = container.add_stream("libmp3lame", rate=self._coder_hz, layout="mono")
            stream.codec_context.format = "s16p"
            stream.codec_context.bit_rate = 64_000 if self._coder_hz <= 24_000 else 96_000
            stream.codec_context.open()
            size = stream.codec_context.frame_size
            for start in range(0, len(pcm), size):
                piece = np.ascontiguousarray(pcm[None, start : start + size])
                frame = av.AudioFrame.from_ndarray(piece, format="s16p", layout="mono")
                frame.sample_rate, frame.pts = self._coder_hz, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return file.getvalue()


SPEC = CodecSpec(
    name="mp3",
    decoder=_Mp3Decoder,
    encoder=_Mp3Encoder,
    media_type="audio/mpeg",
    description="MPEG layer III: one stream in, a file a message out",
)
