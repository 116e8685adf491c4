"""`python -m models.recipes.corpus --lines 60000 --seed 1 --out DIR`: the corpus as files.

Writes `dialogues.jsonl` (one dialogue a line) and `user.txt` (one user turn a line, for language models
of speech recognisers). `--lines` counts user lines.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from models.recipes.corpus.dialogue import mixture


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m models.recipes.corpus", description="write the corpus as files")
    parser.add_argument("--lines", type=int, default=60_000, help="how many user lines to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder for dialogues.jsonl and user.txt")
    parser.add_argument("--held-out", action="store_true", help="write the held-out dialogues instead")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    written = 0
    with (
        (args.out / "dialogues.jsonl").open("w", encoding="utf-8") as dialogues,
        (args.out / "user.txt").open("w", encoding="utf-8") as users,
    ):
        for dialogue in mixture(args.seed, held_out=args.held_out):
            turns = [{"role": turn.role, "text": turn.text, "learn": turn.learn} for turn in dialogue.turns]
            dialogues.write(json.dumps({"domain": dialogue.domain, "turns": turns}, ensure_ascii=False) + "\n")
            users.writelines(f"{line}\n" for line in dialogue.user_lines())
            written += len(dialogue.user_lines())
            if written >= args.lines:
                break
    print(f"{written} user lines in {args.out}")


if __name__ == "__main__":
    main()
