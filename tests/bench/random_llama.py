"""A llama of random weights, as large as is wanted, with the vocabulary of the bundled model: for speed alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter

__all__ = ["write_random_llama"]

_COPIED = ("tokenizer.ggml.", "tokenizer.chat_template")


def write_random_llama(path: Path, vocabulary: Path, width: int, layers: int, inner: int, heads: int) -> int:
    """Write an f16 GGUF; returns its number of parameters. `width` = heads x head size; 4096 tokens of context."""
    reader = GGUFReader(vocabulary)
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(4096)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    for name, field in reader.fields.items():
        if name.startswith(_COPIED):
            sub = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], sub)
    tokens = len(reader.fields["tokenizer.ggml.tokens"].data)
    rng = np.random.default_rng(1)
    count = 0

    def add(name: str, *shape: int) -> None:
        nonlocal count
        count += int(np.prod(shape))
        ones = len(shape) == 1
        values = np.ones(shape, np.float32) if ones else rng.standard_normal(shape, np.float32) * np.float32(0.02)
        writer.add_tensor(name, values if ones else values.astype(np.float16))

    add("token_embd.weight", tokens, width)
    add("output.weight", tokens, width)
    add("output_norm.weight", width)
    for layer in range(layers):
        add(f"blk.{layer}.attn_norm.weight", width)
        add(f"blk.{layer}.ffn_norm.weight", width)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{part}.weight", width, width)
        add(f"blk.{layer}.ffn_gate.weight", inner, width)
        add(f"blk.{layer}.ffn_up.weight", inner, width)
        add(f"blk.{layer}.ffn_down.weight", width, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return count
