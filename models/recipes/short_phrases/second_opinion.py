"""`python -m models.recipes.short_phrases.second_opinion`: weighs short sounds by Google's speech embedding.

The same voices, phrases and rooms as for the scores of the phrases (clips.py, voices.py, rooms.py), spoken at more
lengths of the vocal tract. espeak-ng runs in this process. Two minutes of a core; needs the `recipes` extra.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from models.recipes.short_phrases import clips as said
from models.recipes.short_phrases.__main__ import BUNDLED, known_phrases
from models.recipes.short_phrases.fit import fit
from models.recipes.short_phrases.rooms import in_a_room
from models.recipes.short_phrases.voices import (
    ACCENTS,
    FITTED,
    FLITE_FITTED,
    HUMS,
    RATE_HZ,
    Samples,
    hum,
    speak,
    trimmed,
)

PARTS, ESPEAK_EACH, FLITE_EACH, HUMS_EACH, BURSTS_EACH = 10, 450, 30, 40, 50
FLITE_ROOMS = 4
"""Rooms each sound of flite is put in: it is slow to speak."""
SHARES = {"stop": 0.25, "murmur": 0.35, "question": 0.2, "else": 0.2}
OFTEN = 0.4
PACES, TRACTS = (0.8, 1.3), (0.87, 1.17)
CUT = 0.3
STEPS = 1500
MORE = (
    "turn it up", "the lights please", "maybe later", "in London", "play some jazz", "twenty", "lamp",
    "kitchen light", "thank you", "eleven", "news", "my sister", "banana", "garden", "Sunday", "remind me",
)  # fmt: skip
"""Other words, beside those of clips.py."""


@dataclass(frozen=True, slots=True)
class Seen:
    text: str
    kind: int
    whole: bool
    seen: Any
    """What the network sees."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.recipes.short_phrases.second_opinion", description=__doc__
    )
    parser.add_argument("--out", type=Path, default=BUNDLED / "short-sounds.npz")
    write(parser.parse_args().out, [each for part in range(PARTS) for each in examples(part)])


def write(out: Path, found: list[Seen]) -> None:
    rows = fit(found, np.stack([each.seen for each in found]), steps=STEPS)
    np.savez_compressed(out, **{name: values.astype(np.float16) for name, values in rows.items()})
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB, {len(found)} examples")


def examples(part: int) -> list[Seen]:
    """A tenth of all, always the same one but for espeak-ng's own dice."""
    dice = np.random.default_rng([1, part])
    clips = [*_by_espeak(dice), *_by_flite(dice)]
    clips += [
        ("hum", "murmur", hum(str(dice.choice(list(HUMS))), int(dice.integers(2**31)))) for _ in range(HUMS_EACH)
    ]
    bursts = list(said.bursts(PARTS * BURSTS_EACH))[part::PARTS]
    clips += [(each.text, each.kind, each.samples) for each in bursts]
    sounds = [(text, *heard) for text, kind, samples in clips for heard in _heard(samples, kind, dice)]
    return [Seen(*rest, seen) for (*rest, _), seen in zip(sounds, _seen([each[-1] for each in sounds]), strict=True)]


def _drawn(dice: np.random.Generator) -> tuple[str, str, str]:
    """(what it counts as text, its kind, how a synthesiser is made to say it)."""
    phrases = [*zip(*known_phrases(), strict=True), *((text, "else") for text in (*said.OTHERS, *MORE))]
    kind = str(dice.choice(list(SHARES), p=list(SHARES.values())))
    texts = [text for text, its in phrases if its == kind]
    often = [text for text in texts if text in said.OFTEN]
    text = str(dice.choice(often if often and dice.random() < OFTEN else texts))
    spoken = [each for each in said.SPOKEN.get(text, (text,)) if not each.startswith("[[")]
    return text, kind, str(dice.choice(spoken))


def _by_espeak(dice: np.random.Generator) -> Iterator[tuple[str, str, Samples]]:
    for _ in range(ESPEAK_EACH):
        text, kind, spoken = _drawn(dice)
        voice = f"{dice.choice(ACCENTS)}+{dice.choice(FITTED)}".removesuffix("+")
        chunks = list(_espeak().synthesize(spoken, voice, float(dice.uniform(*PACES)), None))
        pcm = np.concatenate([chunk.pcm for chunk in chunks]).astype(np.float32)
        found = trimmed(
            np.asarray(soxr.resample(pcm, chunks[0].rate_hz * dice.uniform(*TRACTS), RATE_HZ), np.float32)
        )
        if found.size:
            yield text, kind, found


def _by_flite(dice: np.random.Generator) -> Iterator[tuple[str, str, Samples]]:
    for _ in range(FLITE_EACH):
        text, kind, spoken = _drawn(dice)
        voice = f"flite {dice.choice(FLITE_FITTED)} {dice.uniform(*TRACTS):.3f}"
        found = speak(spoken, voice, 50, int(175 * dice.uniform(*PACES)))
        if found.size:
            yield from [(text, kind, found)] * FLITE_ROOMS


def _heard(dry: Samples, kind: str, dice: np.random.Generator) -> Iterator[tuple[int, bool, Any]]:
    """(kind, whole, sound at one level): the sound in its room; one in three is cut off somewhere, too."""
    kinds, short = _tools()
    for pcm, counts_as, whole in in_a_room(dry, kind, lambda: bool(dice.random() < CUT), dice):
        span = short.short_span(pcm)
        if span is not None:
            yield short.KINDS.index(counts_as), whole, kinds.levelled(pcm, span)


def _seen(sounds: list[Any]) -> list[Any]:
    """What the network sees of each, many at a time."""
    kinds, embedding = _tools()[0], _embedding()
    found: dict[int, Any] = {}
    order = sorted(range(len(sounds)), key=lambda number: sounds[number].size)
    for begin in range(0, len(order), 48):
        some = order[begin : begin + 48]
        longest = max(sounds[number].size for number in some)
        audio = np.stack([np.pad(sounds[number], (0, longest - sounds[number].size)) for number in some])
        for number, embeddings in zip(some, embedding.of_sounds(audio), strict=True):
            found[number] = kinds.pooled(embeddings[: sounds[number].size // kinds.FRAME])
    return [found[number] for number in range(len(sounds))]


@cache
def _tools() -> tuple[Any, Any]:
    """The product's own code."""
    return importlib.import_module("voice.sphinx.sound_kinds"), importlib.import_module("voice.sphinx.short_phrases")


@cache
def _embedding() -> Any:
    return _tools()[0].sound_embedding()


@cache
def _espeak() -> Any:
    port = importlib.import_module("voice.port")
    return importlib.import_module("models.registry").discover("voice.tts")["espeak"].load(port.EngineConfig())


if __name__ == "__main__":
    main()
