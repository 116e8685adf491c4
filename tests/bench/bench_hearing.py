"""How well the built-in recogniser understands people: word error rates on recordings with known transcripts."""

from __future__ import annotations

import os
from pathlib import Path

from models.recipes.assistant_lm import evaluate
from models.registry import discover
from tests.bench.report import ROOT, Options, Section, Table
from voice.port import EngineConfig

__all__ = ["run"]

_SETS = {
    "speech/commands_human": "commands to assistants, said by people",
    "speech/commands_tts": "the same kind, said by synthetic voices",
    "speech/read": "read books and news, said by people",
}
# Measured once with the same recordings, to know where one starts from.
_GENERAL = "0.91"


def run(options: Options) -> Section:
    root = Path(os.environ.get("PARLEY_TEST_MODELS", ROOT.parent / "shared" / "testdata"))
    if not (root / "manifest.tsv").is_file():
        raise SystemExit(f"no recordings at {root}: set PARLEY_TEST_MODELS")
    engine = discover("voice.stt")["pocketsphinx"].load(EngineConfig(options={"partial_decoders": "0"}))
    rows: list[tuple[object, ...]] = []
    for folder, title in _SETS.items():
        clips = evaluate.clips(root, folder)[: 10 if options.quick else None]
        found = evaluate.score(engine, clips)
        share = f"{found.right_clips / max(1, found.clips):.0%}"
        rows.append((title, found.clips, found.words, f"{found.wer:.2f}", share, f"{found.real_time_factor:.2f}"))
    return Section(
        "What the built-in recogniser understands",
        "pocketsphinx with the assistant language model that comes with Parley, on recordings with known "
        "transcripts, none of whose sentences are in the text it was made from. Word error rate: wrong, missing and "
        "added words, over the words that were said. With pocketsphinx's own general language model it is "
        f"{_GENERAL} for the first row. It is made for commands to assistants, not for books and news.",
        (Table(("recordings", "clips", "words", "word error rate", "clips right", "CPU s per s"), tuple(rows)),),
    )
