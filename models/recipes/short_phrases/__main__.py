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

from models.recipes.short_phrases.clips import Clip, bursts, clips, hums
from models.recipes.short_phrases.fit import fit, report
from models.recipes.short_phrases.rooms import heard_in_a_room
from models.recipes.short_phrases.voices import RATE_HZ

BUNDLED = Path(__file__).resolve().parents[2] / "bundled"
HUMS, BURSTS = 500, 800
BEFORE_S, AFTER_S = (0.25, 0.4), (0.06, 0.13, 0.2, 0.3)
MOSTLY_SAID, HALF_SAID = 0.75, 0.5
"""Of a phrase, when it counts as said, and of a murmur."""
CUTS = (0.35, 0.55, 0.8)


@dataclass(frozen=True, slots=True)
class Example:
    text: str
    voice: str
    held_out: bool
    kind: int
    whole: bool
    phrases: Any
    """Log likelihoods [phrases], that of the loop taken off."""
    frames: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m models.recipes.short_phrases", description=__doc__)
    parser.add_argument("--out", type=Path, default=BUNDLED / "short-phrases.json")
    write(parser.parse_args().out, make_examples())


def write(out: Path, examples: Sequence[Example]) -> None:
    short, (phrases, kinds) = _tools()[0], known_phrases()
    groups = np.array([short.KINDS.index(kind) for kind in kinds])
    seen = np.stack([short.evidence(each.phrases, each.frames, groups, len(phrases)) for each in examples])
    fitted = np.array([not each.held_out for each in examples])
    found = fit([each for each in examples if not each.held_out], seen[fitted])
    rows = {name: [[round(float(value), 4) for value in row] for row in values] for name, values in found.items()}
    out.write_text(json.dumps({"phrases": phrases, "kinds": kinds, **rows}, separators=(",", ":")) + "\n", "utf-8")
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")
    table, scores = short.PhraseTable.read(out), importlib.import_module("voice.sphinx.phrase_scores").Scores
    heard = [table.weigh(scores(each.phrases, 0.0, each.frames)).kind for each in examples]
    report(np.array([short.KINDS.index(kind) for kind in heard]), examples, short.KINDS)


def make_examples() -> list[Example]:
    phrases, kinds = known_phrases()
    said = [*clips(phrases, kinds), *hums(HUMS), *bursts(BURSTS)]
    with multiprocessing.Pool(2) as pool:
        found = [each for some in pool.imap(_examples, enumerate(said), 50) for each in some]
    print(f"{len(found)} examples of {len(said)} sounds")
    return found


def known_phrases() -> tuple[list[str], list[str]]:
    """Those of the product whose words have a pronunciation, and their kinds."""
    bargein, settings = (importlib.import_module(name) for name in ("voice.turn.bargein", "voice.settings"))
    known = _tools()[1]
    lists = (
        (settings.STOP_PHRASES, "stop"),
        (bargein.INTERRUPTERS, "stop"),
        (bargein.MURMURS, "murmur"),
        (bargein.QUESTIONS, "question"),
    )
    found: dict[str, str] = {}
    for phrases, kind in lists:
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
    return importlib.import_module("voice.sphinx.phrase_scores").PhraseScores(acoustics, known_phrases()[0], sounds)


def _examples(job: tuple[int, Clip]) -> Sequence[Example]:
    return list(_made(*job))


def _made(number: int, clip: Clip) -> Iterator[Example]:
    """The sound in its room, whole; one in three is cut off somewhere, too."""
    dice = np.random.default_rng(number)
    before_s = float(dice.uniform(*BEFORE_S))
    whole = heard_in_a_room(clip.samples, before_s, float(dice.choice(AFTER_S)), dice)
    kinds = _tools()[0].KINDS
    kind = kinds.index(clip.kind)
    lengths = [(whole.size, kind, True)]
    if number % 3 == 0:
        share = float(dice.choice(CUTS))
        said = share >= MOSTLY_SAID or clip.kind == "murmur" and share > HALF_SAID
        size = int(before_s * RATE_HZ) + int(clip.samples.size * share)
        lengths.append((size, kind if said else kinds.index("else"), False))
    for length, counts_as, all_of_it in lengths:
        pcm = whole[:length].round().clip(-32768, 32767).astype(np.int16)
        scores = _tools()[0].hear(pcm, _scorer())
        if scores is not None:
            over = scores.phrases - scores.loop
            yield Example(clip.text, clip.voice, clip.held_out, counts_as, all_of_it, over, scores.frames)


if __name__ == "__main__":
    main()
