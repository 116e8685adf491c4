"""A model as an ARPA text file, the form that every n-gram tool reads.

Format: "ARPA back-off n-gram format" of SRILM's ngram-format(5): log10 probability, n-gram, log10 back-off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from models.recipes.assistant_lm.kneser_ney import START, UNKNOWN, Model, NGram

ZERO = -99.0
"""log10 of zero, by convention."""


def write(model: Model, path: Path) -> None:
    """Write the model; the sentence start gets probability zero and only a back-off weight."""
    start: NGram = (START,)
    unigrams = {start: 0.0, (UNKNOWN,): 0.0, **model.probs[0]}
    levels = [unigrams, *model.probs[1:]]
    with path.open("w", encoding="utf-8") as out:
        out.write("\\data\\\n")
        out.writelines(f"ngram {n}={len(level)}\n" for n, level in enumerate(levels, 1))
        for n, level in enumerate(levels, 1):
            out.write(f"\n\\{n}-grams:\n")
            weights = model.backoffs[n - 1] if n <= len(model.backoffs) else {}
            for ngram in sorted(level):
                line = f"{_log(level[ngram]):.4f} {' '.join(ngram)}"
                if n <= len(model.backoffs):
                    line += f" {_log(weights.get(ngram, 1.0)):.4f}"
                out.write(line + "\n")
        out.write("\n\\end\\\n")


def read(path: Path) -> Iterator[tuple[NGram, float, float]]:
    """(n-gram, probability, back-off weight) of every line of an ARPA file, in its order."""
    order = 0
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("\\"):
                head = line.strip().removeprefix("\\").removesuffix("-grams:")
                order = int(head) if head.isdigit() else 0
                continue
            fields = line.split()
            if order and len(fields) > order:
                weight = 10 ** float(fields[order + 1]) if len(fields) > order + 1 else 1.0
                yield tuple(fields[1 : order + 1]), 10 ** float(fields[0]), weight


def _log(probability: float) -> float:
    return max(ZERO, math.log10(probability)) if probability > 0 else ZERO


def to_binary(source: Path, target: Path) -> None:
    """Convert with pocketsphinx itself, whose binary loads at once. Raises OSError when it refuses."""
    import pocketsphinx

    config = pocketsphinx.Config(loglevel="ERROR")
    model = pocketsphinx.NGramModel(config, pocketsphinx.LogMath(), str(source))
    model.write(str(target), pocketsphinx.NGramModel.str_to_type("bin"))
    if not target.is_file():
        raise OSError(f"pocketsphinx did not write {target}")
