"""Codecs against files that other programs made, and against what is no such file.

Why this file is long: every codec goes through the same cases, and the sounds to check them are made once.
"""

from __future__ import annotations

import io
import struct
import tracemalloc

import av
import numpy as np
import pytest

from models.registry import discover
from tests.voice import recordings
from tests.voice.recordings import CLUSTER, RATE_HZ, block, element, likeness, murmur, webm_head
from voice.codecs.ebml import EbmlDemuxer
from voice.codecs.libopus import OpusStream
from voice.codecs.ogg import OggDemuxer, _crc
from voice.codecs.packets import Head, Packet, packet_samples, parse_head
from voice.codecs.spec import CodecSpec, Encoder
from voice.codecs.warm_up import warm_up
from voice.errors import AudioError
from voice.port import Pcm

CODECS: dict[str, CodecSpec] = discover("voice.codecs")
SPEECH = murmur(2 * RATE_HZ + 77)


def decoded(name: str, data: bytes, rate_hz: int = RATE_HZ, piece: int = 997) -> Pcm:
    decoder = CODECS[name].decoder(rate_hz)
    assert decoder.rate_hz == rate_hz
    parts = [decoder.feed(data[at : at + piece]) for at in range(0, len(data), piece)]
    return np.concatenate([*parts, decoder.finish()])


def encoder(name: str, rate_hz: int) -> Encoder:
    make = CODECS[name].encoder
    assert make is not None
    return make(rate_hz)


def test_the_formats_of_the_protocol_are_there() -> None:
    assert set(CODECS) >= {"webm", "opus", "wav", "pcm", "mp3", "g711_ulaw", "g711_alaw"}
    assert CODECS["webm"].encoder is None


# ---- files of other programs --------------------------------------------------------------------------------


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("piece", [1, 13, 4096, 1 << 20])
def test_webm_of_ffmpeg(live: bool, piece: int) -> None:
    pcm = decoded("webm", recordings.webm(SPEECH, live=live), piece=piece)
    # Matroska's own times are in milliseconds; the discarded padding at the end is exact to a few samples.
    assert abs(len(pcm) - len(SPEECH)) <= 16
    assert likeness(pcm[: len(SPEECH) - 16], SPEECH[: len(SPEECH) - 16]) > 0.9


@pytest.mark.parametrize("piece", [1, 100, 1 << 20])
def test_ogg_of_ffmpeg_is_exact(piece: int) -> None:
    pcm = decoded("opus", recordings.ogg(SPEECH), piece=piece)
    assert len(pcm) == len(SPEECH)
    assert likeness(pcm, SPEECH) > 0.9


def test_clients_that_mix_up_webm_and_ogg() -> None:
    assert np.array_equal(decoded("webm", recordings.ogg(SPEECH)), decoded("opus", recordings.ogg(SPEECH)))
    assert np.array_equal(decoded("opus", recordings.webm(SPEECH)), decoded("webm", recordings.webm(SPEECH)))


@pytest.mark.parametrize(("rate_hz", "exact"), [(8000, True), (24000, True), (44100, True), (48000, True)])
def test_mp3_of_lame_is_exact(rate_hz: int, exact: bool) -> None:
    pcm = murmur(rate_hz, rate_hz)
    back = decoded("mp3", recordings.encoded(pcm, rate_hz, "mp3", "libmp3lame"), rate_hz, piece=77)
    assert len(back) == len(pcm)
    assert likeness(back, pcm) > 0.99


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
@pytest.mark.parametrize("rate_hz", [8000, 22050, 96000])
def test_wav_of_any_width_and_rate(codec: str, rate_hz: int) -> None:
    pcm = murmur(rate_hz, rate_hz)
    back = decoded("wav", recordings.encoded(pcm, rate_hz, "wav", codec), piece=333)
    assert abs(len(back) - RATE_HZ) <= 1
    assert likeness(back[:RATE_HZ], murmur(RATE_HZ)[: len(back)]) > 0.95


