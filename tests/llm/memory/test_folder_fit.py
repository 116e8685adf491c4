"""The sum of a folder with safetensors: by hand, by flags, and from files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm.memory.folder_fit import PROCESS_BYTES, largest_folder_context, predict_folder
from llm.settings import EngineSettings
from llm.workers.launch import folder_fit
from models.formats.safetensors import FolderWeights, ModelConfig, read_config, read_weights
from tests.llm.tiny_folder import FEED, KV_HEADS, LAYERS, WIDTH, make_folder

GIB = 1 << 30
LLAMA = ModelConfig(
    "LlamaForCausalLM", "llama", 131072, 16, 128256, 16 * 8 * 64 * 2 * 2, False, False, True, False, 2048, 8192
)
WEIGHTS = FolderWeights(2_471_645_608, 1_235_814_400)
ONE = EngineSettings(ctx_size=8192, parallel=1, voice_places=0)


def test_llama_3_2_1b_by_hand() -> None:
    """config.json of meta-llama/Llama-3.2-1B: 16 layers, 8 heads of 64 for keys, bf16."""
    fit = predict_folder(LLAMA, WEIGHTS, ONE, 64 * GIB, wide=False)
    assert fit.weights == 2_471_645_608 and fit.kv_per_token == 32768 and fit.kv == 8192 * 32768
    assert fit.total == fit.weights + fit.kv + fit.compute + PROCESS_BYTES
    wide = predict_folder(LLAMA, WEIGHTS, ONE, 64 * GIB, wide=True)
    assert wide.weights == 4 * 1_235_814_400 and wide.kv == 2 * fit.kv


@pytest.mark.parametrize(("bits", "share"), [(4, 0.5), (8, 1.0)])
def test_fewer_bits(bits: int, share: float) -> None:
    settings = EngineSettings(ctx_size=8192, parallel=1, voice_places=0, load_bits=bits)
    fit = predict_folder(LLAMA, WEIGHTS, settings, 64 * GIB, wide=False)
    assert share < fit.weights / WEIGHTS.parameters < 1.1 * share


def test_the_largest_context_fits_and_a_larger_one_does_not() -> None:
    for free in (3 * GIB, 4 * GIB):
        most = largest_folder_context(LLAMA, WEIGHTS, ONE, 64 * GIB, free, wide=False)
        assert 256 < most < 131072
        for context, fits in ((most, True), (most + 512, False)):
            settings = EngineSettings(ctx_size=context, parallel=1, voice_places=0)
            assert (predict_folder(LLAMA, WEIGHTS, settings, 64 * GIB, wide=False).total <= free) is fits
    assert largest_folder_context(LLAMA, WEIGHTS, ONE, 64 * GIB, GIB, wide=False) == 0


def test_what_the_files_say(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "m", context=512)
    found, weights = read_config(folder), read_weights(folder)
    assert (found.width, found.inner, found.layers) == (WIDTH, FEED, LAYERS)
    assert weights.parameters * 4 <= weights.size_bytes < weights.parameters * 4 + 10_000
    fit = folder_fit(folder, EngineSettings(), 8 * GIB)
    assert fit.context == 512 and fit.kv_per_token in (LAYERS * KV_HEADS * 8 * 2 * 2, LAYERS * KV_HEADS * 8 * 2 * 4)
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": {"bits": 4}}))
    assert folder_fit(folder, EngineSettings(load_bits=8), 8 * GIB).weights == weights.size_bytes
