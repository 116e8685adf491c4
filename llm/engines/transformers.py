"""transformers: safetensors models with PyTorch, for what has no GGUF form. Code in a model's folder is never run.

4 and 8 bit weights come from bitsandbytes where it is installed and knows the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from llm.cores import cores
from llm.engine import Engine, EngineConfig, EngineSpec
from llm.memory.cards import Cards, Division
from llm.memory.fit import FitSum
from llm.memory.gpu_builds import TORCH, ships
from llm.memory.machine import host_memory
from llm.settings import EngineSettings
from llm.stepwise.caches import CachedSequences
from llm.stepwise.folder import card_of, limits_of
from llm.stepwise.port import Logits
from models.errors import ModelUnreadable
from models.formats.safetensors import checked_config

__all__ = ["SPEC", "TorchModel", "divide", "load"]

RUNTIME_HOST_BYTES, RUNTIME_GPU_BYTES = 2 << 30, 500 << 20
"""What PyTorch with CUDA takes of either for itself. Guessed; measuring corrects it."""


class TorchModel(CachedSequences[Any]):
    """A StepModel: one DynamicCache a sequence."""

    def __init__(self, model: Any) -> None:
        import torch

        self._torch = torch
        super().__init__()
        self._model = model
        self.vocabulary = int(model.get_output_embeddings().weight.shape[0])
        self.parameters = sum(int(weights.numel()) for weights in model.parameters())

    def extend(self, sequence: int, tokens: Sequence[int]) -> Logits:
        from transformers import DynamicCache

        cache = self._caches.get(sequence)
        if cache is None:
            cache = DynamicCache(config=self._model.config.get_text_config())
        self._caches[sequence] = cache
        with self._torch.inference_mode():
            ids = self._torch.tensor([list(tokens)], device=self._model.device)
            out = self._model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            logits = out.logits[0, -1].float().cpu().numpy()
        return np.asarray(logits, np.float32)

    def trim(self, sequence: int, keep: int) -> bool:
        """False for caches that have let go of older tokens (sliding windows) or keep a state (recurrent models)."""
        cache = self._caches.get(sequence)
        if cache is None:
            return keep == 0
        try:
            cache.crop(min(0, keep - int(cache.get_seq_length())))
            right = int(cache.get_seq_length()) == keep
        except (ValueError, RuntimeError, NotImplementedError, AttributeError):
            right = False
        if not right:
            self.clear(sequence)
        return right

    def close(self) -> None:
        super().close()
        self._model = None


def load(config: EngineConfig) -> Engine:
    """Takes seconds to minutes. Raises ModelUnreadable."""
    found = checked_config(config.model)
    import torch
    from transformers import AutoModelForCausalLM

    from llm.stepwise.engine import StepEngine
    from llm.stepwise.text import FolderText

    settings = config.settings
    torch.set_num_threads(settings.threads or min(torch.get_num_threads(), cores()))
    text = FolderText(config.model, settings.chat_template)
    config.on_progress(0.1)
    gpu = torch.cuda.is_available() and settings.n_gpu_layers != 0
    options: dict[str, Any] = {"dtype": "auto" if gpu else torch.float32}
    if settings.load_bits:
        options["quantization_config"] = _reduced(settings.load_bits)
    if gpu:
        options["device_map"] = "auto"
    try:
        model = AutoModelForCausalLM.from_pretrained(
            str(config.model), trust_remote_code=False, local_files_only=True, use_safetensors=True, **options
        )
    except Exception as error:  # the library's many kinds
        raise ModelUnreadable(f"{config.name} cannot be loaded: {str(error)[:300]}") from error
    model.eval()
    plain = TorchModel(model)
    limits = limits_of(config, found, host_memory().total, rewind=_rewinds(model))
    config.on_progress(0.9)
    plain.extend(0, [0])  # the first pass is slow
    plain.clear(0)
    size = sum(path.stat().st_size for path in config.model.glob("*.safetensors"))
    return StepEngine(config, plain, text, limits, card_of(config, found, plain, text, limits, size))


def _rewinds(model: Any) -> bool:
    """Whether every layer keeps all its tokens."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    cache = DynamicCache(config=model.config.get_text_config())
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def _reduced(bits: int) -> Any:
    if find_spec("bitsandbytes") is None:
        raise ModelUnreadable("load_bits needs bitsandbytes", hint="`pip install bitsandbytes`, or load_bits = 0")
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_4bit=bits == 4, load_in_8bit=bits == 8)


def _fitness(model: Path) -> int:
    return 10 if find_spec("torch") is not None and find_spec("transformers") is not None else 0


def divide(fit: FitSum, settings: EngineSettings, cards: Cards) -> Division:
    """`device_map="auto"` spreads the layers over the cards by what is free."""
    if not cards or settings.n_gpu_layers == 0 or not ships(*TORCH):
        return Division(fit.total)
    moved = fit.weights + fit.kv + fit.state + fit.compute
    return Division(fit.total - moved + RUNTIME_HOST_BYTES, moved + RUNTIME_GPU_BYTES)


SPEC = EngineSpec(
    "transformers",
    load,
    ("safetensors",),
    "safetensors models with PyTorch",
    _fitness,
    extra="transformers",
    divide=divide,
)
