"""The whole recipe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from models.recipes.whisper_mini.ct2_format import write_model
from models.recipes.whisper_mini.features import make_encoder
from models.recipes.whisper_mini.fit import fit
from models.recipes.whisper_mini.tokens import vocabulary, write_tokenizer
from models.recipes.whisper_mini.weights import whisper_weights

__all__ = ["build"]

SEED = 7


def build(out: Path, *, multilingual: bool = True) -> None:
    """Write the smallest Whisper model directory that faster-whisper loads; see the package's docstring."""
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    known = vocabulary(multilingual=multilingual)
    encoder = make_encoder(rng)
    weights = whisper_weights(encoder, fit(encoder, rng), known)
    write_model(out / "model.bin", "WhisperSpec", 3, weights)
    config = {
        "alignment_heads": [[0, 0]],
        "lang_ids": list(known.languages),
        "suppress_ids": [],
        "suppress_ids_begin": [],
    }
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (out / "vocabulary.json").write_text(json.dumps(list(known.tokens)), encoding="utf-8")
    write_tokenizer(known, out / "tokenizer.json")
