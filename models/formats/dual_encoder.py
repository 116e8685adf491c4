"""Folders of the Hugging Face kind with two encoders, for texts and for images, that make vectors of one space: CLIP,
SigLIP and their kin. `model_type` of config.json tells; `preprocessor_config.json` says how images are cut.
"""

from __future__ import annotations

from pathlib import Path

from models.errors import ModelUnreadable
from models.formats.port import Detected, FormatSpec
from models.formats.safetensors import read_config, read_weights

__all__ = ["SPEC", "is_dual_encoder"]

_TYPES = ("clip", "siglip", "siglip2", "metaclip_2", "altclip", "chinese_clip", "align")
"""Those whose models have `get_text_features` and `get_image_features` in transformers."""
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
_PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")


def is_dual_encoder(folder: Path) -> bool:
    """Not a part of one (`CLIPVisionModel`), nor a model that draws or segments with its help."""
    try:
        config = read_config(folder)
    except ModelUnreadable:
        return False  # whoever reads language models says why
    part = config.architecture.endswith(("VisionModel", "TextModel")) or not config.architecture.endswith("Model")
    return config.model_type in _TYPES and config.sees and not part


def _claims(path: Path) -> bool:
    return path.is_dir() and (path / "config.json").is_file() and any(path.glob("*.safetensors"))


def _read(path: Path) -> Detected | None:
    if not is_dual_encoder(path):
        return None
    for names, what in ((_TOKENIZERS, "tokenizer"), (_PREPROCESSORS, "preprocessor_config.json")):
        if not any((path / name).is_file() for name in names):
            raise ModelUnreadable(f"{path.name} has no {what}")
    weights = read_weights(path)
    return Detected("embedding", path.name, weights.size_bytes, weights.parameters)


SPEC = FormatSpec("dual_encoder", "CLIP, SigLIP and their kin, a folder", _claims, _read)
