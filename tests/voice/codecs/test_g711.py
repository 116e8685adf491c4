"""G.711 against FFmpeg's tables, and its place among the formats of a session."""

from __future__ import annotations

import av
import numpy as np
import pytest

from tests.voice.recordings import likeness, murmur
from voice.codecs.g711 import A_LAW, U_LAW, Law, LawDecoder, LawEncoder
from voice.ears.intake import RATE_HZ, Intake
from voice.errors import AudioError
from voice.session.config import AudioConfig

LAWS = pytest.mark.parametrize(("law", "name"), [(U_LAW, "pcm_mulaw"), (A_LAW, "pcm_alaw")])


def _decoded_by_ffmpeg(name: str, data: bytes) -> np.ndarray:
    context = av.CodecContext.create(name, "r")
    context.sample_rate, context.layout = 8000, "mono"
    return np.concatenate([frame.to_ndarray()[0] for frame in context.decode(av.Packet(data))])


@LAWS
def test_every_code_is_what_ffmpeg_says(law: Law, name: str) -> None:
    codes = bytes(range(256))
    assert LawDecoder(law, 8000).feed(codes).tolist() == _decoded_by_ffmpeg(name, codes).tolist()


@LAWS
def test_every_sample_becomes_the_nearest_code(law: Law, name: str) -> None:
    samples = np.arange(-32768, 32768).astype(np.int16)
    back = LawDecoder(law, 8000).feed(LawEncoder(law).encode(samples)).astype(int)
    off = np.abs(back - samples.astype(int))
    nearest = np.abs(law.values.astype(int)[None, :] - samples[::97].astype(int)[:, None]).min(axis=1)
    assert (off[::97] == nearest).all()
    assert LawEncoder(law).encode(np.zeros(3, np.int16)) == {"pcm_mulaw": b"\xff", "pcm_alaw": b"\xd5"}[name] * 3


@LAWS
def test_codes_survive_a_round_trip(law: Law, name: str) -> None:
    codes = bytes(code for code in range(256) if not (law is U_LAW and code == 0x7F))  # the other zero
    assert LawEncoder(law).encode(LawDecoder(law, 8000).feed(codes)) == codes


def test_a_giant_piece_is_refused() -> None:
    with pytest.raises(AudioError):
        LawDecoder(U_LAW, 8000).feed(bytes(8000 * 601))


@pytest.mark.parametrize("shape", ["g711_ulaw", "g711_alaw"])
def test_a_session_hears_a_telephone(shape: str) -> None:
    law = U_LAW if shape == "g711_ulaw" else A_LAW
    said = murmur(8000, 8000)
    data = LawEncoder(law).encode(said)
    intake = Intake(AudioConfig(input_format=shape, input_rate=8000))
    heard = np.concatenate([pcm for at in range(0, len(data), 160) for pcm in intake.container(data[at : at + 160])])
    plain = Intake(AudioConfig(input_format="pcm", input_rate=8000)).raw(said.tobytes())
    assert abs(len(heard) - RATE_HZ) < 800
    size = min(len(heard), len(plain))
    assert likeness(heard[:size], plain[:size]) > 0.99
