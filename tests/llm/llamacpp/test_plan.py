from __future__ import annotations

import pytest

from llm.batching.events import Limits
from llm.llamacpp.plan import key_type, kv_bytes_per_token, plan_limits, settled, value_type
from llm.settings import EngineSettings
from models.errors import SettingsError
from models.formats.gguf import GgufHeader

GIB = 1 << 30
# An 8 B llama 3: 32 layers, 8 of 32 heads keep keys and values, each 128 wide.
LARGE = {
    "general.architecture": "llama",
    "llama.block_count": 32,
    "llama.embedding_length": 4096,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 8,
    "llama.context_length": 131072,
}


def header(**changes: object) -> GgufHeader:
    return GgufHeader(3, LARGE | changes, {}, (), 0)  # type: ignore[arg-type]


def limits(of: GgufHeader | None = None, memory: int = 64 * GIB, **settings: object) -> Limits:
    of = of or header()
    engine = EngineSettings(**settings)  # type: ignore[arg-type]
    return plan_limits(of, engine, rewind=True, most_sequences=256, memory_bytes=memory)


def test_bytes_of_a_token() -> None:
    assert kv_bytes_per_token(header(), EngineSettings()) == 32 * 8 * 128 * 2 * 2
    assert kv_bytes_per_token(header(), EngineSettings(kv_cache_type="q8_0")) == 32 * 8 * 128 * 2 * 34 / 32
    layered = header(**{"llama.attention.head_count_kv": (8, 0, 4)})
    assert kv_bytes_per_token(layered, EngineSettings()) == 32 * 8 * 128 * 2 * 2
    wide = header(**{"llama.attention.key_length": 192, "llama.attention.value_length": 64})
    assert kv_bytes_per_token(wide, EngineSettings()) == 32 * 8 * (192 + 64) * 2


def test_small_heads_are_kept_in_bf16_where_the_cpu_reads_them_and_nobody_said_otherwise() -> None:
    small = header(**{"llama.embedding_length": 64, "llama.attention.head_count": 8})
    auto = EngineSettings()
    assert (key_type(auto), value_type(auto)) == ("f16", "f16")
    found = settled(auto, small, on_cpu=True)
    assert (key_type(found), value_type(found)) == ("bf16", "bf16")
    assert kv_bytes_per_token(small, auto) == kv_bytes_per_token(small, found)
    assert settled(auto, small, on_cpu=False).kv_cache_type == "f16"
    assert settled(auto, header(), on_cpu=True).kv_cache_type == "f16"
    wide = header(
        **{"llama.embedding_length": 64, "llama.attention.head_count": 8, "llama.attention.value_length": 32}
    )
    assert settled(auto, wide, on_cpu=True).kv_cache_type == "f16"
    assert settled(EngineSettings(flash_attention=False), small, on_cpu=True).kv_cache_type == "f16"
    asked = EngineSettings(kv_cache_type="q8_0", kv_cache_type_v="f32")
    assert settled(asked, small, on_cpu=True) == asked


def test_memory_bounds_the_pool_but_never_below_one_conversation() -> None:
    assert limits().context == 8192
    assert limits().pool == 4 * GIB // (128 << 10)
    assert limits(memory=8 * GIB).pool == 2 * GIB // (128 << 10)
    assert limits(memory=1 * GIB).pool == 8192
    assert limits(kv_budget_mib=2048).pool == 2 * GIB // (128 << 10)
    small = header(**{"llama.context_length": 1024, "llama.block_count": 2})
    assert limits(small).pool == 1024 * 10


def test_places_and_sequences() -> None:
    found = limits(parallel=3, voice_places=1, ctx_size=100, queue=5, batch_size=64)
    assert (found.places, found.voice_places, found.sequences) == (3, 1, 36)
    assert (found.context, found.queue, found.step_tokens) == (100, 5, 64)
    many = plan_limits(header(), EngineSettings(parallel=500), rewind=True, most_sequences=256, memory_bytes=64 * GIB)
    assert (many.places, many.voice_places, many.sequences) == (256, 0, 256)
    states = plan_limits(header(), EngineSettings(), rewind=False, most_sequences=256, memory_bytes=64 * GIB)
    assert states.sequences == 14 and not states.rewind


def test_a_step_has_room_for_everybody() -> None:
    assert limits(batch_size=4).step_tokens == 10


@pytest.mark.parametrize("wrong", [{"parallel": 0}, {"ctx_size": -1}, {"batch_size": 0}, {"n_gpu_layers": -2}])
def test_settings_that_cannot_be(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingsError) as caught:
        EngineSettings(**wrong)  # type: ignore[arg-type]
    assert caught.value.param in wrong


def test_a_header_that_says_nothing() -> None:
    empty = GgufHeader(3, {"general.architecture": "x"}, {}, (), 0)
    assert limits(empty).context == 2048 and limits(empty).pool >= 2048
