"""How much context and how many sequences a model gets: from its header, the settings and the memory budget. Pure."""

from __future__ import annotations

from dataclasses import replace

from llm.batching.events import Limits
from llm.settings import EngineSettings, KvCacheType
from models.formats.gguf import GgufHeader

__all__ = ["MOST_CONTEXT", "key_type", "kv_bytes_per_token", "plan_limits", "settled", "value_type"]

KV_BYTES: dict[KvCacheType, float] = {
    "f32": 4.0,
    "f16": 2.0,
    "bf16": 2.0,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q4_0": 18 / 32,
}
"""Bytes an element of the cache takes (ggml-common.h)."""

SMALL_HEAD = 32
"""Numbers. With heads of fewer, ggml's loops over f16 take them one by one, and to turn one into f32 and back costs
more than to compute with it; bf16 is the upper half of an f32. A step of stories260K (heads of 8), 8 replies with 40
tokens of history, two threads: 0.66 ms with f16, 0.38 with bf16. parley-mini (64): 0.80 and 1.42."""

MOST_CONTEXT = 8192
"""Without a wish in the settings; models trained on 128k tokens would reserve gigabytes that nobody asked for."""
MOST_BUDGET_BYTES = 4 << 30
IDLE_SEQUENCES = 32
"""Conversations kept beside those that are being answered."""
IDLE_STATES = 4
"""The same for models with a state per sequence (recurrent ones), where each costs memory from the start."""
RESIDENT_TOKENS = 1024
"""Idle tokens that stay in the cache. parley-mini, 8 replies at once, one thread: 3.8 ms a step, 0.4 more for each
thousand idle tokens; 8 replies of a crowd that leaves 9000 behind took 14 ms a step."""
NOBODYS_TOKENS = 128
"""Of no conversation, among them: these are asked for again more rarely. One reply of parley-mini, two threads:
0.77 ms a step, 0.98 beside a thousand idle tokens."""
OFFLOADED_BYTES, OFFLOADED_SHARE = 256 << 20, 16
"""What is offloaded may take so much; on machines with more memory its 16th part; never more than `cache_ram_mib`."""


def plan_limits(
    header: GgufHeader,
    settings: EngineSettings,
    *,
    rewind: bool,
    most_sequences: int,
    memory_bytes: int,
    offloads: bool = False,
) -> Limits:
    """`most_sequences` is the library's own bound, `memory_bytes` what the machine has. `offloads`: the cache is in
    ordinary memory and read by the CPU, which passes over idle tokens slowly."""
    trained = header.context_length or 2048
    context = settings.ctx_size or min(trained, MOST_CONTEXT)
    if not _stretched(settings):
        context = min(context, trained)  # beyond it a model writes nonsense
    places = max(1, min(settings.parallel, most_sequences))
    voice = max(0, min(settings.voice_places, most_sequences - places))
    sequences = min(most_sequences, places + voice + (IDLE_SEQUENCES if rewind else IDLE_STATES))
    budget = settings.kv_budget_mib * 2**20 or min(MOST_BUDGET_BYTES, memory_bytes // 4)
    affordable = int(budget / max(kv_bytes_per_token(header, settings), 1.0))
    pool = max(context, min(context * (places + voice), affordable))
    step = max(settings.batch_size, places + voice)
    draft = min(settings.draft_tokens, step - 1) if rewind else 0
    aside = min(settings.cache_ram_mib << 20, max(OFFLOADED_BYTES, memory_bytes // OFFLOADED_SHARE))
    offloaded = min(pool, int(aside / max(kv_bytes_per_token(header, settings), 1.0))) if offloads else 0
    return Limits(
        places,
        voice,
        sequences,
        context,
        pool,
        step,
        settings.queue,
        rewind=rewind,
        draft=draft,
        resident=RESIDENT_TOKENS,
        unowned=NOBODYS_TOKENS,
        offloaded=offloaded if rewind else 0,
    )


def _stretched(settings: EngineSettings) -> bool:
    """Whether a context beyond the trained one was asked for knowingly."""
    return (
        settings.rope_scaling not in ("auto", "none") or settings.rope_freq_base > 0 or settings.rope_freq_scale > 0
    )


def kv_bytes_per_token(header: GgufHeader, settings: EngineSettings) -> float:
    """Keys and values of all layers. Layers that keep less (sliding windows, recurrent ones) are counted in full."""
    heads = max(1, _number(header, "attention.head_count", 32))
    kv_heads = _number(header, "attention.head_count_kv", heads)
    keys, values = _head(header)
    width = keys * KV_BYTES[key_type(settings)] + values * KV_BYTES[value_type(settings)]
    return _number(header, "block_count", 32) * kv_heads * width


def settled(settings: EngineSettings, header: GgufHeader, on_cpu: bool) -> EngineSettings:
    """With the type of the cache that "auto" stands for. `on_cpu`: that is where the cache is read."""
    if settings.kv_cache_type != "auto":
        return settings
    small = on_cpu and settings.flash_attention is not False and max(_head(header)) < SMALL_HEAD
    return replace(settings, kv_cache_type="bf16" if small else "f16")


def key_type(settings: EngineSettings) -> KvCacheType:
    return "f16" if settings.kv_cache_type == "auto" else settings.kv_cache_type


def value_type(settings: EngineSettings) -> KvCacheType:
    return key_type(settings) if settings.kv_cache_type_v == "same" else settings.kv_cache_type_v


def _head(header: GgufHeader) -> tuple[int, int]:
    """Numbers of a key and of a value."""
    width = _number(header, "embedding_length", 4096) // max(1, _number(header, "attention.head_count", 32))
    return _number(header, "attention.key_length", width), _number(header, "attention.value_length", width)


def _number(header: GgufHeader, key: str, otherwise: int) -> int:
    value = header.metadata.get(f"{header.architecture}.{key}", otherwise)
    if isinstance(value, tuple):  # one for each layer
        return max((item for item in value if isinstance(item, int)), default=otherwise)
    return value if isinstance(value, int) else otherwise
