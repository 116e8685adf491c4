"""`python -m models.recipes.short_phrases --out FILE`: ten minutes on two cores. Needs the `recipes` extra."""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from models.recipes.short_phrases.clips import QUESTIONS, RATE_HZ, Clip, clips, sounds_like_noise
from models.recipes.short_phrases.fit import fit, report

BUNDLED = Path(__file__).resolve().parents[2] / "bundled"
KINDS = ("stop", "murmur", "else")
BEFORE_S, AFTER_S = 0.32, (0.06, 0.13, 0.2)
MOSTLY_SAID = 0.75
"""Of a phrase, when it counts as said."""
CUTS = (0.35, 0.55, 0.8)
GAINS, NOISES = (0.15, 0.4, 1.0), (6.0, 12.0, 30.0, 80.0)


@dataclass(frozen=True, slots=True)
class Example:
    clip: Clip
    kind: int
    whole: bool
    phrases: Any
    """Log likelihoods [phrases], those of the loop taken off."""
    frames: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m models.recipes.short_phrases", description=__doc__)
    parser.add_argument("--out", type=Path, default=BUNDLED / "short-phrases.json")
    out = parser.parse_args().out
    phrases, kinds = _phrases()
    said = clips(*([each for each, kind in zip(phrases, kinds, strict=True) if kind == k] for k in KINDS[:2]))
    with multiprocessing.Pool(2) as pool:
        jobs = list(enumerate([*said, *sounds_like_noise(200)]))
        examples = [each for found in pool.imap(_examples, jobs, 50) for each in found]
    print(f"{len(examples)} examples of {len(jobs)} sounds")
    groups = np.array([KINDS.index(kind) for kind in kinds])
    table = fit([each for each in examples if not each.clip.held_out], groups)
    out.write_text(json.dumps({"phrases": phrases, "kinds": kinds, **table.as_json()}, indent=1) + "\n", "utf-8")
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")
    report(table, examples, groups)


def _phrases() -> tuple[list[str], list[str]]:
    """Those of the product, and question words."""
    bargein, settings = (importlib.import_module(name) for name in ("voice.turn.bargein", "voice.settings"))
    known = _tools()[1]
    lists = ((settings.STOP_PHRASES, "stop"), (bargein.INTERRUPTERS, "stop"), (bargein.MURMURS, "murmur"))
    found: dict[str, str] = {}
    for phrases, kind in (*lists, (QUESTIONS, "else")):
        for phrase in phrases:
            if all(word in known for word in phrase.split()):
                found.setdefault(phrase, kind)
    return list(found), list(found.values())


@cache
def _tools() -> tuple[Any, Any, Any]:
    """The product's own code: (module, pronunciations, acoustics)."""
    import pocketsphinx

    short = importlib.import_module("voice.sphinx.short_phrases")
    acoustics = importlib.import_module("voice.sphinx.acoustics").Acoustics
    model = acoustics(Path(pocketsphinx.get_model_path()) / "en-us" / "en-us")
    return short, short.pronunciations(BUNDLED / "assistant.dic"), model


@cache
def _scorer() -> Any:
    _, sounds, acoustics = _tools()
    return importlib.import_module("voice.sphinx.phrase_scores").PhraseScores(acoustics, _phrases()[0], sounds)


def _examples(job: tuple[int, Clip]) -> Sequence[Example]:
    return list(_made(*job))


def _made(number: int, clip: Clip) -> Iterator[Example]:
    """The sound with its room around it, whole; one in three is cut off somewhere, too."""
    dice = np.random.default_rng(number)
    noise, gain = float(dice.choice(NOISES)), float(dice.choice(GAINS))
    before = int(BEFORE_S * RATE_HZ)
    after = int(float(dice.choice(AFTER_S)) * RATE_HZ)
    whole = np.concatenate((np.zeros(before), clip.pcm * gain, np.zeros(after)))
    whole += dice.normal(0, noise, whole.size)
    kind = KINDS.index(clip.kind)
    lengths = [(whole.size, kind, True)]
    if number % 3 == 0:
        share = float(dice.choice(CUTS))
        half = kind if share >= MOSTLY_SAID or clip.kind == "murmur" and share > 0.5 else KINDS.index("else")
        lengths.append((before + int(clip.pcm.size * share), half, False))
    for length, counts_as, all_of_it in lengths:
        pcm = whole[:length].round().clip(-32768, 32767).astype(np.int16)
        scores = _tools()[0].hear(pcm, _scorer())
        if scores is not None:
            yield Example(clip, counts_as, all_of_it, scores.phrases - scores.loop, scores.frames)


if __name__ == "__main__":
    main()
