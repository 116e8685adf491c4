"""Softmax over three kinds: the phrases of a kind added up, plus what they are to one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

FLOOR, WORST, FRAMES = -400.0, -4.0, 50.0
"""As in voice/sphinx/short_phrases.py."""
STEPS, RATE = 500, 0.05
DECAY = 1e-4
STOP, MURMUR, ELSE = range(3)


@dataclass(frozen=True, slots=True)
class Table:
    model: _Model

    def as_json(self) -> dict[str, Any]:
        model = self.model

        def numbers(values: torch.Tensor) -> Any:
            return np.round(values.detach().double().numpy(), 4).tolist()

        return {
            "per_nat": round(float(model.per_nat.exp().detach()), 6),
            "per_nat_a_frame": round(float(model.per_nat_a_frame.exp().detach()), 6),
            "loop": numbers(model.loop),
            "offsets": numbers(model.shape.bias),
            "biases": numbers(model.biases),
            "weights": numbers(model.shape.weight),
        }


class _Model(torch.nn.Module):
    def __init__(self, groups: np.ndarray) -> None:
        super().__init__()
        self.groups = torch.tensor(groups)
        self.per_nat = torch.nn.Parameter(torch.tensor(-3.0))
        self.per_nat_a_frame = torch.nn.Parameter(torch.tensor(1.0))
        self.biases = torch.nn.Parameter(torch.zeros(len(groups)))
        self.loop = torch.nn.Parameter(torch.zeros(2))
        self.shape = torch.nn.Linear(len(groups) + 2, 3)

    def forward(self, over: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        a_frame = over / frames[:, None]
        each = over * self.per_nat.exp() + a_frame * self.per_nat_a_frame.exp() + self.biases
        kinds = [torch.logsumexp(each[:, self.groups == kind], 1) for kind in range(3)]
        kinds[ELSE] = torch.logaddexp(kinds[ELSE], self.loop[0] + self.loop[1] * frames / FRAMES)
        best = a_frame.max(1, keepdim=True).values
        shape = torch.cat((a_frame.clamp(min=WORST) - best, best, frames[:, None] / FRAMES), 1)
        return torch.stack(kinds, 1) + self.shape(shape)


def fit(examples: Sequence[Any], groups: np.ndarray) -> Table:
    """Each kind weighs the same, however many examples there are of it."""
    torch.manual_seed(0)
    model = _Model(groups)
    over, frames, kinds = _tensors(examples)
    weight = len(kinds) / 3 / torch.bincount(kinds, minlength=3)
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(over, frames), kinds, weight)
        (loss + DECAY * sum((each**2).sum() for each in model.parameters())).backward()
        optimizer.step()
    return Table(model)


def report(table: Table, examples: Sequence[Any], groups: np.ndarray) -> None:
    """Rows: what it is; columns: what it was taken for. Stop, murmur, else."""
    over, frames, kinds = _tensors(examples)
    with torch.no_grad():
        taken = table.model(over, frames).argmax(1).numpy()
    truth = kinds.numpy()
    for name, held_out in (("fitted", False), ("held out", True)):
        for whole in (True, False):
            chosen = [e.clip.held_out is held_out and e.whole is whole for e in examples]
            counts = np.zeros((3, 3), int)
            np.add.at(counts, (truth[chosen], taken[chosen]), 1)
            print(f"{name}, {'whole' if whole else 'cut off'}: {counts.tolist()}")
    wrong = Counter(
        f"{e.clip.text}: {t}>{f}"
        for e, t, f in zip(examples, truth, taken, strict=True)
        if e.whole and e.clip.held_out and t != f and ELSE not in (t, f)
    )
    print(wrong.most_common())


def _tensors(examples: Sequence[Any]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    over = np.maximum(np.stack([each.phrases for each in examples]), FLOOR)
    frames = np.array([each.frames for each in examples])
    kinds = np.array([each.kind for each in examples])
    return torch.tensor(over, dtype=torch.float32), torch.tensor(frames, dtype=torch.float32), torch.tensor(kinds)