@pytest.mark.parametrize("codec", ["pcm_alaw", "pcm_mulaw"])
def test_wav_of_telephones(codec: str) -> None:
    pcm = murmur(8000, 8000)
    back = decoded("wav", recordings.encoded(pcm, 8000, "wav", codec), 8000)
    assert len(back) == len(pcm)
    assert float(np.abs(back.astype(float) - pcm).max()) <= 600
    assert likeness(back, pcm) > 0.999


def test_wav_sixteen_bits_is_bit_exact() -> None:
    back = decoded("wav", recordings.encoded(SPEECH, RATE_HZ, "wav", "pcm_s16le"), piece=1)
    assert np.array_equal(back, SPEECH)


def test_stereo_becomes_the_mean() -> None:
    both = np.stack([SPEECH, np.zeros_like(SPEECH)], axis=1).astype("<i2").tobytes()
    head = b"RIFF\0\0\0\0WAVE" + b"fmt " + struct.pack("<IHHIIHH", 16, 1, 2, RATE_HZ, 4 * RATE_HZ, 4, 16)
    back = decoded("wav", head + b"data" + struct.pack("<I", len(both)) + both)
    assert np.abs(back - SPEECH / 2).max() <= 1


# ---- streams ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_wav_from_a_pipe_has_no_length(size: int) -> None:
    wav = encoder("wav", RATE_HZ).encode(SPEECH)
    assert np.array_equal(decoded("wav", wav[:40] + struct.pack("<I", size) + wav[44:]), SPEECH)


@pytest.mark.parametrize("name", ["wav", "mp3", "opus"])
def test_files_one_after_the_other(name: str) -> None:
    """Clients that wrap every chunk as a file of its own."""
    once = encoder(name, RATE_HZ).encode(SPEECH)
    again = encoder(name, RATE_HZ).encode(SPEECH[:5000])
    back = decoded(name, once + again)
    assert len(back) == len(SPEECH) + 5000
    assert likeness(back[len(SPEECH) :], SPEECH[:5000]) > 0.8


def test_a_webm_stream_may_begin_anew() -> None:
    one = decoded("webm", recordings.webm(SPEECH))
    assert abs(len(decoded("webm", recordings.webm(SPEECH) * 2)) - 2 * len(one)) <= 1


