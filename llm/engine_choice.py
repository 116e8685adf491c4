"""Which engine runs a model: the one that was asked for, or the best for its format on this machine."""

from __future__ import annotations

from pathlib import Path

from llm.engine import EngineSpec
from models.errors import ModelUnreadable
from models.formats.dual_encoder import is_dual_encoder
from models.registry import discover

__all__ = ["choose_engine", "format_of"]


def format_of(model: Path) -> str:
    """A file is a GGUF; a folder is of the Hugging Face kind, and its config.json tells which."""
    if not model.is_dir():
        return "gguf"
    return "dual_encoder" if is_dual_encoder(model) else "safetensors"


def choose_engine(format_name: str, model: Path, wanted: str) -> EngineSpec:
    """`wanted` is a name of llm/engines, or "auto". Raises ModelUnreadable that says what to install."""
    specs: dict[str, EngineSpec] = discover("llm.engines")
    if wanted != "auto":
        spec = specs.get(wanted)
        if spec is None:
            raise ModelUnreadable(f"there is no engine {wanted!r}", hint=f"there are: {', '.join(specs)}")
        if format_name not in spec.formats:
            raise ModelUnreadable(
                f"{wanted} loads no {format_name} models", hint=f"it loads: {', '.join(spec.formats)}"
            )
        if spec.fitness(model) <= 0:
            raise ModelUnreadable(f"{wanted} cannot run here", hint=_install([spec]))
        return spec
    readers = [spec for spec in specs.values() if format_name in spec.formats]
    best = max(readers, key=lambda spec: spec.fitness(model), default=None)
    if best is None or best.fitness(model) <= 0:
        raise ModelUnreadable(f"no engine here loads {format_name} models", hint=_install(readers))
    return best


def _install(specs: list[EngineSpec]) -> str:
    extras = " or ".join(f'`pip install "parley-voice[{spec.extra}]"`' for spec in specs if spec.extra)
    return f"{extras} brings it" if extras else ""
