"""A Mamba of random weights with the vocabulary of another model: the smallest with a state instead of a KV cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter

__all__ = ["write_mamba"]

_COPIED = ("tokenizer.ggml.", "tokenizer.chat_template")


def write_mamba(path: Path, vocabulary: Path, width: int = 32) -> Path:
    inner, state, kernel, rank = 2 * width, 8, 4, 4
    reader = GGUFReader(vocabulary)
    writer = GGUFWriter(path, "mamba")
    writer.add_context_length(512)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    writer.add_layer_norm_rms_eps(1e-5)
    for name, field in reader.fields.items():
        if name.startswith(_COPIED):
            sub = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], sub)
    rng = np.random.default_rng(5)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, rng.standard_normal(shape).astype(np.float32) * np.float32(0.3))

    add("token_embd.weight", len(reader.fields["tokenizer.ggml.tokens"].data), width)
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    writer.add_tensor("blk.0.attn_norm.weight", np.ones(width, np.float32))
    add("blk.0.ssm_in.weight", 2 * inner, width)
    add("blk.0.ssm_conv1d.weight", inner, kernel)
    add("blk.0.ssm_conv1d.bias", inner)
    add("blk.0.ssm_x.weight", rank + 2 * state, inner)
    add("blk.0.ssm_dt.weight", inner, rank)
    add("blk.0.ssm_dt.bias", inner)
    steps = -np.exp(rng.standard_normal((inner, state))).astype(np.float32)
    writer.add_tensor("blk.0.ssm_a", steps)
    add("blk.0.ssm_d", inner)
    add("blk.0.ssm_out.weight", width, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
