"""Checkpoint and tokenizer to one GGUF file that llama.cpp loads: llama architecture, f16, ChatML template."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
from tokenizers import Tokenizer

from models.recipes.parley_mini.network import Llama
from models.recipes.parley_mini.tokens import CHAT_TEMPLATE, END_OF_TEXT, IM_END, SPECIAL

NAME = "parley-mini"


TEMPERATURE = 0.2
"""What we advise: a model of this size knows the right word, and one in ten of its other guesses is wrong."""


def _tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer, size: int) -> None:
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    tokens = [piece for piece, _ in pieces]
    kinds = [gguf.TokenType.CONTROL if piece in SPECIAL else gguf.TokenType.NORMAL for piece in tokens]
    # Embedding rows beyond the vocabulary exist when the trainer found fewer pieces than asked for.
    for index in range(len(tokens), size):
        tokens.append(f"<|unused{index}|>")
        kinds.append(gguf.TokenType.UNUSED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(tokens.index(END_OF_TEXT))
    writer.add_eos_token_id(tokens.index(IM_END))
    writer.add_pad_token_id(tokens.index(END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def export(model: Llama, tokenizer: Tokenizer, path: Path) -> None:
    """Write `path`. Matrices are f16, norms f32; the output matrix is the embedding, so it is left out."""
    shape = model.shape
    # A file that a running llama.cpp has mapped must not change under it: write beside it, then replace.
    partial = path.with_suffix(".part")
    writer = gguf.GGUFWriter(partial, "llama")
    writer.add_name(NAME)
    writer.add_description("A small chat model for spoken dialogue, trained from scratch on a self-written corpus.")
    writer.add_license("apache-2.0")
    writer.add_sampling_temp(TEMPERATURE)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    _tokenizer(writer, tokenizer, shape.vocabulary)

    weights = {name: value.detach().float().cpu().numpy() for name, value in model.state_dict().items()}

    def put(name: str, source: str) -> None:
        value = weights[source]
        writer.add_tensor(name, value.astype(np.float16 if value.ndim == 2 else np.float32))

    put("token_embd.weight", "embed.weight")
    put("output_norm.weight", "norm.weight")
    for index in range(shape.layers):
        ours, theirs = f"blocks.{index}", f"blk.{index}"
        put(f"{theirs}.attn_norm.weight", f"{ours}.attn_norm.weight")
        put(f"{theirs}.ffn_norm.weight", f"{ours}.ffn_norm.weight")
        for letter, name in (("q", "attn_q"), ("k", "attn_k"), ("v", "attn_v"), ("o", "attn_output")):
            put(f"{theirs}.{name}.weight", f"{ours}.{letter}.weight")
        for part in ("gate", "up", "down"):
            put(f"{theirs}.ffn_{part}.weight", f"{ours}.{part}.weight")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(path)
