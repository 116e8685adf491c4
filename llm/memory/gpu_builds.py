"""Whether an installed library was built for GPUs: by the files it brings, without loading it."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["LLAMA_CPP", "TORCH", "ships"]

LLAMA_CPP = ("llama_cpp", "lib/*ggml-cuda*", "lib/*ggml-vulkan*")
"""The package and what it has beside itself where it computes on NVIDIA's cards."""
TORCH = ("torch", "lib/*torch_cuda*")


@lru_cache
def ships(package: str, *patterns: str) -> bool:
    """Blocking."""
    try:
        found = find_spec(package)
    except (ImportError, ValueError):
        return False
    folders = found.submodule_search_locations if found is not None else None
    return any(True for folder in folders or () for pattern in patterns for _ in Path(folder).glob(pattern))
