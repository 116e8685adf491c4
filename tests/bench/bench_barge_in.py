"""What becomes of a reply when somebody, or something, sounds over it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.recipes.short_phrases.voices import HELD_OUT
from models.registry import discover
from tests.bench.report import Options, Section, Table, percentile
from tests.recordings import recordings
from tests.voice.room import RATE_HZ, STORY, Room, Sound
from voice.port import EngineConfig, Pcm, SttEngine
from voice.resample import StreamResampler
from voice.session.outgoing import Interrupted, StateOut, TurnComplete

__all__ = ["Verdict", "back_channels", "interruptions", "noises", "run", "stops", "verdict"]

LASTING_S = 45
GAP = 10
_ACCENTS = itertools.cycle(("en-us", "en-gb", "en-029", "en-gb-scotland"))
HELD_OUT_VOICES = tuple(f"{accent}+{variant}" for accent, variant in zip(_ACCENTS, HELD_OUT, strict=False))
"""Of voices that the table of short phrases was not fitted to."""
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
    embedded = discover("voice.stt")["pocketsphinx"].load(EngineConfig())
    rows, wrong = [], []
    for ears, engine, most in (("words known", None, 24), ("pocketsphinx", embedded, 40)):
        kinds: tuple[tuple[str, bool, list[tuple[str, Sound]]], ...] = (
            ("noise, music, animals, taps", False, noises(4 if options.quick else most)),
            ("back-channel, four synthetic voices", False, back_channels(8 if options.quick else most)),
            ("commands of people", True, interruptions(6 if options.quick else most)),
            ('"stop", "wait, no", a question; four synthetic voices', True, stops(6 if options.quick else most)),
        )
        if engine is not None:
            voices = HELD_OUT_VOICES
            kinds += (
                ("back-channel, voices never fitted to", False, back_channels(8 if options.quick else 50, voices)),
                ("stop or question, voices never fitted to", True, stops(6 if options.quick else 40, voices)),
            )
        for name, should_stop, sounds in kinds:
            row, missed = _row(sounds, should_stop, engine)
            rows.append((ears, name, *row))
            wrong += [f"{ears}, {name}: {', '.join(missed)}"] if missed else []
            print(rows[-1], flush=True)
    columns = (
        "recogniser",
        "sound over a reply",
        "n",
        "not noticed",
        "resumed",
        "stopped",
        "held after ms",
        "decided",
        "within 500, 600 ms",
    )
    lasting = [_lasting(name, sound) for name, sound in _lastings(2 if options.quick else 12)]
    return Section(
        "Barge-in",
        "Each sound is played over a spoken reply, in a room of its own. Silero, the segmenter and the turn "
        "machine are the real ones with their defaults. The recogniser is either a script that knows the words and "
        "takes 250 ms, or the built-in pocketsphinx, which takes the time it needs on one core. Times in ms (median, "
        "95th percentile and worst) count from the moment the sound becomes audible. Continuous noise is played for "
        "45 s over a reply of a minute.",
        (
            Table(columns, tuple(rows)),
            Table(("noise that lasts", "holds a minute", "share held", "replies stopped"), tuple(lasting)),
        ),
        notes=(f"wrong: {'; '.join(wrong) if wrong else 'none'}",),
    )


def _row(
    sounds: list[tuple[str, Sound]], should_stop: bool, engine: SttEngine | None
) -> tuple[tuple[object, ...], list[str]]:
    """The cells of a row, and which sounds were taken for what they are not."""
    found = [(label, verdict(sound, engine)) for label, sound in sounds]
    touched = [each for _, each in found if each.held_ms is not None]
    stopped = sum(each.stopped for each in touched)
    decided_ms = [each.decided_ms for each in touched if each.decided_ms is not None]
    cells = (
        len(found),
        len(found) - len(touched),
        len(touched) - stopped,
        stopped,
        _spread([each.held_ms for each in touched if each.held_ms is not None]),
        _spread(decided_ms),
        _within(decided_ms, 500, 600),
    )
    return cells, [label for label, each in found if each.stopped is not should_stop]


def _lasting(name: str, sound: Sound) -> tuple[object, ...]:
    room = Room(sounds=(sound,), reply=" ".join([STORY] * 6)).run(sound.end_s)
    states = [(at, event.state) for at, event in room.said if isinstance(event, StateOut)]
    ends = [*(at for at, _ in states[1:]), sound.end_s]
    held = [end - at for (at, state), end in zip(states, ends, strict=True) if state == "paused"]
    return name, f"{len(held) * 60 / LASTING_S:.1f}", f"{sum(held) / LASTING_S:.1%}", len(room.told(Interrupted))


def _lastings(most: int) -> list[tuple[str, Sound]]:
    found = []
    for each in recordings("noise/"):
        if "/rir/" not in each.file and each.seconds > 4:
            whole = np.tile(each.pcm(), -(-LASTING_S // int(each.seconds)))
            found.append((each.file.removeprefix("noise/"), Sound(AT_S, whole[: LASTING_S * RATE_HZ])))
    return _some(found, most)


def verdict(sound: Sound, engine: SttEngine | None = None) -> Verdict:
    """Play it over a reply, and see. `engine`: instead of the script."""
    begin_s = sound.at_s + _audible_s(sound.pcm)
    room = Room(sounds=(sound,), recogniser=engine).run(sound.end_s + 2.5)
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


def back_channels(most: int, voices: Sequence[str] = VOICES) -> list[tuple[str, Sound]]:
    return _some(list(_said(BACK_CHANNELS, voices)), most)


def stops(most: int, voices: Sequence[str] = VOICES) -> list[tuple[str, Sound]]:
    return _some(list(_said(STOPS, voices)), most)


def interruptions(most: int) -> list[tuple[str, Sound]]:
    spoken = [each for each in recordings("speech/commands_human/") if each.transcript and "(" not in each.transcript]
    return _some([(each.file, Sound(AT_S, each.pcm(), each.transcript)) for each in spoken], most)


def _said(texts: Sequence[str], voices: Sequence[str]) -> Iterator[tuple[str, Sound]]:
    engine = discover("voice.tts")["espeak"].load(EngineConfig())
    for text in texts:
        for voice in voices:
            chunks = list(engine.synthesize(text, voice, 1.0, None))
            whole = np.concatenate([chunk.pcm for chunk in chunks])
            pcm = StreamResampler(chunks[0].rate_hz, RATE_HZ).process(whole, last=True)
            yield f"{text} ({voice})", Sound(AT_S, (pcm * 0.5).astype(np.int16), text)


def _some(found: list[tuple[str, Sound]], most: int) -> list[tuple[str, Sound]]:
    """At most so many, from all over the list."""
    step = max(1, -(-len(found) // most))
    return found[::step]


def _audible_s(pcm: Pcm) -> float:
    """Where the run of loud 20 ms begins that the loudest are in, gaps of up to 200 ms bridged: recordings of people
    begin with the click of a key and half a second of nothing."""
    rows = pcm[: len(pcm) // 320 * 320].astype(np.float64).reshape(-1, 320)
    levels = np.sqrt((rows**2).mean(axis=1))
    if not len(levels):
        return 0.0
    loudest = int(np.argmax(levels))
    loud = np.flatnonzero(levels[: loudest + 1] > levels[loudest] / 10**0.75)
    breaks = np.flatnonzero(np.diff(loud) > GAP)
    return float(loud[breaks[-1] + 1] if len(breaks) else loud[0]) * 0.02


def _spread(values: Sequence[float]) -> str:
    return f"{percentile(values, 50):.0f} / {percentile(values, 95):.0f} / {max(values):.0f}" if values else "-"


def _within(values: Sequence[float], *limits: float) -> str:
    shares = (sum(value <= limit for value in values) / len(values) for limit in limits if values)
    return " / ".join(f"{share:.0%}" for share in shares) or "-"
