"""Settings that hold a list in one text: LoRA adapters, shares of the GPUs."""

from __future__ import annotations

import math
from pathlib import Path

from models.errors import SettingsError

__all__ = ["parse_lora", "parse_shares"]

MOST_SCALE = 100.0
"""As a request may ask for."""
MOST_DEVICES = 16
"""llama.cpp's GGML_CUDA_MAX_DEVICES."""


def parse_lora(text: str) -> list[tuple[Path, float]]:
    """ "a.gguf=0.5, b.gguf" as paths and scales. Raises SettingsError."""
    found = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        path, _, scale = entry.partition("=")
        try:
            number = float(scale or 1)
        except ValueError:
            number = math.nan
        if not -MOST_SCALE <= number <= MOST_SCALE:
            raise SettingsError(f"[llm.engine] lora: {scale!r} is not a scale", param="lora")
        found.append((Path(path.strip()).expanduser(), number))
    return found


def parse_shares(text: str, devices: int = MOST_DEVICES) -> tuple[float, ...]:
    """ "3,1": how much each GPU takes. () for "". Raises SettingsError."""
    if not text:
        return ()
    try:
        shares = [float(share) for share in text.split(",")]
    except ValueError:
        shares = [-1.0]
    if len(shares) > max(1, devices) or not all(0 <= share < float("inf") for share in shares) or not any(shares):
        raise SettingsError(
            f"[llm.engine] tensor_split {text!r}: numbers with commas, at most {max(1, devices)}",
            param="tensor_split",
        )
    return tuple(shares)
