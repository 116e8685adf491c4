"""The whole recipe."""

from __future__ import annotations

import json
from pathlib import Path

import onnx

from models.recipes.piper_mini.diphones import HOP, RATE_HZ, record
from models.recipes.piper_mini.graph import voice_graph

__all__ = ["build"]


def build(out: Path, name: str = "en_US-mini-x_low") -> Path:
    """Write `{name}.onnx` and `{name}.onnx.json` into the folder `out`; returns the path of the former."""
    from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

    out.mkdir(parents=True, exist_ok=True)
    id_map = {phoneme: list(ids) for phoneme, ids in DEFAULT_PHONEME_ID_MAP.items()}
    path = out / f"{name}.onnx"
    onnx.save(voice_graph(record(), id_map), str(path))
    config = {
        "audio": {"sample_rate": RATE_HZ, "quality": "x_low"},
        "dataset": "mini",
        "espeak": {"voice": "en-us"},
        "hop_length": HOP,
        "inference": {"length_scale": 1, "noise_scale": 0.667, "noise_w": 0.8},
        "language": {"code": "en_US", "family": "en", "region": "US", "name_english": "English"},
        "num_speakers": 1,
        "num_symbols": len(id_map),
        "phoneme_id_map": id_map,
        "phoneme_type": "espeak",
        "piper_version": "1.0.0",
        "speaker_id_map": {},
    }
    path.with_suffix(".onnx.json").write_text(json.dumps(config, ensure_ascii=False, indent=1), encoding="utf-8")
    return path
