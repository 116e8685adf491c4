"""Turn detectors: how often each cuts people off, and how long it lets them wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.registry import discover
from tests.bench.report import Options, Section, Table, percentile
from tests.recordings import recordings
from tests.smart_turn import MODEL
from tests.speaking import spoken
from voice.ears.segmenter import Offset, Onset, Segmenter
from voice.port import EngineConfig, Pcm, VadEngine
from voice.settings import TurnSettings
from voice.turn.endpointing import detectors
from voice.turn_detection.habits import Habits
from voice.turn_detection.smart_turn import SmartTurnScorer
from voice.turn_detection.spec import Patience, Pause, Scorer

__all__ = ["run"]

RATE_HZ = 16_000
SCORED_AFTER_S = 0.2
"""The detector's model listens this long after the voice fell silent."""
BROKEN = (
    ("turn on the", "light in the kitchen"),
    ("I would like a coffee and", "a piece of cake"),
    ("remind me to", "call my mother tomorrow"),
    ("what is", "the capital of France"),
    ("tell me about", "the history of the town"),
    ("set a timer for", "twenty minutes"),
    ("my number is five five", "one two three four five"),
    ("play the song with", "the long guitar solo"),
)
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PAUSES_S = (0.6, 0.9, 1.2)


@dataclass(frozen=True, slots=True)
class Turn:
    """One request: where it pauses (how long; text so far, None if not known), and where it ends."""

    pcm: Pcm
    pauses: tuple[tuple[float, float, str | None], ...]
    """(fell silent at, silent for, text so far)"""
    end_s: float
    text: str | None


def run(options: Options) -> Section:
    turn = TurnSettings()
    scorer = SmartTurnScorer(MODEL) if MODEL is not None else None
    vad = discover("voice.vad")["silero"].load(EngineConfig())
    most = 5 if options.quick else 1000
    sets = (
        ("orders of people, fluent, 5 to 15 s", list(_people(vad, "speech/coffee_orders/", most))),
        ("texts read aloud by people", list(_people(vad, "speech/read/", most))),
        ("commands of people", list(_people(vad, "speech/commands_human/", most))),
        ("numbers said by people, one digit a second", list(_dictated(vad, most))),
        ("clauses broken by a pause, synthetic, words known", list(_broken(vad, most))),
    )
    patience = Patience(turn.silence_ms / 1000, turn.max_silence_ms / 1000)
    rows = []
    for title, turns in sets:
        if not turns:
            continue  # the recordings are not installed
        for name, spec in detectors().items():
            if spec.load is not None and scorer is None:
                continue
            cut, waits = _measure(name, patience, turns, scorer)
            pauses = sum(len(each.pauses) for each in turns)
            waited = f"{percentile(waits, 50) * 1000:.0f} / {max(waits) * 1000:.0f}"
            rows.append((f"{title}: {name}", len(turns), pauses, f"{cut} ({100 * cut / len(turns):.0f} %)", waited))
    columns = ("detector", "turns", "pauses inside", "turns cut off", "wait at the end, ms (median / worst)")
    return Section(
        "Turn detection",
        "Where Silero finds a pause of more than 128 ms inside a request, a detector may end the turn too early; "
        "at the"
        " end of the request it makes the speaker wait. `silence_ms` has its default. For the recordings of people no"
        " transcripts are used, so a detector has only what it hears, and learns from the pauses of a set. In the"
        " last two sets the words are known, as from a recogniser.",
        (Table(columns, tuple(rows)),),
        notes=() if scorer is not None else ("Smart Turn was not installed here.",),
    )


def _measure(name: str, patience: Patience, turns: list[Turn], scorer: Scorer | None) -> tuple[int, list[float]]:
    spec, habits = detectors()[name], Habits()
    cut, waits = 0, []
    for turn in turns:
        detector = spec.make(patience, habits)
        heard = scorer if spec.load is not None else None
        pauses = [(length, _pause(heard, turn, at_s, text)) for at_s, length, text in turn.pauses]
        cut += any(detector.silence_s(pause) < length for length, pause in pauses)
        for length, pause in pauses:
            habits.went_on(length, pause.probability)
        waits.append(detector.silence_s(_pause(heard, turn, turn.end_s, turn.text)))
    return cut, waits


def _pause(scorer: Scorer | None, turn: Turn, at_s: float, text: str | None) -> Pause:
    """What is known of the silence that began at `at_s`."""
    listened = turn.pcm[: round((at_s + SCORED_AFTER_S) * RATE_HZ)]
    return Pause(text, scorer.score(listened) if scorer is not None else None)


def _people(vad: VadEngine, prefix: str, most: int) -> Iterator[Turn]:
    for each in recordings(prefix)[:most]:
        pcm = np.concatenate((each.pcm(), np.zeros(RATE_HZ, np.int16)))
        stretches = _stretches(vad, pcm)
        if stretches:
            ends = [(a[1], b[0] - a[1], None) for a, b in zip(stretches, stretches[1:], strict=False)]
            yield Turn(pcm, tuple(ends), stretches[-1][1], None)


def _dictated(vad: VadEngine, most: int) -> Iterator[Turn]:
    """Four digits of one speaker after another with 0.6 s of silence between, words known: a number is dictated."""
    for speaker in sorted({each.file.rsplit("_", 1)[1] for each in recordings("speech/digits/")})[:most]:
        mine = [each for each in recordings("speech/digits/") if each.file.endswith(speaker)]
        gap = np.zeros(round(0.6 * RATE_HZ), np.int16)
        pieces = [piece for each in (mine * 4)[:4] for piece in (each.pcm(), gap)]
        pcm = np.concatenate((*pieces, np.zeros(RATE_HZ, np.int16)))
        stretches = _stretches(vad, pcm)
        words = [DIGITS[int(each.file.rsplit("/", 1)[1][0])] for each in (mine * 4)[:4]]
        ends = [
            (a[1], b[0] - a[1], " ".join(words[: number + 1]))
            for number, (a, b) in enumerate(zip(stretches, stretches[1:], strict=False))
        ]
        if stretches:
            yield Turn(pcm, tuple(ends), stretches[-1][1], None)


def _broken(vad: VadEngine, most: int) -> Iterator[Turn]:
    for first, second in BROKEN[:most]:
        for pause_s in PAUSES_S:
            before, after = spoken(first), spoken(second)
            gap = np.zeros(round(pause_s * RATE_HZ), np.int16)
            pcm = np.concatenate((before, gap, after, np.zeros(RATE_HZ, np.int16)))
            stretches = _stretches(vad, pcm)
            inside = [(a[1], b[0] - a[1]) for a, b in zip(stretches, stretches[1:], strict=False)]
            long = [(at_s, length, first) for at_s, length in inside if length > pause_s * 0.8]
            yield Turn(pcm, tuple(long), stretches[-1][1], f"{first} {second}")


def _stretches(vad: VadEngine, pcm: Pcm) -> list[tuple[float, float]]:
    turn, found, began = TurnSettings(), [], 0.0
    segmenter, stream = Segmenter(0.5, turn.pause_ms, turn.min_speech_ms), vad.open()
    for at in range(0, len(pcm) - 511, 512):
        frame = pcm[None, at : at + 512].astype(np.float32) / 32768
        match segmenter.step(float(vad.step([stream], frame)[0]), (at + 512) / RATE_HZ):
            case Onset(at_s):
                began = at_s
            case Offset(at_s):
                found.append((began, at_s))
    vad.close(stream)
    return found
