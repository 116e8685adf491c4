"""Spoken requests for the end-to-end benches, with the sample at which the voice begins and ends.

Recordings of people where PARLEY_TEST_MODELS has them, else the same kind of requests spoken by espeak-ng, which
every installation has.
"""

from __future__ import annotations

import csv
import os
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.bench.report import ROOT

__all__ = ["RATE_HZ", "Utterance", "quiet", "utterances"]

RATE_HZ = 16000
_FRAME = 160
_REQUESTS = (
    "what is the capital of france",
    "set a timer for ten minutes",
    "turn on the light in the kitchen",
    "tell me something about the moon",
    "how many days are in a leap year",
    "please play some quiet music",
)


@dataclass(frozen=True, slots=True)
class Utterance:
    """Mono PCM16 at 16 kHz. `first` and `last`: indices of the first and the last sample of voice."""

    name: str
    pcm: npt.NDArray[np.int16]
    first: int
    last: int
    human: bool


def utterances(
    count: int, shortest_s: float = 0.8, longest_s: float = 5.0, *, synthetic: bool = False
) -> list[Utterance]:
    """`count` requests, repeated from the start where there are fewer. Voice lasts between the two limits."""
    found = [
        entry
        for entry in (_spoken() if synthetic else _recorded() or _spoken())
        if shortest_s <= (entry.last - entry.first) / RATE_HZ <= longest_s
    ]
    if not found:
        raise RuntimeError("no utterance of that length")
    return [found[index % len(found)] for index in range(count)]


def quiet(seconds: float, seed: int = 0) -> npt.NDArray[np.int16]:
    """A quiet room: noise some 70 dB below full scale. Digital silence is what no microphone gives."""
    noise = np.random.default_rng(seed).normal(0.0, 10.0, round(seconds * RATE_HZ))
    return np.asarray(noise.round(), dtype=np.int16)


def _recorded() -> list[Utterance]:
    root = Path(os.environ.get("PARLEY_TEST_MODELS", ROOT.parent / "shared" / "testdata"))
    manifest = root / "manifest.tsv"
    if not manifest.is_file():
        return []
    with manifest.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t") if "commands_human" in row["file"]]
    found = []
    for row in rows:
        with wave.open(str(root / row["file"])) as clip:
            pcm = np.frombuffer(clip.readframes(clip.getnframes()), dtype="<i2").astype(np.int16)
        found.append(_bounded(row["file"], pcm, human=True))
    # A pause inside an utterance may rightly end the turn: a latency can only be measured where there is none.
    clean = [entry for entry in found if _longest_pause_s(entry) < 0.48 and _is_clean(entry)]
    return _agreed(clean)


def _spoken() -> list[Utterance]:
    from models.registry import discover
    from voice.port import EngineConfig
    from voice.resample import StreamResampler

    engine = discover("voice.tts")["espeak"].load(EngineConfig())
    found = []
    for text in _REQUESTS:
        chunks = list(engine.synthesize(text, "default", 1.0, "en"))
        pcm = np.concatenate([chunk.pcm for chunk in chunks])
        found.append(_bounded(text, StreamResampler(chunks[0].rate_hz, RATE_HZ).process(pcm, last=True), human=False))
    return found


