"""Recordings in, beginnings and ends of speech out: default settings, real Silero, real people, real noise."""

from __future__ import annotations

import numpy as np
import pytest

from tests.golden.listening import hear, segments
from tests.recordings import Recording, needs_recordings, recording, recordings
from voice.settings import TurnSettings

pytestmark = needs_recordings

UNHEARD = {"speech/digits/4_theo.wav"}
"""A "four" of 0.2 s, cut to the word, at -43 dB: Silero's probability stays under 0.1."""


def is_noise(each: Recording) -> bool:
    return each.kind in ("noise", "noise only", "silence")


async def test_noise_music_animals_taps_and_empty_rooms_begin_no_speech() -> None:
    noises = [each for each in recordings() if is_noise(each)]
    assert sum(each.seconds for each in noises) > 400
    heard = await hear([each.pcm() for each in noises])
    begun = {each.file: len(found) for each, h in zip(noises, heard, strict=True) if (found := segments(h))}
    assert begun == {}


async def test_at_other_levels_and_frame_phases_next_to_no_noise_begins_speech() -> None:
    """Where the frames fall and how loud it is changes the probabilities. Measured: 9 onsets in 15
    minutes, six of them in sb_noise1, none longer than 0.3 s."""
    noises = [each for each in recordings() if is_noise(each) and each.seconds < 40]
    sounds = [
        np.clip(each.pcm()[phase:].astype(np.float64) * gain, -32768, 32767).astype(np.int16)
        for each in noises
        for gain, phase in ((0.1, 0), (0.4, 130), (1.0, 260), (2.0, 0), (2.0, 390), (0.2, 390))
    ]
    heard = await hear(sounds)
    assert sum(len(segments(h)) for h in heard) <= 12


@pytest.mark.parametrize("folder", ["commands_human", "commands_tts", "coffee_orders", "read", "digits"])
async def test_every_recording_of_speech_begins_speech(folder: str) -> None:
    spoken = [each for each in recordings(f"speech/{folder}/") if each.seconds < 30]
    assert len(spoken) >= 15
    heard = await hear([each.pcm() for each in spoken])
    silent = {each.file for each, h in zip(spoken, heard, strict=True) if not segments(h)}
    assert silent <= UNHEARD


async def test_conversations_are_heard_throughout() -> None:
    spoken = recordings("speech/conversation/")
    heard = await hear([each.pcm()[: 20 * 16_000] for each in spoken])
    for each, h in zip(spoken, heard, strict=True):
        assert sum(end - start for start, end in segments(h)) > 4.0, each.file


@pytest.mark.parametrize("file", ["vad/audio/sb_vad_train.wav", "vad/audio/sb_vad_valid.wav"])
async def test_onsets_and_offsets_are_where_people_put_them(file: str) -> None:
    """Labels that touch are one stretch of speech; the recordings go on after the last label."""
    labels: list[tuple[float, float]] = []
    for start, end in recording(file).speech():
        if labels and start - labels[-1][1] < 0.1:
            labels[-1] = (labels[-1][0], end)
        else:
            labels.append((start, end))
    (heard,) = await hear([recording(file).pcm()])
    found = segments(heard)[: len(labels)]
    assert np.abs(np.array(found) - np.array(labels)).max() <= 0.1


async def test_a_pause_inside_a_sentence_loses_nothing() -> None:
    """With the silence that ends a turn, the three labelled stretches (pauses of 0.47 and 0.52 s) are at most two
    turns, and all that was labelled lies inside them, the pre-roll counted."""
    turn = TurnSettings()
    each = recording("vad/audio/sb_vad_train.wav")
    (heard,) = await hear([each.pcm()])
    turns = segments(heard, turn.silence_ms)
    assert len(turns) <= 2
    for start, end in each.speech():
        assert any(begin - turn.preroll_ms / 1000 <= start and end <= until + 0.1 for begin, until in turns)


async def test_the_first_word_is_not_lost() -> None:
    """The 0.4 s before the onset and its pre-roll are quiet: 15 dB under the speech or more."""
    spoken = recordings("speech/coffee_orders/")
    heard = await hear([each.pcm() for each in spoken])
    preroll_s = TurnSettings().preroll_ms / 1000
    loud = {}
    for each, h in zip(spoken, heard, strict=True):
        pcm = each.pcm().astype(np.float64)
        start = round(max(0.0, segments(h)[0][0] - preroll_s) * 16_000)
        before = pcm[max(0, start - 6400) : start]
        speech_db = 10 * np.log10(np.mean(np.sort(np.abs(pcm))[-16_000:] ** 2) + 1)
        below_db = speech_db - 10 * np.log10(np.mean(before**2) + 1) if len(before) else 99.0
        if below_db < 15:
            loud[each.file] = round(float(below_db), 1)
    assert loud == {}
