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
from models.recipes.short_phrases.rooms import in_a_room

BUNDLED = Path(__file__).resolve().parents[2] / "bundled"
HUMS, BURSTS = 500, 800


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
    names = ("voice.turn.bargein", "voice.turn.back_channels", "voice.settings")
    bargein, back_channels, settings = map(importlib.import_module, names)
    known = _tools()[1]
    lists = (
        (settings.STOP_PHRASES, "stop"),
        (bargein.INTERRUPTERS, "stop"),
        (back_channels.MURMURS, "murmur"),
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
    short, dice = _tools()[0], np.random.default_rng(number)
    for pcm, kind, whole in in_a_room(clip.samples, clip.kind, lambda: number % 3 == 0, dice):
        span = short.short_span(pcm)
        if span is not None:
            scores = short.hear(pcm, span, _scorer())
            over = scores.phrases - scores.loop
            yield Example(clip.text, clip.voice, clip.held_out, short.KINDS.index(kind), whole, over, scores.frames)


if __name__ == "__main__":
    main()