def _levels(pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """Root mean square of every 10 ms."""
    whole = pcm[: len(pcm) // _FRAME * _FRAME].reshape(-1, _FRAME).astype(np.float64)
    return np.asarray(np.sqrt((whole**2).mean(axis=1)))


def _voiced(pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.bool_]:
    """10 ms frames of voice: within 30 dB of the loud part of the clip, and 8 dB above its background.

    A word that fades away is taken to end early rather than late, which makes a measured latency longer, not shorter.
    """
    levels = _levels(pcm)
    threshold = max(np.percentile(levels, 95) * 10 ** (-30 / 20), np.percentile(levels, 10) * 10 ** (8 / 20))
    loud = levels > threshold
    # A click of one frame is no voice: its neighbours decide.
    padded = np.concatenate([[False], loud, [False]]).astype(np.int8)
    return np.asarray(padded[:-2] + padded[1:-1] + padded[2:] >= 2)


def _bounded(name: str, pcm: npt.NDArray[np.int16], *, human: bool) -> Utterance:
    """Cut to the voice with 0.1 s on both sides; the fades keep the cut itself from being heard as a click."""
    begin, end = _body(pcm)
    first, last = begin * _FRAME, end * _FRAME - 1
    margin = RATE_HZ // 10
    start, stop = max(0, first - margin), min(len(pcm), last + 1 + margin)
    cut = pcm[start:stop].astype(np.float64)
    fade = np.linspace(0.0, 1.0, RATE_HZ // 100)
    cut[: len(fade)] *= fade
    cut[-len(fade) :] *= fade[::-1]
    return Utterance(name, cut.astype(np.int16), first - start, last - start, human)


def _body(pcm: npt.NDArray[np.int16]) -> tuple[int, int]:
    """(first, end) frames of the utterance: thumps of a button before and clicks after it are no part of it.

    It begins with the first 30 ms within 12 dB of the loudest after which half a second is mostly that loud, and with
    what is voiced in the 150 ms before that (a soft consonant) and 6 dB above the room just before: where the clip
    begins in silence, its room may be louder than the quietest of it. It ends with the last run of at least 100 ms of
    voice, pauses of less than 150 ms not counted.
    """
    levels, voiced = _levels(pcm), _voiced(pcm)
    loud = levels > np.percentile(levels, 98) * 10 ** (-12 / 20)
    starts = [at for at in range(len(loud)) if loud[at : at + 3].all() and loud[at : at + 50].mean() > 0.5]
    begin = starts[0] if starts else int(np.flatnonzero(voiced)[0])
    earliest = max(0, begin - 15)
    room = levels[max(0, earliest - 30) : max(1, earliest)]
    soft = voiced & (levels > np.percentile(room, 30) * 10 ** (6 / 20))
    while begin > earliest and soft[begin - 1]:
        begin -= 1
    parts: list[list[int]] = []
    for frame in np.flatnonzero(voiced).tolist():
        if parts and frame - parts[-1][-1] <= 15:
            parts[-1].append(frame)
        else:
            parts.append([frame])
    spoken = [part for part in parts if len(part) >= 10] or parts
    return begin, spoken[-1][-1] + 1


def _agreed(entries: list[Utterance]) -> list[Utterance]:
    """Those where a voice activity detector puts both ends within 0.2 s of where the levels put them.

    The levels stay the measure; this only drops clips where a thump or a hiss fooled them.
    """
    from models.registry import discover
    from voice.port import EngineConfig

    detector, frame = discover("voice.vad")["silero"].load(EngineConfig()), 512
    kept = []
    for entry in entries:
        pcm = np.concatenate([quiet(0.5), entry.pcm, quiet(0.5)]).astype(np.float32) / 32768
        stream = detector.open()
        starts = range(0, len(pcm) - frame, frame)
        heard = [at for at in starts if detector.step([stream], pcm[None, at : at + frame])[0] > 0.5]
        detector.close(stream)
        lead = RATE_HZ // 2
        if not heard:
            continue
        apart = max(abs(heard[0] - lead - entry.first), abs(heard[-1] + frame - lead - entry.last))
        if apart < 0.2 * RATE_HZ:
            kept.append(entry)
    return kept


def _longest_pause_s(entry: Utterance) -> float:
    longest = run = 0
    for voiced in _voiced(entry.pcm)[entry.first // _FRAME : entry.last // _FRAME]:
        run = 0 if voiced else run + 1
        longest = max(longest, run)
    return longest * _FRAME / RATE_HZ


def _is_clean(entry: Utterance) -> bool:
    """The margins are well below the voice: where it begins and ends can be told."""
    margin = np.concatenate([entry.pcm[: entry.first], entry.pcm[entry.last + 1 :]]).astype(np.float64)
    voice = entry.pcm[entry.first : entry.last].astype(np.float64)
    return len(margin) > 0 and float((margin**2).mean()) < 0.08 * float((voice**2).mean())
