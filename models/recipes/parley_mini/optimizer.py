"""Muon for the matrices inside the blocks, AdamW for embedding and norms.

Muon (Keller Jordan 2024) makes each momentum matrix nearly orthogonal with five Newton-Schulz steps; for
models this small it needs clearly fewer tokens than AdamW. Matrices of one shape are stacked, so that the
steps are a few large products instead of many small ones.
"""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor, nn


def orthogonal(stack: Tensor) -> Tensor:
    """Newton-Schulz with Jordan's quintic coefficients on [count, rows, columns], in bfloat16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = stack.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).float()


class Optimizer:
    """`step(scale)` applies both updates with learning rates multiplied by `scale`."""

    def __init__(self, model: nn.Module, *, muon_rate: float, adam_rate: float, decay: float = 0.02) -> None:
        inner = [p for name, p in model.named_parameters() if p.dim() == 2 and not name.startswith("embed")]
        chosen = {id(p) for p in inner}
        rest = [p for p in model.parameters() if id(p) not in chosen]
        self._adam = torch.optim.AdamW(rest, lr=adam_rate, betas=(0.9, 0.98), weight_decay=0.0)
        self._muon_rate, self._adam_rate, self._decay = muon_rate, adam_rate, decay
        groups: dict[tuple[int, ...], list[nn.Parameter]] = defaultdict(list)
        for parameter in inner:
            groups[tuple(parameter.shape)].append(parameter)
        self._groups = [(group, [torch.zeros_like(p) for p in group]) for group in groups.values()]

    @torch.no_grad()
    def step(self, scale: float) -> None:
        for group in self._adam.param_groups:
            group["lr"] = self._adam_rate * scale
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
        rate = self._muon_rate * scale
        for parameters, momenta in self._groups:
            gradients = [p.grad for p in parameters if p.grad is not None]
            torch._foreach_mul_(momenta, 0.95)
            torch._foreach_add_(momenta, gradients)
            ahead = torch._foreach_add(gradients, momenta, alpha=0.95)
            update = orthogonal(torch.stack(list(ahead)))
            # 0.2 * sqrt(max side) makes the update as large as AdamW's usual one (Moonlight, 2025).
            size = 0.2 * max(update.shape[-2:]) ** 0.5
            torch._foreach_mul_(parameters, 1 - rate * self._decay)
            torch._foreach_add_(parameters, list(update.unbind()), alpha=-rate * size)
            for parameter in parameters:
                parameter.grad = None
