"""MLX-VLM: models that see and hear, on Apple's chips, run as its own server (`python -m mlx_vlm.server`).

As a server, because it brings its own image and audio processors for every model family, and batches requests.
Options as in mlx_vlm/server/cli.py; `GET /health` answers 200.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from llm.engine import Engine, EngineConfig, EngineSpec
from models.errors import ModelUnreadable
from models.formats.safetensors import read_config

__all__ = ["SPEC", "command", "load"]

_START = "import os, runpy, sys; os.chdir(sys.argv.pop(1)); runpy.run_module('mlx_vlm.server', run_name='__main__')"


def command(config: EngineConfig, port: int) -> Sequence[str]:
    """It loads the model that a request names, so the model's folder must be found under that name: it is started in
    the folder above.
    """
    settings = config.settings
    argv = [sys.executable, "-c", _START, str(config.model.resolve().parent), "--model", config.model.resolve().name]
    argv += ["--host", "127.0.0.1", "--port", str(port)]
    argv += ["--max-num-seqs", str(settings.parallel + settings.voice_places)]
    if settings.max_kv_size:
        argv += ["--max-kv-size", str(settings.max_kv_size)]
    return argv


def load(config: EngineConfig) -> Engine:
    raise ModelUnreadable("MLX-VLM runs as a server of its own", hint="start it through a slot")


def _fitness(model: Path) -> int:
    if find_spec("mlx_vlm") is None:
        return 0
    try:
        config = read_config(model)
    except ModelUnreadable:
        return 0
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    return 40 if apple and (config.sees or config.hears) else 1


SPEC = EngineSpec(
    "mlx_vlm", load, ("safetensors",), "models that see and hear, on Apple's chips", _fitness, command, "mlx-vlm"
)