@pytest.mark.parametrize("name", ["webm", "opus", "wav"])
def test_a_recorder_that_is_started_anew_in_the_middle(name: str) -> None:
    """As after a lost connection: the old stream ends anywhere, and the next piece is the head of a new one."""
    whole = recordings.webm(SPEECH) if name == "webm" else encoder(name, RATE_HZ).encode(SPEECH)
    decoder = CODECS[name].decoder(RATE_HZ)
    before = decoder.feed(whole[: len(whole) // 2 + 1])
    after = np.concatenate([decoder.feed(whole[:1000]), decoder.feed(whole[1000:]), decoder.finish()])
    assert len(before) + len(after) >= len(SPEECH) - 16
    assert likeness(after[-len(SPEECH) + 16 :], SPEECH[16:]) > 0.8


def test_wav_chunks_that_do_not_matter_are_skipped() -> None:
    wav = encoder("wav", RATE_HZ).encode(SPEECH)
    listed = (
        wav[:12] + b"LIST" + struct.pack("<I", 5) + b"hello\0" + wav[12:] + b"id3 " + struct.pack("<I", 4) + b"tags"
    )
    assert np.array_equal(decoded("wav", listed, piece=3), SPEECH)


def test_mp3_tags_are_skipped() -> None:
    mp3 = encoder("mp3", RATE_HZ).encode(SPEECH)
    picture = b"\xff\xfb\x90\x00" * 5000
    size = len(picture)
    head = b"ID3\4\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127])
    assert np.array_equal(decoded("mp3", head + picture + mp3 + b"TAG" + bytes(125)), decoded("mp3", mp3))


def test_mp3_joined_in_the_middle() -> None:
    mp3 = encoder("mp3", RATE_HZ).encode(SPEECH)
    back = decoded("mp3", mp3[len(mp3) // 2 + 5 :])
    assert 0.3 * len(SPEECH) < len(back) < 0.6 * len(SPEECH)


def test_pcm_may_be_cut_inside_a_sample() -> None:
    assert np.array_equal(decoded("pcm", SPEECH.tobytes(), piece=3), SPEECH)


# ---- containers in detail -----------------------------------------------------------------------------------


@pytest.mark.parametrize("lacing", [1, 2, 3])
def test_laced_blocks(lacing: int) -> None:
    head, packets = recordings.opus_packets(SPEECH)
    # Fixed lacing is for frames of one size.
    groups = [[p] * 3 for p in packets[:5]] if lacing == 2 else [packets[at : at + 4] for at in range(0, 20, 4)]
    expected = [packet for group in groups for packet in group]
    stream = webm_head(head) + CLUSTER
    for index, group in enumerate(groups):
        body = block(group, lacing)
        stream += element(0xA3, body) if index % 2 else element(0xA0, element(0xA1, body))
    found = EbmlDemuxer().feed(stream)
    assert [item.data for item in found if isinstance(item, Packet)] == expected


def test_blocks_of_other_tracks_are_not_ours() -> None:
    head, packets = recordings.opus_packets(SPEECH)
    stream = webm_head(head, track=2) + CLUSTER
    stream += element(0xA3, block([b"video"], track=1)) + element(0xA3, block([packets[0]], track=2))
    assert [item.data for item in EbmlDemuxer().feed(stream) if isinstance(item, Packet)] == [packets[0]]


def test_discarded_padding_trims_the_end() -> None:
    head, packets = recordings.opus_packets(SPEECH)
    group = element(0xA1, block([packets[0]])) + element(0x75A2, (10_000_000).to_bytes(4, "big"))
    (_, packet) = EbmlDemuxer().feed(webm_head(head) + CLUSTER + element(0xA0, group))
    assert packet == Packet(packets[0], trim=480)


def test_packet_lengths() -> None:
    assert packet_samples(b"") == 0
    assert packet_samples(bytes([3])) == 0
    assert packet_samples(bytes([31 << 3])) == 960
    assert packet_samples(bytes([31 << 3 | 1])) == 1920
    assert packet_samples(bytes([31 << 3 | 3, 5])) == 4800
    assert packet_samples(bytes([3 << 3])) == 2880


def test_opus_header() -> None:
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 2, 312, 48000, 0, 0)
    assert parse_head(head) == Head(head, 2, 312)
    for bad in (b"", head[:18], b"OpusTags" + head[8:], head[:8] + b"\x10" + head[9:], head[:9] + b"\0" + head[10:]):
        with pytest.raises(AudioError):
            parse_head(bad)


# ---- what is no such file -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["webm", "opus", "wav", "mp3"])
@pytest.mark.parametrize("junk", [b"hello, this is no audio at all. " * 1000, bytes(40_000), b"\xff" * 40_000])
def test_garbage_is_an_error_with_a_hint(name: str, junk: bytes) -> None:
    with pytest.raises(AudioError) as caught:
        decoded(name, junk)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("webm", b"\0\0\0\x20ftypiso5", "MP4"),
        ("webm", webm_head(b"", codec=b"A_VORBIS"), "A_VORBIS"),
        ("webm", webm_head(b"OpusHead"), "header"),
        ("webm", webm_head(b"", codec=b"A_OPUS")[:-2] + b"\xff" * 20, "damaged"),
        ("webm", element(0x1A45DFA3, b"") + b"\xa3\x01\xff\xff\xff\xff\xff\xff\xfe", "bytes"),
        ("webm", element(0x1A45DFA3, b"") + b"\xec\x01\xff\xff\xff\xff\xff\xff\xfe", "bytes"),
        ("webm", element(0x1A45DFA3, b"") + b"\xa3\xff", "unknown size"),
        ("webm", element(0x1A45DFA3, b"") + element(0xA3, b"\x81\0\0\0hello"), "before its track"),
        ("wav", b"RIFF\0\0\0\0AVI LIST", "no WAV"),
        ("wav", b"RIFF\0\0\0\0WAVEdata\1\0\0\0", "before their format"),
        ("wav", b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\xff", "format of"),
        ("wav", b"RIFF\0\0\0\0WAVEJUNK\xff\xff\xff\xff", "damaged"),
        ("wav", b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 2, 1, 8000, 8000, 1, 4), "format 2"),
        ("wav", b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 0, 8000, 0, 0, 16), "channels"),
        ("mp3", b"ID3\4\0\0\xff\xff\xff\xff", "ID3"),
        ("mp3", b"ID3\4\0\0\x7f\x7f\x7f\x7f", "ID3"),
    ],
)
def test_what_is_wrong_is_said(name: str, data: bytes, says: str) -> None:
    with pytest.raises(AudioError) as caught:
        decoded(name, data + bytes(20), piece=1 << 20)
    assert says in caught.value.message


