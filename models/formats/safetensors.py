"""Folders of the Hugging Face kind: `config.json` beside weights in `*.safetensors`. Language models only.

What a model is comes from `architectures` of config.json, as transformers writes it; its context from
`max_position_embeddings` (in `text_config` where the model also sees). A safetensors file begins with the length of
its JSON header as uint64, and the header says where every tensor ends, so that a cut file is told.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import ModelUnreadable
from models.formats.port import Detected, FormatSpec

__all__ = ["SPEC", "FolderWeights", "ModelConfig", "checked_config", "read_config", "read_weights"]

MAX_CONFIG_BYTES = 4 << 20
MAX_HEADER_BYTES = 100 << 20
"""What the safetensors library takes itself."""
_CONTEXT = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx", "model_max_length")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What config.json says. `context` in tokens, `kv_bytes` of one token in 16 bit; None or 0: it is silent."""

    architecture: str
    model_type: str
    context: int | None
    layers: int
    vocabulary: int
    kv_bytes: int
    sees: bool
    hears: bool
    writes: bool
    """A model that writes text."""
    quantized: bool
    width: int = 0
    inner: int = 0
    """Numbers that stand for a token between layers, and within a feed-forward layer."""


@dataclass(frozen=True, slots=True)
class FolderWeights:
    size_bytes: int
    parameters: int


def read_config(folder: Path) -> ModelConfig:
    """Raises ModelUnreadable."""
    body = _object(folder / "config.json", MAX_CONFIG_BYTES)
    text = body.get("text_config")
    text = {**body, **text} if isinstance(text, Mapping) else body
    names = body.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else ""
    sees = isinstance(body.get("vision_config"), Mapping)
    hears = isinstance(body.get("audio_config"), Mapping)
    writes = name.endswith(("ForCausalLM", "LMHeadModel")) or (
        name.endswith("ForConditionalGeneration") and (sees or hears)
    )
    heads = _number(text, "num_attention_heads", "n_head") or 1
    width = _number(text, "hidden_size", "n_embd")
    head = _number(text, "head_dim") or width // heads
    layers = _number(text, "num_hidden_layers", "n_layer")
    kv_heads = _number(text, "num_key_value_heads") or heads
    return ModelConfig(
        architecture=name,
        model_type=str(body.get("model_type") or ""),
        context=_number(text, *_CONTEXT) or None,
        layers=layers,
        vocabulary=_number(text, "vocab_size"),
        kv_bytes=layers * kv_heads * head * 2 * 2,
        sees=sees,
        hears=hears,
        writes=writes,
        quantized="quantization_config" in body or "quantization" in body,
        width=width,
        inner=_number(text, "intermediate_size", "n_inner", "ffn_dim") or 4 * width,
    )


def read_weights(folder: Path) -> FolderWeights:
    """From the files' headers. Raises ModelUnreadable for files that are not whole."""
    checked = [_check(part) for part in _parts(folder)]
    return FolderWeights(sum(size for size, _ in checked), sum(count for _, count in checked))


def checked_config(folder: Path) -> ModelConfig:
    """As `read_config`, of a folder that is whole and a language model. Raises ModelUnreadable."""
    if _read(folder) is None:
        raise ModelUnreadable(f"{folder.name} is not a language model")
    return read_config(folder)


def _number(fields: Mapping[str, Any], *names: str) -> int:
    for name in names:
        value = fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 40:
            return value
    return 0


def _object(path: Path, most: int) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
        body = json.loads(data)
    except OSError as error:
        raise ModelUnreadable(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ModelUnreadable(f"{path.parent.name}/{path.name} is not JSON") from error
    if not isinstance(body, dict):
        raise ModelUnreadable(f"{path.parent.name}/{path.name} is not a JSON object")
    return body


def _parts(folder: Path) -> list[Path]:
    """The weight files; all that the index names, where there is one. Raises ModelUnreadable for a missing one."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return sorted(folder.glob("*.safetensors"))
    weights = _object(index, MAX_HEADER_BYTES).get("weight_map")
    names = sorted({str(name) for name in weights.values()}) if isinstance(weights, dict) else []
    for name in names:
        if "/" in name or "\\" in name or not (folder / name).is_file():
            raise ModelUnreadable(f"{folder.name} is incomplete: {name[:100]} is missing")
    return [folder / name for name in names]


def _check(path: Path) -> tuple[int, int]:
    """(bytes, weights) of one file. Raises ModelUnreadable unless it is whole."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(size - 8, MAX_HEADER_BYTES):
                raise ModelUnreadable(f"{path.name} is not a safetensors file")
            header = json.loads(file.read(length))
        end, count = 0, 0
        for name, tensor in header.items():
            if name != "__metadata__":
                end = max(end, int(tensor["data_offsets"][1]))
                elements = 1
                for length_of in tensor["shape"]:
                    elements *= int(length_of)
                count += elements
    except OSError as error:
        raise ModelUnreadable(f"{path} cannot be read: {error.strerror}") from error
    except (struct.error, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise ModelUnreadable(f"{path.name} is not a safetensors file") from error
    if 8 + length + end > size:
        raise ModelUnreadable(f"{path.name} ends too early")
    return size, count


def _claims(path: Path) -> bool:
    return path.is_dir() and (path / "config.json").is_file() and any(path.glob("*.safetensors"))


def _read(path: Path) -> Detected | None:
    """None for what is no language model: vision towers, recognisers, adapters and their like."""
    if not read_config(path).writes:
        return None
    checked = [_check(part) for part in _parts(path)]
    if not checked:
        raise ModelUnreadable(f"{path.name} has no weights")
    if not any((path / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise ModelUnreadable(f"{path.name} has no tokenizer")
    return Detected("llm", path.name, sum(size for size, _ in checked), sum(count for _, count in checked))


SPEC = FormatSpec("safetensors", "Hugging Face models, a folder", _claims, _read)
