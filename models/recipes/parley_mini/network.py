"""A llama in torch: RMS norm, rotary positions, SwiGLU, tied embeddings.

Rotation pairs neighbouring channels (2i, 2i+1), as the original llama and llama.cpp's LLAMA architecture
do, so the query and key weights go into GGUF without the permutation that half-split models need.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Shape:
    vocabulary: int = 4096
    width: int = 256
    layers: int = 6
    heads: int = 4
    hidden: int = 768
    context: int = 1024
    rope_base: float = 10_000.0
    norm_eps: float = 1e-5

    @property
    def head_width(self) -> int:
        return self.width // self.heads


class Norm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], self.weight.to(x.dtype), self.eps)


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.attn_norm, self.ffn_norm = Norm(shape.width, shape.norm_eps), Norm(shape.width, shape.norm_eps)
        self.q, self.k, self.v, self.o = (nn.Linear(shape.width, shape.width, bias=False) for _ in range(4))
        self.gate = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, width = x.shape
        y = self.attn_norm(x)

        def heads(z: Tensor) -> Tensor:
            return z.view(batch, length, self.shape.heads, self.shape.head_width).transpose(1, 2)

        q, k, v = heads(self.q(y)), heads(self.k(y)), heads(self.v(y))
        z = attend(rotate(q, cos, sin), rotate(k, cos, sin), v)
        x = x + self.o(z.transpose(1, 2).reshape(batch, length, width))
        y = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate channel pairs (2i, 2i+1) of x[batch, head, position, channel] by cos, sin [position, channel / 2]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2).to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention. On a CPU, torch's fused kernel is slow backward for short rows, so those are plain."""
    length = q.shape[2]
    if length > 512 or q.is_cuda:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
    past = torch.ones(length, length, dtype=torch.bool, device=q.device).tril()
    return scores.masked_fill(~past, float("-inf")).softmax(-1, dtype=torch.float32).to(v.dtype) @ v


class Llama(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.width, shape.norm_eps)
        frequency = shape.rope_base ** (-torch.arange(0, shape.head_width, 2).float() / shape.head_width)
        angle = torch.outer(torch.arange(shape.context).float(), frequency)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                scale = 0.02 / (2 * shape.layers) ** 0.5 if name.endswith(("o.weight", "down.weight")) else 0.02
                nn.init.normal_(parameter, std=0.04 if name.startswith("embed") else scale * 2)

    def hidden(self, ids: Tensor) -> Tensor:
        """ids[batch, position] -> normed states[batch, position, width]."""
        x = self.embed(ids)
        if torch.is_autocast_enabled(ids.device.type):
            x = x.to(torch.get_autocast_dtype(ids.device.type))
        cos, sin = self.cos[: ids.shape[1]].to(x.dtype), self.sin[: ids.shape[1]].to(x.dtype)
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.norm(x)

    def loss(self, ids: Tensor, targets: Tensor, learn: Tensor) -> Tensor:
        """Mean cross entropy over the positions of the mask only; the others never meet the vocabulary."""
        chosen = self.hidden(ids)[learn]
        return F.cross_entropy(F.linear(chosen, self.embed.weight).float(), targets[learn])

    @torch.no_grad()
    def next_logits(self, ids: list[int]) -> Tensor:
        """Float logits over the vocabulary for the token after `ids` (the last `context` of them)."""
        window = torch.tensor([ids[-self.shape.context :]], device=self.embed.weight.device)
        return F.linear(self.hidden(window)[0, -1].float(), self.embed.weight)

    def greedy(self, ids: list[int], stop: int, limit: int) -> list[int]:
        """Up to `limit` tokens, each the most likely one, without the stop token. Slow and plain: for checks."""
        out: list[int] = []
        while len(out) < limit and (best := int(self.next_logits([*ids, *out]).argmax())) != stop:
            out.append(best)
        return out
