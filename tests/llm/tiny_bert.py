"""A real BERT of transformers, random but whole, and the same weights as GGUF: one that embeds and one that ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter, PoolingType, TokenType

__all__ = ["WORDS", "BertPair"]

WORDS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] the a lamp sea kitchen house cat is in on ##s ##ing walk light where what red"
    " blue river town ? . , un ##known ##ly quick"
).split()
PAD, UNK, CLS, SEP = 0, 1, 2, 3


class BertPair:
    """`reference` is transformers' model, `path` the GGUF with the same weights. `pooling`: mean, cls or rank.
    `rerank_template` joins query and document.
    """

    def __init__(self, folder: Path, pooling: str, *, rerank_template: str = "") -> None:
        import torch
        from transformers import BertConfig, BertForSequenceClassification, BertModel

        torch.manual_seed(1)
        config = BertConfig(
            vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=128, num_labels=1, initializer_range=0.4,
        )  # fmt: skip
        self.ranks = pooling == "rank"
        self.pooling = pooling
        self.reference: Any = (BertForSequenceClassification if self.ranks else BertModel)(config).eval()
        self._rerank_template = rerank_template
        self.path = folder / f"bert-{pooling}{'-template' if rerank_template else ''}.gguf"
        self._write(config, pooling)

    def embed(self, tokens: list[int]) -> np.ndarray[Any, Any]:
        """Of length 1, by transformers."""
        import torch

        with torch.no_grad():
            states = self.reference(input_ids=torch.tensor([tokens])).last_hidden_state[0].numpy()
        vector = states[0] if self.pooling == "cls" else states.mean(axis=0)
        return np.asarray(vector / np.linalg.norm(vector))

    def score(self, tokens: list[int]) -> float:
        import torch

        with torch.no_grad():
            return float(self.reference(input_ids=torch.tensor([tokens])).logits[0, 0])

    def tokens(self, text: str) -> list[int]:
        """By transformers' own tokenizer."""
        from transformers import BertTokenizer

        tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)})
        return list(tokenizer(text)["input_ids"])

    def _write(self, config: Any, pooling: str) -> None:
        writer = GGUFWriter(self.path, "bert")
        writer.add_name(self.path.stem)
        writer.add_context_length(config.max_position_embeddings)
        writer.add_embedding_length(config.hidden_size)
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_block_count(config.num_hidden_layers)
        writer.add_head_count(config.num_attention_heads)
        writer.add_layer_norm_eps(config.layer_norm_eps)
        writer.add_causal_attention(False)
        writer.add_pooling_type({"mean": PoolingType.MEAN, "cls": PoolingType.CLS, "rank": PoolingType.RANK}[pooling])
        writer.add_tokenizer_model("bert")
        writer.add_tokenizer_pre("default")
        written = [_written(word) for word in WORDS]
        writer.add_token_list([word.encode() for word in written])
        writer.add_token_scores([-1000.0] * len(written))
        kinds = [TokenType.CONTROL if word[0] == "[" and word[-1] == "]" else TokenType.NORMAL for word in WORDS]
        writer.add_token_types(kinds)
        writer.add_token_type_count(2)
        for name, number in (("pad", PAD), ("unk", UNK), ("bos", CLS), ("eos", SEP), ("sep", SEP), ("mask", 4)):
            getattr(writer, f"add_{name}_token_id")(number)
        writer.add_uint32("tokenizer.ggml.cls_token_id", CLS)
        writer.add_add_bos_token(True)
        writer.add_add_eos_token(True)
        if self.ranks:
            writer.add_array("bert.classifier.output_labels", ["relevance"])
        if self._rerank_template:
            writer.add_chat_template([{"name": "rerank", "template": self._rerank_template}])
        for name, tensor in self.reference.state_dict().items():
            if place := _place(name.removeprefix("bert."), self.ranks):
                writer.add_tensor(place, tensor.numpy().astype(np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _written(word: str) -> str:
    """As llama.cpp wants WordPiece: a mark before what begins a word, nothing before what goes on."""
    if word[0] == "[" and word[-1] == "]":
        return word
    return word[2:] if word.startswith("##") else "▁" + word


_NAMES = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
_HEAD = {"pooler.dense": "cls", "classifier": "cls.output"}
_PARTS = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


def _place(name: str, ranks: bool) -> str | None:
    if name in _NAMES:
        return _NAMES[name]
    stem, _, kind = name.rpartition(".")
    if stem in _HEAD:
        return f"{_HEAD[stem]}.{kind}" if ranks else None
    if not name.startswith("encoder.layer."):
        return None
    _, _, number, part = stem.split(".", 3)
    return f"blk.{number}.{_PARTS[part]}.{kind}"
