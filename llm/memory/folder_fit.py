"""How much memory a Hugging Face folder will take, as fit.py has it for GGUF files. Pure.

weights    the tensors as they are kept: 32 bit on a CPU with transformers, else as in the file, or as few bits as
           `load_bits` says
kv cache   keys and values of all layers, for all that conversations may hold together; it grows up to that
compute    what is alive in one pass of `batch_size` tokens
process    Python with torch or MLX, and the server of an idle worker
"""

from __future__ import annotations

from llm.llamacpp.plan import IDLE_SEQUENCES, MOST_BUDGET_BYTES, MOST_CONTEXT
from llm.memory.fit import FitSum
from llm.settings import EngineSettings
from models.formats.safetensors import FolderWeights, ModelConfig

__all__ = ["largest_folder_context", "predict_encoder", "predict_folder"]

PROCESS_BYTES = 375 << 20
"""A worker with a model of 0.3 MB, transformers or mlx, on Linux; measured."""
STEP = 256
_PASS = 0.3
"""A pass of four images, over the weights. Guessed; measuring corrects it."""
_OVERHEAD = 1.06
"""What scales and zero points add to weights of 4 or 8 bits in groups of 64."""


def predict_folder(
    config: ModelConfig, weights: FolderWeights, settings: EngineSettings, memory_bytes: int, *, wide: bool
) -> FitSum:
    """`wide`: everything is kept in 32 bit, as transformers does on a CPU. `memory_bytes`: what the machine has."""
    number = 4 if wide else 2
    trained = config.context or settings.ctx_size or MOST_CONTEXT
    context = min(settings.ctx_size or MOST_CONTEXT, trained)
    places = settings.parallel + settings.voice_places
    budget = settings.kv_budget_mib * 2**20 or min(MOST_BUDGET_BYTES, memory_bytes // 4)
    per_token = config.kv_bytes  # the engines plan in 16 bit
    cells = max(context, min(context * places, budget // max(1, per_token)))
    tokens = min(max(settings.batch_size, 1), context)
    stream = 8 * number * tokens * config.width
    forward = 2 * number * tokens * config.inner
    logits = 3 * 4 * config.vocabulary * places
    return FitSum(
        weights=_weights(config, weights, settings, wide),
        kv=per_token * cells * number // 2,
        state=0,
        compute=stream + forward + logits,
        process=PROCESS_BYTES,
        context=context,
        cells=cells,
        sequences=places + IDLE_SEQUENCES,
        kv_per_token=per_token * number / 2,
        attention_layers=config.layers,
        recurrent_layers=0,
    )


def predict_encoder(weights: FolderWeights) -> FitSum:
    """Of a model that only makes vectors of texts and images: in 32 bit, and nothing is kept between requests."""
    wide = 4 * weights.parameters
    return FitSum(
        weights=wide,
        kv=0,
        state=0,
        compute=int(wide * _PASS),
        process=PROCESS_BYTES,
        context=0,
        cells=0,
        sequences=1,
        kv_per_token=0.0,
        attention_layers=0,
        recurrent_layers=0,
    )


def largest_folder_context(
    config: ModelConfig,
    weights: FolderWeights,
    settings: EngineSettings,
    memory_bytes: int,
    free_bytes: int,
    ratio: float = 1.0,
    *,
    wide: bool,
) -> int:
    """The most tokens one conversation may have so that the sum, times `ratio`, fits; 0 if even 256 do not."""
    fixed = predict_folder(config, weights, settings, memory_bytes, wide=wide)
    left = free_bytes / ratio - (fixed.total - fixed.kv)
    most = min(config.context or 1 << 20, int(left / max(1.0, fixed.kv_per_token)))
    return max(0, most // STEP * STEP)


def _weights(config: ModelConfig, weights: FolderWeights, settings: EngineSettings, wide: bool) -> int:
    """1. Reduced already: as in the file. 2. Reduced while loading. 3. In 32 bit. 4. As in the file."""
    if config.quantized:  # 1
        return weights.size_bytes
    if settings.load_bits:  # 2
        return int(weights.parameters * settings.load_bits / 8 * _OVERHEAD)
    if wide:  # 3
        return 4 * weights.parameters
    return weights.size_bytes  # 4
