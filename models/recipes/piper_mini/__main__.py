"""`python -m models.recipes.piper_mini --out DIR`."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.recipes.piper_mini.build import build


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m models.recipes.piper_mini", description=build.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder the voice goes into; made if need be")
    path = build(parser.parse_args().out)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
