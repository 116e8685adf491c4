"""A network of one hidden layer over the scores of the phrases, and how it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

UNITS, DROPPED, DROPPED_INPUT = 64, 0.5, 0.1
STEPS, BATCH, RATE, DECAY, SMOOTHING = 2500, 1024, 0.005, 0.1, 0.05
HELD_OUT = "held out"


def fit(examples: Sequence[Any], seen: np.ndarray, steps: int = STEPS) -> dict[str, np.ndarray]:
    """`seen` [examples, evidence]. Each kind weighs the same, however many examples there are of it."""
    torch.manual_seed(0)
    mean, scale = seen.mean(axis=0), seen.std(axis=0) + 1e-3
    inputs = torch.tensor((seen - mean) / scale, dtype=torch.float32)
    kinds = torch.tensor([each.kind for each in examples])
    first, last = torch.nn.Linear(inputs.shape[1], UNITS), torch.nn.Linear(UNITS, 4)
    network = torch.nn.Sequential(
        torch.nn.Dropout(DROPPED_INPUT), first, torch.nn.ReLU(), torch.nn.Dropout(DROPPED), last
    )
    weight = len(kinds) / 4 / torch.bincount(kinds, minlength=4)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        chosen = torch.randint(len(kinds), (BATCH,))
        optimizer.zero_grad()
        found = network(inputs[chosen])
        torch.nn.functional.cross_entropy(found, kinds[chosen], weight, label_smoothing=SMOOTHING).backward()
        optimizer.step()
        schedule.step()
    weights = first.weight.detach().double().numpy().T / scale[:, None]
    return {
        "hidden": np.vstack((weights, first.bias.detach().double().numpy() - mean @ weights)),
        "out": np.vstack((last.weight.detach().double().numpy().T, last.bias.detach().double().numpy())),
    }


def report(taken: np.ndarray, examples: Sequence[Any], kinds: Sequence[str]) -> None:
    """Rows: what it is; columns: what it was taken for, by the product."""
    truth = np.array([each.kind for each in examples])
    for name, held_out in (("fitted", False), (HELD_OUT, True)):
        for whole in (True, False):
            chosen = [e.held_out is held_out and e.whole is whole for e in examples]
            counts = np.zeros((4, 4), int)
            np.add.at(counts, (truth[chosen], taken[chosen]), 1)
            print(f"{name}, {'whole' if whole else 'cut off'}, {', '.join(kinds)}: {counts.tolist()}")
    wrong = Counter(
        f"{e.text}: {kinds[t]} > {kinds[f]}"
        for e, t, f in zip(examples, truth, taken, strict=True)
        if e.whole and e.held_out and t != f and "else" not in (kinds[t], kinds[f])
    )
    print(wrong.most_common(30))
