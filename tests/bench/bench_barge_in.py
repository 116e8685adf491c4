"""What becomes of a reply when somebody, or something, sounds over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.registry import discover
from tests.bench.report import Options, Section, Table, percentile
from tests.recordings import recordings
from tests.voice.room import RATE_HZ, Room, Sound
from voice.port import EngineConfig, Pcm
from voice.resample import StreamResampler
from voice.session.outgoing import Interrupted, StateOut, TurnComplete

__all__ = ["Verdict", "back_channels", "interruptions", "noises", "run", "stops", "verdict"]

AT_S = 4.0
"""The reply is in full flow by then."""
VOICES = ("en-us", "en-gb+f3", "en-gb-scotland+m5", "en-us+f5")
BACK_CHANNELS = ("mm hm", "uh huh", "yeah", "okay", "right", "I see", "aha", "oh wow", "yes", "cool")
STOPS = ("stop", "wait", "no", "wait, no", "stop it please", "hold on", "but why is that", "what do you mean")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Milliseconds since the sound began to be audible; None: it did not happen."""

    stopped: bool
    held_ms: float | None
    decided_ms: float | None


def run(options: Options) -> Section:
    kinds = (
        ("noise, music, animals, taps", False, noises(4 if options.quick else 40)),
        ("back-channel, four synthetic voices", False, back_channels(8 if options.quick else 40)),
        ("commands of people", True, interruptions(6 if options.quick else 40)),
        ('"stop", "wait, no", a question; four synthetic voices', True, stops(6 if options.quick else 32)),
    )
    rows, wrong = [], []
    for name, should_stop, sounds in kinds:
        found = [(label, verdict(sound)) for label, sound in sounds]
        touched = [each for _, each in found if each.held_ms is not None]
        wrong += [f"{name}: {label}" for label, each in found if each.stopped is not should_stop]
        held = [each.held_ms for each in touched if each.held_ms is not None]
        decided = [each.decided_ms for each in touched if each.decided_ms is not None]
        rows.append(
            (
                name,
                len(found),
                len(found) - len(touched),
                sum(not each.stopped for each in touched),
                sum(each.stopped for each in touched),
                _spread(held),
                _spread(decided),
            )
        )
    columns = ("sound over a reply", "n", "not noticed", "resumed", "stopped", "held after ms", "decided after ms")
    return Section(
        "Barge-in",
        "Each sound lies over a spoken reply, in a room of its own: Silero, segmenter and turn machine are the"
        " product's with its settings, the recogniser is a script that knows the words and takes 250 ms. Times count"
        " from where the sound becomes audible: median and worst.",
        (Table(columns, tuple(rows)),),
        notes=(f"wrong: {'; '.join(wrong) if wrong else 'none'}",),
    )


def verdict(sound: Sound) -> Verdict:
    """Play it over a reply, and see."""
    begin_s = sound.at_s + _audible_s(sound.pcm)
    room = Room(sounds=(sound,)).run(sound.end_s + 2.5)
    held = [at for at in room.when(StateOut, state="paused") if at >= sound.at_s]
    stopped = [at for at in room.when(Interrupted) if at >= sound.at_s]
    back = [at for at in room.when(StateOut, state="speaking") if held and at > held[0]]
    decided = stopped or back
    assert not room.told(TurnComplete) or stopped or room.now > 10, "the reply ended under the sound"
    return Verdict(
        bool(stopped),
        (held[0] - begin_s) * 1000 if held else None,
        (decided[0] - begin_s) * 1000 if decided else None,
    )


def noises(most: int) -> list[tuple[str, Sound]]:
    """Two seconds of each recording, and of the long ones from several places."""
    found = []
    for each in recordings("noise/"):
        if "/rir/" in each.file:
            continue
        pcm = each.pcm()
        for start in range(0, max(1, len(pcm) - 2 * RATE_HZ), 12 * RATE_HZ):
            piece = pcm[start : start + 2 * RATE_HZ]
            found.append((f"{each.file} at {start // RATE_HZ} s", Sound(AT_S, piece)))
    return _some(found, most)


def back_channels(most: int) -> list[tuple[str, Sound]]:
    return _some(list(_said(BACK_CHANNELS)), most)


def stops(most: int) -> list[tuple[str, Sound]]:
    return _some(list(_said(STOPS)), most)


def interruptions(most: int) -> list[tuple[str, Sound]]:
    spoken = [each for each in recordings("speech/commands_human/") if each.transcript and "(" not in each.transcript]
    return _some([(each.file, Sound(AT_S, each.pcm(), each.transcript)) for each in spoken], most)


def _said(texts: Sequence[str]) -> Iterator[tuple[str, Sound]]:
    engine = discover("voice.tts")["espeak"].load(EngineConfig())
    for text in texts:
        for voice in VOICES:
            chunks = list(engine.synthesize(text, voice, 1.0, None))
            whole = np.concatenate([chunk.pcm for chunk in chunks])
            pcm = StreamResampler(chunks[0].rate_hz, RATE_HZ).process(whole, last=True)
            yield f"{text} ({voice})", Sound(AT_S, (pcm * 0.5).astype(np.int16), text)


def _some(found: list[tuple[str, Sound]], most: int) -> list[tuple[str, Sound]]:
    """At most so many, from all over the list."""
    step = max(1, -(-len(found) // most))
    return found[::step]


def _audible_s(pcm: Pcm) -> float:
    """Where the first 20 ms lie that are less than 15 dB under the loudest, and after which most of 160 ms are: the
    recordings of people begin with the click of a key."""
    rows = pcm[: len(pcm) // 320 * 320].astype(np.float64).reshape(-1, 320)
    if len(rows) < 8:
        return 0.0
    levels = np.sqrt((rows**2).mean(axis=1))
    loud = levels > levels.max() / 10**0.75
    lasting = np.convolve(loud, np.ones(8))[7:] >= 5
    return float(np.argmax(loud[: len(lasting)] & lasting)) * 0.02


def _spread(values: Sequence[float]) -> str:
    return f"{percentile(values, 50):.0f} / {max(values):.0f}" if values else "-"
