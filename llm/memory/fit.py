"""How much memory a GGUF model will take, from its header and the settings it is to be loaded with. Pure.

    weights    the file's tensors
    kv cache   keys and values of every layer that has attention, for the cells that the engine will make
    state      of layers that keep a fixed state a sequence instead (Mamba, RWKV, hybrids)
    compute    llama.cpp's scratch buffer, sized for one pass of `ubatch` tokens
    process    Python, libraries and the server of an idle worker
    cache RAM  conversations that nobody continues, out of the cache: they get what is left, and are no part of it

Widths are read from the shapes of the tensors where these are in the file, which is right for grouped queries,
latent attention (MLA) and models whose layers differ; else from the metadata.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from llm.llamacpp.plan import KV_BYTES, key_type, plan_limits, value_type
from llm.settings import EngineSettings
from models.formats.gguf import GgufHeader

__all__ = ["FitSum", "largest_context", "predict"]

MOST_SEQUENCES = 256
"""llama.cpp's LLAMA_MAX_SEQ."""
PROCESS_BYTES = 72 << 20
"""A worker with a model of 1 MB, less that model's own sums; measured, see docs/models.md."""
CELL_STEP = 256
"""llama.cpp rounds the number of cells up to this."""
_RECURRENT = re.compile(r"blk\.(\d+)\.(?:ssm_|time_mix|shortconv)")


@dataclass(frozen=True, slots=True)
class FitSum:
    """Bytes. `cells` are the tokens that all conversations together may hold, `context` what one of them may."""

    weights: int
    kv: int
    state: int
    compute: int
    process: int
    context: int
    cells: int
    sequences: int
    kv_per_token: float
    attention_layers: int
    recurrent_layers: int
    cache_ram: int = 0
    """What conversations out of the cache may take at most, as far as there is room."""

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.state + self.compute + self.process


