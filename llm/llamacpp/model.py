"""Loading a GGUF file with llama.cpp."""

from __future__ import annotations

import ctypes
from typing import Any

from llm.batching.events import Limits
from llm.engine import EngineConfig
from llm.llamacpp.library import extra_buffers, native, prepare
from llm.llamacpp.option_text import parse_shares
from llm.llamacpp.plan import plan_limits
from llm.memory.machine import host_memory
from llm.settings import EngineSettings, SplitMode
from models.errors import ModelUnreadable
from models.formats.gguf import GgufHeader

__all__ = ["load_model", "on_cpu"]

ALL_LAYERS = 1_000_000
SPLIT_MODES: dict[SplitMode, int] = {"none": 0, "layer": 1, "row": 2}
"""enum llama_split_mode."""


def _tensor_shares(text: str, devices: int) -> Any:
    """ "3,1" as a C array with a number for every device. Raises SettingsError."""
    shares = parse_shares(text, devices)
    return (ctypes.c_float * max(1, devices))(*shares)


def load_model(config: EngineConfig, header: GgufHeader) -> tuple[Any, Limits]:
    """The model's pointer and how it is going to be used. Raises ModelUnreadable."""
    prepare()
    settings = config.settings
    params = native.llama_model_default_params()
    params.n_gpu_layers = ALL_LAYERS if settings.n_gpu_layers < 0 else settings.n_gpu_layers
    params.use_extra_bufts = extra_buffers(settings.extra_buffers)
    params.main_gpu = settings.main_gpu
    params.split_mode = SPLIT_MODES[settings.split_mode]
    if settings.tensor_split:
        shares = _tensor_shares(settings.tensor_split, native.llama_max_devices())
        params.tensor_split = shares  # ctypes keeps it alive as long as params
    params.load_mode = (1 if settings.mmap else 0) + (2 if settings.mlock else 0)  # enum llama_load_mode

    def progress(done: float, _: Any) -> bool:
        config.on_progress(done)
        return True

    callback = native.llama_progress_callback(progress)
    params.progress_callback = callback
    model = native.llama_model_load_from_file(str(config.model).encode(), params)
    if not model:
        raise ModelUnreadable(
            f"llama.cpp cannot load {config.model.name}", hint="see the lines above in the worker's log"
        )
    if header.kind == "llm" and (not native.llama_model_has_decoder(model) or native.llama_model_has_encoder(model)):
        raise ModelUnreadable(f"{config.model.name} has an encoder; only plain text generators are supported")
    rewind = not (native.llama_model_is_recurrent(model) or native.llama_model_is_hybrid(model))
    limits = plan_limits(
        header,
        settings,
        rewind=rewind,
        most_sequences=native.llama_max_parallel_sequences(),
        memory_bytes=host_memory().total,
        offloads=on_cpu(settings),
    )
    return model, limits


def on_cpu(settings: EngineSettings) -> bool:
    """Whether the KV cache is in ordinary memory."""
    return not (native.llama_supports_gpu_offload() and settings.n_gpu_layers and settings.offload_kqv)
