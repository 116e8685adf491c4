"""The smallest real model of the Hugging Face kind: Llama's architecture, random weights, a tokenizer of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

__all__ = ["TEMPLATE", "make_folder"]

WIDTH, LAYERS, HEADS, KV_HEADS, FEED = 32, 2, 4, 2, 64
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_TEXT = [
    "the lamp in the kitchen is on and the rain has stopped",
    "what is the capital of france and where does the river go",
    "grüße aus münchen, schöne straßen und ein café – 你好 🙂",
    "user assistant system one two three four five six seven",
]


def make_folder(folder: Path, *, context: int = 512, seed: int = 7) -> Path:
    safetensors = pytest.importorskip("safetensors.numpy")
    tokenizers = pytest.importorskip("tokenizers")
    from tokenizers import decoders, models, pre_tokenizers, trainers

    folder.mkdir(parents=True, exist_ok=True)
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    made.train_from_iterator(_TEXT * 8, trainer)
    made.save(str(folder / "tokenizer.json"))
    size = made.get_vocab_size()
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": size,
        "hidden_size": WIDTH,
        "intermediate_size": FEED,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": WIDTH // HEADS,
        "max_position_embeddings": context,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "bos_token_id": 0,
        "eos_token_id": 2,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "eos_token": "<|im_end|>",
                "bos_token": "<|endoftext|>",
                "chat_template": TEMPLATE,
            }
        ),
        encoding="utf-8",
    )
    rng = np.random.default_rng(seed)

    def random(*shape: int, scale: float = 0.3) -> np.ndarray:
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    head = WIDTH // HEADS
    weights = {
        "model.embed_tokens.weight": random(size, WIDTH, scale=1.0),
        "model.norm.weight": np.ones(WIDTH, np.float32),
        "lm_head.weight": random(size, WIDTH),
    }
    for layer in range(LAYERS):
        at = f"model.layers.{layer}"
        weights |= {
            f"{at}.input_layernorm.weight": np.ones(WIDTH, np.float32),
            f"{at}.post_attention_layernorm.weight": np.ones(WIDTH, np.float32),
            f"{at}.self_attn.q_proj.weight": random(HEADS * head, WIDTH),
            f"{at}.self_attn.k_proj.weight": random(KV_HEADS * head, WIDTH),
            f"{at}.self_attn.v_proj.weight": random(KV_HEADS * head, WIDTH),
            f"{at}.self_attn.o_proj.weight": random(WIDTH, HEADS * head),
            f"{at}.mlp.gate_proj.weight": random(FEED, WIDTH),
            f"{at}.mlp.up_proj.weight": random(FEED, WIDTH),
            f"{at}.mlp.down_proj.weight": random(WIDTH, FEED),
        }
    safetensors.save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})
    return folder