def predict(header: GgufHeader, settings: EngineSettings, memory_bytes: int) -> FitSum:
    """`memory_bytes` is what the machine has: the engine sizes its cache by it where the settings do not."""
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    layers = range(_number(header, "block_count"))
    with_state = {found[1] for name in shapes if (found := _RECURRENT.match(name))}
    recurrent = [n for n in layers if str(n) in with_state]
    limits = plan_limits(
        header,
        settings,
        rewind=not recurrent,
        most_sequences=MOST_SEQUENCES,
        memory_bytes=memory_bytes,
        offloads=True,
    )
    cells = -(-limits.pool // CELL_STEP) * CELL_STEP
    shared = _number(header, "attention.shared_kv_layers")  # the last layers read the cache of earlier ones
    widths = [_kv_widths(header, shapes, n) for n in layers[: len(layers) - shared]]
    per_token = sum(keys for keys, _ in widths) * KV_BYTES[key_type(settings)]
    per_token += sum(values for _, values in widths) * KV_BYTES[value_type(settings)]
    return FitSum(
        weights=header.size_bytes,
        kv=int(per_token * cells),
        state=len(recurrent) * _state_bytes(header) * limits.sequences,
        compute=_compute_bytes(header, shapes, settings, cells, limits.sequences),
        process=PROCESS_BYTES,
        context=limits.context,
        cells=cells,
        sequences=limits.sequences,
        kv_per_token=per_token,
        attention_layers=sum(keys > 0 for keys, _ in widths),
        recurrent_layers=len(recurrent),
        cache_ram=int(per_token * limits.offloaded) if header.kind == "llm" else 0,
    )


def largest_context(
    header: GgufHeader, settings: EngineSettings, memory_bytes: int, free_bytes: int, ratio: float = 1.0
) -> int:
    """The most tokens one conversation may have so that the sum, times `ratio`, fits; 0 if even 256 do not. At most
    what the model was trained on.
    """
    low, high = 0, max(CELL_STEP, header.context_length or 2048) // CELL_STEP
    while low < high:
        middle = (low + high + 1) // 2
        wish = replace(settings, ctx_size=middle * CELL_STEP, kv_budget_mib=1)  # room for one such conversation
        if predict(header, wish, memory_bytes).total * ratio <= free_bytes:
            low = middle
        else:
            high = middle - 1
    return low * CELL_STEP


def _number(header: GgufHeader, key: str, otherwise: int = 0, layer: int | None = None) -> int:
    value = header.metadata.get(f"{header.architecture}.{key}", otherwise)
    if isinstance(value, tuple):  # one for each layer
        kept = [item for item in value if isinstance(item, int)]
        if layer is not None and layer < len(kept):
            return kept[layer]
        return max(kept, default=otherwise)
    return value if isinstance(value, int) else otherwise


def _kv_widths(header: GgufHeader, shapes: dict[str, tuple[int, ...]], layer: int) -> tuple[int, int]:
    """Elements of key and of value that one token leaves in this layer.

    1. Latent attention: the compressed pair, and its values once more. 2. Keys and values apart. 3. Fused, or no
    tensors to look at: the metadata. 4. No attention in this layer.
    """
    block = f"blk.{layer}."
    if (latent := shapes.get(block + "attn_kv_a_mqa.weight")) is not None:  # 1
        rank = _number(header, "attention.kv_lora_rank")
        return latent[-1], rank
    key, value = shapes.get(block + "attn_k.weight"), shapes.get(block + "attn_v.weight")
    if key is not None:  # 2
        return key[-1], (value or key)[-1]
    if shapes and block + "attn_qkv.weight" not in shapes:  # 4
        return 0, 0
    heads = max(1, _number(header, "attention.head_count", 32, layer))  # 3
    head = _number(header, "embedding_length", 4096) // heads
    kept = _number(header, "attention.head_count_kv", heads, layer)
    keys, values = _number(header, "attention.key_length", head), _number(header, "attention.value_length", head)
    return kept * keys, kept * values


def _state_bytes(header: GgufHeader) -> int:
    """Of one layer and sequence, in f32 (llama.cpp: n_embd_r and n_embd_s of its hyperparameters)."""
    inner, state = _number(header, "ssm.inner_size"), _number(header, "ssm.state_size")
    if inner:
        kernel, groups = _number(header, "ssm.conv_kernel", 4), _number(header, "ssm.group_count")
        return 4 * ((kernel - 1) * (inner + 2 * groups * state) + state * inner)
    width = _number(header, "embedding_length")
    if head := _number(header, "wkv.head_size"):
        return 4 * (_number(header, "token_shift_count", 2) * width + width * head)
    return 4 * width * max(1, _number(header, "shortconv.l_cache", 3) - 1)


def _compute_bytes(
    header: GgufHeader, shapes: dict[str, tuple[int, ...]], settings: EngineSettings, cells: int, outputs: int
) -> int:
    """What lives at once in the graph of one pass; compared with llama.cpp's own figures for eight shapes.

    1. the attention mask, a number for each token of the pass and cell, half as wide with flash attention. 2. without
    flash attention also the scores, as large for every head. 3. eight copies of the stream. 4. the feed-forward
    layer's two inner products. 5. the logits, in the graph and out of it.
    """
    tokens = min(settings.ubatch, max(settings.batch_size, 1))
    width = _number(header, "embedding_length", 4096)
    heads = max(1, _number(header, "attention.head_count", 32))
    inner = max(_number(header, "feed_forward_length", 4 * width), _number(header, "expert_feed_forward_length"))
    vocabulary = header.vocabulary or (shapes.get("token_embd.weight") or (0, 32_000))[-1]
    flash = settings.flash_attention is not False
    mask = (2 if flash else 4) * tokens * cells  # 1
    scores = 0 if flash else 4 * tokens * cells * heads  # 2
    stream = 8 * 4 * tokens * width  # 3
    forward = 4 * tokens * 2 * inner  # 4
    logits = 3 * 4 * vocabulary * min(outputs, tokens)  # 5
    return mask + scores + stream + forward + logits
