"""The smallest real dual encoders: CLIP's and SigLIP's architectures with random weights, and pictures for them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

__all__ = ["CONTEXT", "DIMENSIONS", "make_dual_encoder", "picture"]

DIMENSIONS, CONTEXT, SIDE, WIDTH = 16, 24, 32, 32
_TEXT = ["a photo of a red house and a green river", "two lamps in the kitchen, and a cat on the table"]


def make_dual_encoder(folder: Path, kind: str = "clip") -> Path:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("PIL")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    folder.mkdir(parents=True)
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|startoftext|>", "<|endoftext|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        _TEXT * 8, trainers.BpeTrainer(vocab_size=340, special_tokens=special, initial_alphabet=alphabet)
    )
    made.post_processor = processors.TemplateProcessing(
        single="<|startoftext|> $A <|endoftext|>", special_tokens=[("<|startoftext|>", 1), ("<|endoftext|>", 2)]
    )
    made.save(str(folder / "tokenizer.json"))
    names = {"bos_token": special[1], "eos_token": special[2], "pad_token": special[0]}
    tokenizer = {"tokenizer_class": "PreTrainedTokenizerFast", **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    layers: dict[str, Any] = {
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    text = {**layers, "vocab_size": made.get_vocab_size(), "max_position_embeddings": CONTEXT}
    vision = {**layers, "image_size": SIDE, "patch_size": 8}
    torch.manual_seed(5)
    if kind == "clip":
        text |= {"eos_token_id": 2, "bos_token_id": 1, "pad_token_id": 0}
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=DIMENSIONS)
        model, processor = transformers.CLIPModel(config), transformers.CLIPImageProcessorPil
        sizes = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    else:
        text |= {"projection_size": WIDTH}
        config = transformers.SiglipConfig(text_config=text, vision_config=vision)
        model, processor = transformers.SiglipModel(config), transformers.SiglipImageProcessorPil
        sizes = {"size": {"height": SIDE, "width": SIDE}}
    with torch.no_grad():
        for weights in model.parameters():  # as large as trained ones: else everything looks alike
            weights.add_(0.3 * torch.randn_like(weights))
    model.save_pretrained(folder)
    processor(**sizes).save_pretrained(folder)
    return folder


def picture(seed: int, kind: str = "PNG", size: tuple[int, int] = (48, 40)) -> bytes:
    """Coarse random colours, the same for a seed in every size."""
    Image = pytest.importorskip("PIL.Image")
    colours = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(colours).resize(size).save(file, kind)
    return file.getvalue()
