"""MLX: safetensors models on Apple's chips (and, slower, on CPUs of Linux), through mlx-lm."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from llm.engine import Engine, EngineConfig, EngineSpec
from llm.memory.machine import host_memory
from llm.stepwise.caches import CachedSequences
from llm.stepwise.folder import card_of, limits_of
from llm.stepwise.port import Logits
from models.errors import ModelUnreadable
from models.formats.safetensors import checked_config

__all__ = ["SPEC", "MlxModel", "load"]


class MlxModel(CachedSequences[list[Any]]):
    """A StepModel: one prompt cache a sequence. MLX keeps a stream for each thread, so arrays are made where used."""

    def __init__(self, model: Any, vocabulary: int, max_kv_size: int) -> None:
        from mlx.utils import tree_flatten

        super().__init__()
        self._model = model
        self._most = max_kv_size or None
        self.vocabulary = vocabulary
        self.parameters = sum(int(value.size) for _, value in tree_flatten(model.parameters()))

    def new_cache(self) -> list[Any]:
        from mlx_lm.models.cache import make_prompt_cache

        return list(make_prompt_cache(self._model, self._most))

    def extend(self, sequence: int, tokens: Sequence[int]) -> Logits:
        import mlx.core as mx

        cache = self._caches.get(sequence)
        if cache is None:
            cache = self._caches[sequence] = self.new_cache()
        logits = self._model(mx.array([list(tokens)]), cache=cache)[0, -1].astype(mx.float32)
        mx.eval(logits, [part.state for part in cache])
        return np.asarray(logits, np.float32)

    def trim(self, sequence: int, keep: int) -> bool:
        """False for caches that have let go of older tokens, or that keep a state."""
        from mlx_lm.models.cache import trim_prompt_cache

        cache = self._caches.get(sequence)
        if cache is None:
            return keep == 0
        more = int(cache[0].offset) - keep
        if more == 0 or trim_prompt_cache(cache, more) == more:
            return True
        self.clear(sequence)
        return False

    def close(self) -> None:
        super().close()
        self._model = None


def load(config: EngineConfig) -> Engine:
    """Takes seconds to minutes. Raises ModelUnreadable."""
    found = checked_config(config.model)
    from mlx_lm.models.cache import can_trim_prompt_cache
    from mlx_lm.utils import load_model

    from llm.stepwise.engine import StepEngine
    from llm.stepwise.text import FolderText

    settings = config.settings
    text = FolderText(config.model, settings.chat_template)
    config.on_progress(0.1)
    try:
        model, _ = load_model(config.model, trust_remote_code=False)
        if settings.load_bits and not found.quantized:
            import mlx.nn as nn

            nn.quantize(model, bits=settings.load_bits)
    except Exception as error:  # the library's many kinds
        raise ModelUnreadable(f"{config.name} cannot be loaded: {str(error)[:300]}") from error
    config.on_progress(0.9)
    plain = MlxModel(model, found.vocabulary, settings.max_kv_size)
    rewind = bool(can_trim_prompt_cache(plain.new_cache()))
    limits = limits_of(config, found, host_memory().total, rewind=rewind)
    size = sum(path.stat().st_size for path in config.model.glob("*.safetensors"))
    return StepEngine(config, plain, text, limits, card_of(config, found, plain, text, limits, size))


def _fitness(model: Path) -> int:
    found = find_spec("mlx")
    if found is None or find_spec("mlx_lm") is None:
        return 0
    # On Linux the library itself comes with mlx[cpu] or mlx[cuda], and the package without it cannot be imported.
    if not any(list(Path(place).glob("lib/libmlx.*")) for place in found.submodule_search_locations or ()):
        return 0
    return 30 if platform.system() == "Darwin" and platform.machine() == "arm64" else 1


SPEC = EngineSpec("mlx", load, ("safetensors",), "safetensors models on Apple's chips", _fitness, extra="mlx")