OPENED = element(0x1A45DFA3, b"") + element(
    0x1654AE6B,
    element(0xEC, b"x")
    + element(
        0xAE, element(0xD7, b"\1") + element(0x86, b"A_OPUS") + element(0x63A2, b"OpusHead\1\1" + bytes(9) + b"\0")
    ),
)


@pytest.mark.parametrize(
    "data",
    [
        b"\x1f\x43\xb6\x75\0",  # a size without a length
        element(0xA3, b""),
        element(0xA3, b"\x81\0"),
        element(0xA3, b"\xff\0\0\0"),
        element(0xA3, block([b"x" * 132_000])),
        element(0xA3, b"\x81\0\0\x02"),
        element(0xA3, b"\x81\0\0\x02\x02\xff\xff"),
        element(0xA3, b"\x81\0\0\x02\x01\x09abc"),
        element(0xA3, b"\x81\0\0\x04\x02abcd"),
        element(0xA3, b"\x81\0\0\x06\x02\x82\x81abc"),
        element(0xA0, b"\xa1\x89abc"),
    ],
)
def test_damaged_webm_blocks(data: bytes) -> None:
    with pytest.raises(AudioError):
        EbmlDemuxer().feed(OPENED + data)


def test_empty_webm_frames_are_nothing() -> None:
    demuxer = EbmlDemuxer()
    assert len(demuxer.feed(OPENED)) == 1
    assert demuxer.feed(element(0xA3, block([b""]))) == []
    assert demuxer.feed(b"\x1f\x43\xb6") == []
    assert demuxer.feed(b"\x75\x08") == []


