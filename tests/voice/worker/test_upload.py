from __future__ import annotations

import io
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.errors import AudioError
from voice.worker import upload
from voice.worker.upload import decode


def file_of(container: str, codec: str, rate_hz: int, layout: str = "mono", seconds: float = 1.0) -> bytes:
    sink = io.BytesIO()
    with av.open(sink, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate_hz)
        stream.layout = layout
        channels = 2 if layout == "stereo" else 1
        tone = (8000 * np.sin(2 * np.pi * 500 * np.arange(int(rate_hz * seconds)) / rate_hz)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, channels).reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = rate_hz
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            output.mux(packet)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz", "layout"),
    [
        ("wav", "pcm_s16le", 8000, "mono"),
        ("wav", "pcm_s16le", 44_100, "stereo"),
        ("mp3", "mp3", 44_100, "stereo"),
        ("ogg", "libopus", 48_000, "mono"),
        ("webm", "libopus", 48_000, "mono"),
        ("flac", "flac", 22_050, "mono"),
        ("mp4", "aac", 44_100, "mono"),
        ("adts", "aac", 16_000, "mono"),
    ],
)
def test_usual_files_are_16_khz_mono_then(container: str, codec: str, rate_hz: int, layout: str) -> None:
    pcm = decode(file_of(container, codec, rate_hz, layout))
    assert pcm.dtype == np.int16
    assert pcm.ndim == 1
    assert len(pcm) / 16_000 == pytest.approx(1.0, abs=0.1)
    loudest_hz = np.argmax(np.abs(np.fft.rfft(pcm[2000:14_000].astype(float)))) * 16_000 / 12_000
    assert loudest_hz == pytest.approx(500, abs=4)


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    with wave.open(str(secret), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(32_000))
    for playlist in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{secret}'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    ):
        with pytest.raises(AudioError):
            decode(playlist.encode())


def test_a_picture_has_no_audio() -> None:
    png = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc000000301010018dd8db0"
        "0000000049454e44ae426082"
    )
    with pytest.raises(AudioError):
        decode(png)


def test_hours_in_a_small_file_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "MAX_SECONDS", 2)
    with pytest.raises(AudioError, match="longer"):
        decode(file_of("ogg", "libopus", 48_000, seconds=5))


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300))
def test_rubbish_is_an_audio_error(data: bytes) -> None:
    with pytest.raises(AudioError):
        decode(b"\0" + data)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 32_000), st.sampled_from(["wav", "flac"]))
def test_a_file_cut_short_is_shorter_or_refused(length: int, container: str) -> None:
    data = file_of(container, {"wav": "pcm_s16le", "flac": "flac"}[container], 16_000)
    try:
        assert len(decode(data[:length])) <= 16_000
    except AudioError:
        pass
