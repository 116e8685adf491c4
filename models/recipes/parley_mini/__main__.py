"""`python -m models.recipes.parley_mini --minutes 60 --out DIR`: corpus, tokenizer, training, export, evaluation.

Leaves in DIR: tokenizer.json, model.pt, training.json, parley-mini.gguf, report.json, misses.txt and the
model card. With `--only` a single
step is repeated on what is there. `--steps N` instead of `--minutes` makes the schedule independent of the clock.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from models.recipes.corpus.dialogue import Turn, mixture
from models.recipes.corpus.sessions import sessions
from models.recipes.parley_mini import card, tokens


def _stream(seed: int, name: str, max_turns: int) -> Iterator[list[Turn]]:
    rng = tokens.seeded(seed, name)
    return sessions(rng, mixture(rng.randrange(2**32), strict=False), max_turns)


def _train(args: argparse.Namespace) -> None:
    from models.recipes.parley_mini.network import Shape
    from models.recipes.parley_mini.training import Plan, train

    if args.resume:
        tokenizer = tokens.load(args.out / "tokenizer.json")
    else:
        source = _stream(args.seed, "tokenizer", 12)
        tokenizer = tokens.train(source, vocabulary=args.vocabulary, sample_turns=args.tokenizer_turns)
        tokenizer.save(str(args.out / "tokenizer.json"))
    size = -(-tokenizer.get_vocab_size() // 64) * 64
    print(f"tokenizer: {tokenizer.get_vocab_size()} entries", flush=True)
    encoder = tokens.Encoder(tokenizer)
    shape = Shape(vocabulary=size, width=args.width, layers=args.layers, heads=args.heads, hidden=args.hidden)
    plan = Plan(minutes=args.minutes, steps=args.steps, threads=args.threads, seed=args.seed)
    # A resumed run must not see the same dialogues again, so its streams have other names.
    run = "resumed " if args.resume else ""
    short = tokens.rows(encoder, _stream(args.seed, f"{run}short", 12), plan.short_row)
    long = tokens.rows(encoder, _stream(args.seed, f"{run}long", 48), plan.long_row)
    outcome = asdict(train(shape, short, long, plan, args.out / "model.pt", resume=args.resume))
    notes = args.out / "training.json"
    if args.resume and notes.exists():
        before = json.loads(notes.read_text(encoding="utf-8"))
        outcome |= {name: before[name] + outcome[name] for name in ("steps", "tokens", "learned_tokens", "minutes")}
    notes.write_text(json.dumps({**outcome, "shape": asdict(shape)}, indent=1))
    print(outcome, flush=True)


def _export(args: argparse.Namespace) -> None:
    from models.recipes.parley_mini.export import export
    from models.recipes.parley_mini.training import load

    path = args.out / "parley-mini.gguf"
    export(load(args.out / "model.pt"), tokens.load(args.out / "tokenizer.json"), path)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB", flush=True)


def _evaluate(args: argparse.Namespace) -> None:
    from models.recipes.parley_mini import checks, evaluation

    answerer = evaluation.Answerer(args.out / "parley-mini.gguf", args.threads)
    comparison = checks.compare(answerer, args.out)
    print(comparison, flush=True)
    misses: list[str] = []
    scores = evaluation.evaluate(answerer, evaluation.held_out(args.seed + 1, args.questions), misses)
    asked, right = sum(score.asked for score in scores.values()), sum(score.right for score in scores.values())
    for name, score in scores.items():
        print(
            f"{name:12} {score.right:4} of {score.asked:4} dialogues right, {score.exact:4} word for word; "
            f"{score.questions_right:4} of {score.questions:4} different last questions"
        )
    print(f"{'all':12} {right:4} of {asked:4} right = {right / max(asked, 1):.1%}", flush=True)
    (args.out / "misses.txt").write_text("\n".join(misses) + "\n", encoding="utf-8")
    report = {
        "scores": {name: asdict(score) for name, score in scores.items()},
        "comparison": asdict(comparison),
    }
    (args.out / "report.json").write_text(json.dumps(report, indent=1))
    print(card.write(args.out), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m models.recipes.parley_mini", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long to train")
    parser.add_argument("--steps", type=int, default=0, help="train this many steps instead")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--install", action="store_true", help="copy model and card to models/bundled")
    parser.add_argument("--only", choices=("train", "export", "evaluate"))
    parser.add_argument("--resume", action="store_true", help="go on from the model in DIR, with a new schedule")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="more only help on idle cores")
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--tokenizer-turns", type=int, default=150_000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--questions", type=int, default=800, help="how many held-out questions to ask")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, step in (("train", _train), ("export", _export), ("evaluate", _evaluate)):
        if args.only in (None, name):
            step(args)
    if args.install:
        card.install(args.out)


if __name__ == "__main__":
    main()
