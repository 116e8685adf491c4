"""The training loop: a budget in minutes (or steps), a cosine over that budget, a progress line, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from models.recipes.parley_mini.network import Llama, Shape
from models.recipes.parley_mini.optimizer import Optimizer

Row = tuple[list[int], list[bool]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how to train. With `steps` the schedule follows the steps and the run is repeatable;
    with `minutes` it follows the clock, so that it always ends on time, and depends on the machine's speed."""

    minutes: float = 60.0
    steps: int = 0
    batch_tokens: int = 4096
    short_row: int = 256
    long_row: int = 1024
    long_every: int = 8
    muon_rate: float = 4e-3
    adam_rate: float = 4e-3
    warmup: float = 0.02
    threads: int = 1
    seed: int = 1
    report_s: float = 10.0
    checkpoint_s: float = 300.0
    fuse: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    steps: int
    tokens: int
    learned_tokens: int
    minutes: float
    loss: float
    device: str


def learning_rate(progress: float, warmup: float) -> float:
    """Scale 0..1 at a progress 0..1: linear warm-up, then a cosine down to two percent."""
    if progress < warmup:
        return max(progress, 1e-3) / warmup
    done = min(1.0, (progress - warmup) / (1 - warmup))
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))


def save(model: Llama, path: Path) -> None:
    partial = path.with_suffix(".part")
    torch.save({"shape": asdict(model.shape), "weights": model.state_dict()}, partial)
    partial.replace(path)


def load(path: Path) -> Llama:
    stored = torch.load(path, map_location="cpu", weights_only=True)
    model = Llama(Shape(**stored["shape"]))
    model.load_state_dict(stored["weights"])
    return model.eval()


def train(
    shape: Shape, short: Iterator[Row], long: Iterator[Row], plan: Plan, checkpoint: Path, *, resume: bool = False
) -> Outcome:
    """Train a new model, leave it in `checkpoint`, say how it went. Uses CUDA where there is one.

    With `resume` the weights start from `checkpoint` (whose shape then counts); the schedule starts anew.
    """
    torch.manual_seed(plan.seed)
    torch.set_num_threads(plan.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = (load(checkpoint).train() if resume else Llama(shape)).to(device)
    shape = model.shape
    if plan.fuse:
        # Fused kernels save a third of the CPU time; the first two batches wait for the compiler.
        model.hidden = torch.compile(model.hidden, dynamic=False)  # type: ignore[method-assign]
    optimizer = Optimizer(model, muon_rate=plan.muon_rate, adam_rate=plan.adam_rate)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{count / 1e6:.2f} M parameters, {shape}, on {device}", flush=True)

    started = reported = saved = time.monotonic()
    step = tokens = learned = tokens_then = 0
    smooth = 0.0
    while True:
        now = time.monotonic()
        progress = step / plan.steps if plan.steps else (now - started) / (plan.minutes * 60)
        if progress >= 1:
            break
        source, length = (
            (long, plan.long_row) if step % plan.long_every == plan.long_every - 1 else (short, plan.short_row)
        )
        rows = [next(source) for _ in range(max(1, plan.batch_tokens // length))]
        ids = torch.tensor([row[0] for row in rows], device=device)
        learn = torch.tensor([row[1] for row in rows], device=device)
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = model.loss(ids[:, :-1], ids[:, 1:], learn[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(learning_rate(progress, plan.warmup))
        step += 1
        tokens += ids[:, 1:].numel()
        learned += int(learn[:, 1:].sum())
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value} at step {step}")
        smooth = value if step == 1 else 0.97 * smooth + 0.03 * value
        now = time.monotonic()
        if now - reported > plan.report_s:
            elapsed = now - started
            rate = (tokens - tokens_then) / (now - reported)
            left = elapsed * (1 - progress) / max(progress, 1e-6)
            print(
                f"step {step}  loss {smooth:.4f}  {rate:,.0f} tokens/s  {tokens / 1e6:.2f} M tokens  "
                f"{progress:.0%}  {left / 60:.0f} min left",
                flush=True,
            )
            reported, tokens_then = now, tokens
        if now - saved > plan.checkpoint_s:
            save(model, checkpoint)
            saved = now
    save(model, checkpoint)
    return Outcome(step, tokens, learned, (time.monotonic() - started) / 60, smooth, device)