def ogg_page(flags: int, packets: list[bytes], *, granule: int = 0, serial: int = 1, lacing: bytes = b"") -> bytes:
    body = b"".join(packets)
    lacing = lacing or b"".join(b"\xff" * (len(p) // 255) + bytes([len(p) % 255]) for p in packets)
    head = b"OggS" + struct.pack("<BBqIIIB", 0, flags, granule, serial, 0, 0, len(lacing)) + lacing
    page = head + body
    return page[:22] + struct.pack("<I", _crc(page)) + page[26:]


HEAD = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 48000, 0, 0)


def test_ogg_in_detail() -> None:
    packet = bytes([31 << 3]) + b"x" * 300
    start = ogg_page(2, [HEAD]) + ogg_page(0, [b"OpusTags" + bytes(300_000 // 255)])
    demuxer = OggDemuxer()
    assert demuxer.feed(start) == [Head(HEAD, 1, 312)]
    # another stream beside ours, from its beginning
    assert demuxer.feed(ogg_page(2, [b"\x80theora"], serial=7) + ogg_page(0, [b"picture"], serial=7)) == []
    # a packet over two pages; an empty one is none
    first = ogg_page(0, [packet[:255]], lacing=b"\xff", granule=-1)
    assert demuxer.feed(first) == []
    assert demuxer.feed(ogg_page(1, [packet[255:], b""], granule=960)) == [Packet(packet)]
    # the rest of a packet was lost
    assert demuxer.feed(first + ogg_page(0, [packet], granule=1920)) == [Packet(packet)]
    # the end trims over packets: of 3 x 960 samples 900 are left
    assert demuxer.feed(ogg_page(4, [packet] * 3, granule=1920 + 900 + 0)) == [
        Packet(packet, trim=60 - 0) if index == 0 else Packet(packet, trim=960) for index in range(3)
    ]


def test_ogg_that_cannot_be() -> None:
    with pytest.raises(AudioError, match="version"):
        OggDemuxer().feed(b"OggS\1" + bytes(30))
    endless = OggDemuxer()
    endless.feed(ogg_page(2, [HEAD]) + ogg_page(0, [b"OpusTags"]))
    with pytest.raises(AudioError, match="length"):
        for _ in range(4):
            endless.feed(ogg_page(1, [bytes(255 * 255)], lacing=b"\xff" * 255))


def test_a_long_answer_takes_several_pages() -> None:
    file = encoder("opus", RATE_HZ).encode(murmur(RATE_HZ * 8))
    assert file.count(b"OggS") > 3
    assert len(decoded("opus", file)) == RATE_HZ * 8


def test_opus_without_a_header_or_with_damage() -> None:
    with pytest.raises(AudioError, match="damaged"):
        decoded("webm", OPENED + element(0xA3, block([b"\xff\xff\xff"])))
    stream = OpusStream(RATE_HZ, lambda: Packets([Packet(b"\xf8")]))
    with pytest.raises(AudioError, match="header"):
        stream.feed(b"\x1a\x45\xdf\xa3")


class Packets:
    """A demuxer that gives what it was given."""

    def __init__(self, items: list[Head | Packet]) -> None:
        self._items = items

    def feed(self, data: bytes) -> list[Head | Packet]:
        return self._items


def test_damaged_mp3_frames_are_let_pass_for_a_while() -> None:
    frame = b"\xff\xfb\x90\x64"
    broken = frame + b"\xff" * (417 - 4)
    decoder = CODECS["mp3"].decoder(44_100)
    with pytest.raises(AudioError, match="damaged"):
        for _ in range(40):
            decoder.feed(broken)


def test_mp3_needs_a_second_frame_to_believe_in_the_first_after_junk() -> None:
    mp3 = encoder("mp3", RATE_HZ).encode(SPEECH)
    false_start = b"junk" + b"\xff\xf3\x48\xc0" + b"hello" * 200
    assert len(decoded("mp3", false_start + mp3)) == pytest.approx(len(SPEECH), abs=2000)


def test_a_half_frame_at_the_end_of_a_wav() -> None:
    head = b"RIFF\0\0\0\0WAVE" + b"fmt " + struct.pack("<IHHIIHH", 16, 1, 2, RATE_HZ, 4 * RATE_HZ, 4, 16)
    assert len(decoded("wav", head + b"data" + struct.pack("<I", 10) + bytes(10))) == 2


def test_every_codec_can_be_warmed_up() -> None:
    warm_up()


def test_wav_with_an_impossible_rate() -> None:
    form = struct.pack("<IHHIIHH", 16, 1, 1, 7, 14, 2, 16)
    with pytest.raises(AudioError):
        decoded("wav", b"RIFF\0\0\0\0WAVEfmt " + form + b"data\4\0\0\0abcd")


def test_ogg_of_something_else() -> None:
    flac = recordings.encoded(SPEECH, RATE_HZ, "ogg", "flac")
    with pytest.raises(AudioError, match="FLAC"):
        decoded("opus", flac)


def test_a_damaged_ogg_page() -> None:
    data = bytearray(recordings.ogg(SPEECH))
    data[len(data) // 2] ^= 0x40
    with pytest.raises(AudioError, match="Ogg"):
        decoded("opus", bytes(data))


@pytest.mark.parametrize("name", ["webm", "opus", "wav", "mp3", "pcm"])
def test_what_is_cut_off_is_heard_up_to_there(name: str) -> None:
    whole = recordings.webm(SPEECH) if name == "webm" else encoder(name, RATE_HZ).encode(SPEECH)
    half = decoded(name, whole[: len(whole) // 2])
    # An Ogg page of FFmpeg's or ours holds up to a second.
    assert len(half) <= 0.7 * len(SPEECH)
    assert name == "opus" or len(half) > 0.3 * len(SPEECH)


@pytest.mark.parametrize("name", ["webm", "wav", "mp3", "opus"])
def test_nothing_is_hoarded(name: str) -> None:
    """A header that promises much makes nobody keep much: skipped or refused, not stored."""
    promise = {
        "webm": element(0x1A45DFA3, b"") + b"\xec\x08\x00\x00\x00",
        "wav": b"RIFF\0\0\0\0WAVEJUNK\0\0\0\x7e",
        "mp3": b"ID3\4\0\0\x07\x7f\x7f\x7f",
        "opus": recordings.ogg(SPEECH)[:47],
    }[name]
    decoder = CODECS[name].decoder(RATE_HZ)
    assert len(decoder.feed(promise)) == 0
    tracemalloc.start()
    try:
        for _ in range(400):
            assert len(decoder.feed(bytes(10_000))) == 0
    except AudioError:
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000


def test_one_piece_cannot_blow_up() -> None:
    """A megabyte of two-byte packets would be hours of silence."""
    head, _ = recordings.opus_packets(SPEECH)
    long_packet = bytes([11 << 3 | 3, 2, 0, 0])
    blocks = element(0xA3, block([long_packet] * 200, lacing=2)) * 60
    with pytest.raises(AudioError, match="seconds of audio"):
        decoded("webm", webm_head(head) + CLUSTER + blocks, piece=1 << 20)
    with pytest.raises(AudioError, match="seconds of audio"):
        CODECS["pcm"].decoder(8000).feed(bytes(2 * 8000 * 601))


# ---- what goes out ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 24000, 44100, 48000])
@pytest.mark.parametrize("name", ["opus", "wav", "mp3"])
def test_every_call_is_a_file_that_others_read(name: str, rate_hz: int) -> None:
    make = encoder(name, rate_hz)
    for samples in (1, 555, rate_hz // 3):
        pcm = murmur(samples, rate_hz)
        with av.open(io.BytesIO(make.encode(pcm))) as file:
            frames = list(file.decode(audio=0))
            length_s = sum(frame.samples for frame in frames) / frames[0].sample_rate
        tolerance_s = 0.001 if name != "mp3" else 0.08
        assert abs(length_s - samples / rate_hz) <= tolerance_s


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000, 48000])
@pytest.mark.parametrize("name", ["opus", "wav", "mp3", "pcm"])
def test_decoded_lengths_are_exact(name: str, rate_hz: int) -> None:
    make = encoder(name, rate_hz)
    for samples in (100, 479, 480, 481, 7201):
        assert len(decoded(name, make.encode(murmur(samples, rate_hz)), rate_hz)) == samples


@pytest.mark.parametrize("name", ["opus", "wav", "mp3", "pcm"])
def test_no_samples_are_a_valid_file(name: str) -> None:
    assert len(decoded(name, encoder(name, RATE_HZ).encode(np.zeros(0, np.int16)))) == 0


def test_opus_files_join_without_a_click() -> None:
    rate_hz = 48_000
    whole = murmur(rate_hz * 2, rate_hz)
    make = encoder("opus", rate_hz)
    step = 10_007
    files = [make.encode(whole[at : at + step]) for at in range(0, len(whole), step)]
    joined = np.concatenate([decoded("opus", file, rate_hz) for file in files])
    assert len(joined) == len(whole)
    jumps = np.abs(np.diff(joined.astype(float)))
    largest = np.abs(np.diff(whole.astype(float))).max()
    borders = range(step, len(whole) - 1, step)
    assert max(jumps[border - 1] for border in borders) < 1.5 * largest
    assert all(likeness(joined[b - 480 : b + 480], whole[b - 480 : b + 480]) > 0.9 for b in borders)
