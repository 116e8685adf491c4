"""vLLM: safetensors models on GPUs, run as its own server (`vllm serve`).

As a server and not in our process: its own scheduler batches requests, its own parsers know tool calls, schemas and
images, and they reach our clients unchanged, for a slot speaks OpenAI's language already. A crash of CUDA stays in
its process. The options are those of vLLM's documentation (docs.vllm.ai, "vllm serve"); `GET /health` answers 200
once the model is loaded. Its parsers must be named: llm/vllm_parsers.py tells which.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from llm.engine import Engine, EngineConfig, EngineSpec
from llm.memory.cards import Cards, Division
from llm.memory.fit import FitSum
from llm.settings import EngineSettings
from llm.vllm_parsers import parser_options, template_of
from models.errors import ModelUnreadable

__all__ = ["SPEC", "command", "divide", "load"]

OWN_SHARE = 0.9
"""--gpu-memory-utilization where we say nothing."""
HOST_BYTES = 4 << 30
"""Its processes and libraries. Guessed; measuring corrects it."""


def command(config: EngineConfig, port: int) -> Sequence[str]:
    """Of the settings that vLLM knows too; requests that wait are its own business."""
    settings = config.settings
    argv = [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", str(config.model)]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", config.name]
    argv += ["--max-num-seqs", str(settings.parallel + settings.voice_places)]
    argv += ["--tensor-parallel-size", str(settings.tensor_parallel)]
    if settings.gpu_memory_share:
        argv += ["--gpu-memory-utilization", f"{settings.gpu_memory_share:g}"]
    if settings.ctx_size:
        argv += ["--max-model-len", str(settings.ctx_size)]
    if settings.load_bits:
        argv += ["--quantization", "bitsandbytes"]
    if settings.seed is not None:
        argv += ["--seed", str(settings.seed)]
    if settings.chat_template:
        argv += ["--chat-template", settings.chat_template]
    return [
        *argv,
        *parser_options(config.model, template_of(settings.chat_template)),
        "--enable-prompt-tokens-details",
    ]


def load(config: EngineConfig) -> Engine:
    raise ModelUnreadable("vLLM runs as a server of its own", hint="start it through a slot")


def _fitness(model: Path) -> int:
    if find_spec("vllm") is None:
        return 0
    return 20 if Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists() else 1


def divide(fit: FitSum, settings: EngineSettings, cards: Cards) -> Division:
    """It takes its share of the first `tensor_parallel` cards, whatever the model: the cache fills what is left."""
    if not cards:
        return Division(fit.total)
    number = settings.tensor_parallel
    share = settings.gpu_memory_share or OWN_SHARE
    of_each = max(int(share * min(cards[:number])), (fit.weights + fit.compute) // number)
    return Division(HOST_BYTES, of_each * number, (1.0,) * number)


SPEC = EngineSpec(
    "vllm",
    load,
    ("safetensors",),
    "safetensors models on GPUs, many requests at once",
    _fitness,
    command,
    "vllm",
    divide,
)
