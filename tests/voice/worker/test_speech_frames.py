from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.errors import TtsFailed
from voice.port import SpeechChunk, Word
from voice.worker.speech_frames import FrameReader, audio_frame, end_frame, error_frame

chunks = st.lists(st.lists(st.integers(-32768, 32767), max_size=50), max_size=6)
words = st.lists(st.tuples(st.text(max_size=5), st.floats(0, 9), st.floats(0, 9)), max_size=4)


@given(chunks, words, st.lists(st.integers(1, 80), max_size=40))
def test_any_cutting_gives_the_same_chunks(
    pcm: list[list[int]], timed: list[tuple[str, float, float]], cuts: list[int]
) -> None:
    sent = [SpeechChunk(np.array(samples, np.int16), 22_050) for samples in pcm]
    data = b"".join(audio_frame(chunk) for chunk in sent)
    data += end_frame(tuple(Word(text, start, end) for text, start, end in timed))
    reader, found, at = FrameReader(), [], 0
    for cut in [*cuts, len(data)]:
        found += reader.feed(data[at : at + cut])
        at += cut
    assert reader.done
    assert len(found) == len(sent) + 1
    assert all(np.array_equal(a.pcm, b.pcm) and a.rate_hz == 22_050 for a, b in zip(sent, found, strict=False))
    assert [word.text for word in found[-1].words] == [text for text, _, _ in timed]
    assert all(abs(word.start_s - start) < 1e-3 for word, (_, start, _) in zip(found[-1].words, timed, strict=True))


def test_an_error_frame_is_raised() -> None:
    reader = FrameReader()
    with pytest.raises(TtsFailed, match="broke") as error:
        reader.feed(error_frame(TtsFailed("it broke", hint="mend it")))
    assert error.value.hint == "mend it"
    assert not reader.done


@pytest.mark.parametrize(
    "data",
    [
        b"hello\n",
        b"[]\n",
        b'{"type":"song"}\n',
        b'{"type":"audio","rate_hz":0,"samples":1}\n',
        b'{"type":"audio","rate_hz":1,"samples":-1}\n',
        b'{"type":"audio","rate_hz":1,"samples":99999999999}\n',
        b'{"type":"audio"}\n',
        b'{"type":"end","words":[1]}\n',
        b"x" * (4 * 1024 * 1024 + 1),
    ],
)
def test_rubbish_is_refused(data: bytes) -> None:
    with pytest.raises(TtsFailed):
        FrameReader().feed(data)


@given(st.binary(max_size=60))
def test_random_bytes_are_refused_or_waited_for(data: bytes) -> None:
    try:
        FrameReader().feed(data + b"\n")
    except TtsFailed:
        pass
