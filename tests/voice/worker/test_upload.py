from __future__ import annotations

import io
import math
import struct
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.errors import AudioError
from voice.worker import upload
from voice.worker.mp4_counts import samples_claimed
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


def _flac(rate_hz: int, channels: int, frames: int) -> bytes:
    """Silence, 65,535 samples in a dozen bytes (RFC 9639)."""

    def check(data: bytes, bits: int, polynomial: int) -> int:
        value = 0
        for byte in data:
            value ^= byte << (bits - 8)
            for _ in range(8):
                value = (value << 1 ^ (polynomial if value >> (bits - 1) else 0)) & ((1 << bits) - 1)
        return value

    size = (65_535).to_bytes(2, "big")
    info = size + size + bytes(6) + (rate_hz << 44 | channels - 1 << 41 | 15 << 36).to_bytes(8, "big") + bytes(16)
    file = b"fLaC\x80" + len(info).to_bytes(3, "big") + info
    for number in range(frames):
        head = bytes([0xFF, 0xF8, 0x70, channels - 1 << 4]) + chr(number).encode() + (65_534).to_bytes(2, "big")
        frame = head + bytes([check(head, 8, 0x07)]) + bytes(3) * channels
        file += frame + check(frame, 16, 0x8005).to_bytes(2, "big")
    return file


def _mp4(samples: int) -> bytes:
    """A sound of that many samples, each of two time units, and not one of them there."""

    def box(kind: bytes, *parts: bytes) -> bytes:
        body = b"".join(parts)
        return struct.pack(">I", 8 + len(body)) + kind + body

    entry = box(b"sowt", struct.pack(">6xH8xHHHHI", 1, 1, 16, 0, 0, 16_000 << 16))
    table = box(
        b"stbl",
        box(b"stsd", struct.pack(">4xI", 1), entry),
        box(b"stts", struct.pack(">4xIII", 1, samples, 2)),
        box(b"stsc", struct.pack(">4xIIII", 1, 1, samples, 1)),
        box(b"stsz", struct.pack(">4xII", 1, samples)),
        box(b"stco", struct.pack(">4xII", 1, 24)),
    )
    reference = box(b"dinf", box(b"dref", struct.pack(">4xI", 1), box(b"url ", b"\0\0\0\1")))
    header = box(b"mdhd", struct.pack(">12xIII", 16_000, samples, 0))
    media = box(b"mdia", header, box(b"hdlr", bytes(8) + b"soun" + bytes(13)), box(b"minf", reference, table))
    return box(b"ftyp", b"isom\0\0\0\0isom") + box(b"moov", box(b"trak", media)) + box(b"mdat", bytes(1000))


def _film(pixels_wide: int) -> bytes:
    sink = io.BytesIO()
    with av.open(sink, "w", format="mov") as output:
        stream = output.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = pixels_wide, pixels_wide, "rgb24"
        for packet in [*stream.encode(av.VideoFrame(pixels_wide, pixels_wide, "rgb24")), *stream.encode(None)]:
            output.mux(packet)
    return sink.getvalue()


BOMBS = {
    "a rate that nobody uses": lambda: _flac(1, 1, 1),  # 2 GB when it is brought to 16 kHz
    "a rate beyond all microphones": lambda: _flac(655_350, 8, 2),
    "many channels of silence for hours": lambda: _flac(192_000, 8, 100),  # as hours: ten million samples
    "samples that are only said": lambda: _mp4(40_000_000),  # 1.4 GB of index
    "a film of large pictures": lambda: _film(12_000),
}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited and measured as Linux does it")
@pytest.mark.parametrize("name", BOMBS)
def test_what_would_fill_the_memory_is_refused_before_it_is_unpacked(name: str, tmp_path: Path) -> None:
    """In a process of its own, whose largest size is asked for. Each of them took 0.3 to 2 GB, or minutes."""
    file = tmp_path / "bomb"
    file.write_bytes(BOMBS[name]())
    told = subprocess.run(
        [sys.executable, "-c", _MEASURED, file], capture_output=True, text=True, timeout=120, check=True
    )
    refused, grown_mb = told.stdout.split()
    assert refused == "AudioError" and float(grown_mb) < 150


_MEASURED = """
import pathlib, resource, sys
import av
from voice.errors import AudioError
from voice.worker.mp4_counts import samples_claimed
from voice.worker import upload
upload.MAX_VALUES = 10_000_000
data = pathlib.Path(sys.argv[1]).read_bytes()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    upload.decode(data)
    print("nothing", end=" ")
except AudioError:
    print("AudioError", end=" ")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000)
"""


def test_a_film_is_heard_and_not_seen() -> None:
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as output:
        film, sound = output.add_stream("mpeg4", rate=5), output.add_stream("aac", rate=48_000, layout="mono")
        film.width, film.height, film.pix_fmt = 320, 240, "yuv420p"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 48_000
        picture = av.VideoFrame(320, 240, "yuv420p")
        for packet in [*film.encode(picture), *sound.encode(frame), *film.encode(None), *sound.encode(None)]:
            output.mux(packet)
    assert len(decode(sink.getvalue())) / 16_000 == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("flags", ["use_metadata_tags", "frag_keyframe+empty_moov+default_base_moof"])
def test_what_an_mp4_says_of_its_samples_is_counted(flags: str) -> None:
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4", options={"movflags": flags}) as output:
        stream = output.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            output.mux(packet)
    assert samples_claimed(sink.getvalue()) == pytest.approx(16_000 / 1024, abs=3)
    assert samples_claimed(b"RIFF" + sink.getvalue()) == 0
    assert samples_claimed(sink.getvalue().replace(b"trak", b"cmov")) == math.inf


def test_a_file_that_nobody_wants_any_more_is_not_decoded_to_its_end() -> None:
    asked = 0

    def given_up() -> bool:
        nonlocal asked
        asked += 1
        return asked > 20

    data = file_of("flac", "flac", 16_000, seconds=60)
    with pytest.raises(AudioError, match="given up"):
        decode(data, given_up)
    assert asked < 30, "it stops at the next frame"
    assert len(decode(data)) == 60 * 16_000


async def test_a_client_that_leaves_ends_the_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """`decoded` returns when its thread has ended: here one with a file that would take for ever."""
    begun = anyio.Event()
    ended = []

    def endless(data: bytes, given_up: Callable[[], bool]) -> Any:
        anyio.from_thread.run_sync(begun.set)
        while not given_up():
            time.sleep(0.001)
        try:
            return decode(data, given_up)
        finally:
            ended.append(True)

    monkeypatch.setattr(upload, "decode", endless)
    async with anyio.create_task_group() as group:
        group.start_soon(upload.decoded, file_of("flac", "flac", 16_000))
        await begun.wait()
        group.cancel_scope.cancel()
    assert ended


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
