"""`python -m models.recipes.whisper_mini --out DIR [--english-only]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.recipes.whisper_mini.build import build


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m models.recipes.whisper_mini", description=build.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the model's folder; made if need be")
    parser.add_argument("--english-only", action="store_true", help="as the .en models: without language tokens")
    args = parser.parse_args()
    build(args.out, multilingual=not args.english_only)
    size = sum(file.stat().st_size for file in args.out.iterdir())
    print(f"{args.out}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
