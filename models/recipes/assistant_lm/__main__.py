"""`python -m models.recipes.assistant_lm --out DIR`: language model and dictionary of the pocketsphinx recogniser.

Writes `assistant.lm.bin`, `assistant.dic` (put both into models/bundled/) and `assistant.arpa` (to look at),
and prints word error rates where the recordings are. Sentences of those recordings are kept out of the corpus.
The same arguments and the same corpus give the same files. A minute or two on one core.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from models.recipes.assistant_lm import arpa, evaluate, kneser_ney, text, vocabulary
from models.recipes.corpus.dialogue import is_withheld

END_SHARE = 0.05
FLATTEN = 0.75


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.recipes.assistant_lm", description="build the recogniser's language model"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lines", type=int, default=200_000, help="sentences to draw from the corpus")
    parser.add_argument("--common", type=int, default=500, help="words of general English to know besides")
    parser.add_argument("--seed", type=int, default=1)
    default = Path(os.environ.get("PARLEY_TEST_MODELS", "../shared/testdata"))
    parser.add_argument("--testdata", type=Path, default=default, help="recordings with a manifest.tsv")
    parser.add_argument("--verbose", action="store_true", help="print every clip that was misheard")
    args = parser.parse_args()

    started = time.monotonic()
    sets = {}
    if (args.testdata / "manifest.tsv").is_file():
        sets = {folder: evaluate.clips(args.testdata, folder) for folder in evaluate.SETS}
    tests = {" ".join(clip.words) for found in sets.values() for clip in found}
    args.out.mkdir(parents=True, exist_ok=True)
    build(args.out, args.lines, args.common, args.seed, tests)
    print(f"built in {time.monotonic() - started:.0f} s")
    if not sets:
        print(f"no recordings at {args.testdata}: nothing measured")
        return
    engine = evaluate.engine_with(args.out / "assistant.lm.bin", args.out / "assistant.dic")
    print(f"{'recordings':24} {'clips':>5} {'words':>5} {'WER':>6} {'right':>6} {'x real time':>11}")
    for folder, found in sets.items():
        result = evaluate.score(engine, found)
        print(
            f"{folder:24} {result.clips:5} {result.words:5} {result.wer:6.3f} "
            f"{result.right_clips / max(1, result.clips):6.0%} {result.real_time_factor:11.2f}"
        )
        if args.verbose:
            print("\n".join(f"    {line}" for line in result.misheard))


def build(out: Path, lines: int, common: int, seed: int, refused_texts: set[str]) -> None:
    """Write the three files. `refused_texts` (normalised) never enter the corpus."""
    lexicon = vocabulary.load()
    sentences, refused = text.sentences(
        lines,
        seed,
        lexicon.entries,
        lambda line: is_withheld(line) or " ".join(evaluate.spoken(line)) in refused_texts,
    )
    print(f"{len(sentences)} different sentences; {refused} lines refused because a test clip says them")
    # Flattened: how often a template repeats says only a little about how often people say it.
    counts = kneser_ney.count((words, max(1, round(number**FLATTEN))) for words, number in sentences.items())
    words = {ngram[0] for ngram in counts[0]} - {kneser_ney.END}
    words |= set(lexicon.common(common))
    floor = {word: lexicon.general.get(word, vocabulary.RARE) for word in sorted(words)}
    floor[kneser_ney.END] = END_SHARE
    model = kneser_ney.estimate(counts, floor)
    arpa.write(model, out / "assistant.arpa")
    arpa.to_binary(out / "assistant.arpa", out / "assistant.lm.bin")
    lexicon.write(words, out / "assistant.dic")
    grams = ", ".join(f"{len(level)} {n}-grams" for n, level in enumerate(model.probs, 1))
    print(f"{len(words)} words; {grams}; {(out / 'assistant.lm.bin').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
