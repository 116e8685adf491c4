"""`make bench`: run the bench modules and write docs/performance.md.

Every module runs in a process of its own (`--one`), so that none inherits another's memory, threads or warm caches.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.chart import svg
from tests.bench.report import ROOT, Options

HERE = Path(__file__).resolve().parent
PAGE = ROOT / "docs" / "performance.md"
_ORDER = ("latency", "interrupt", "embedded", "hearing", "sessions", "start")
"""What a reader wants first; the others follow by name."""
_LIMIT_S = 1200


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    names = _names()
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; none: all of them")
    parser.add_argument("--quick", action="store_true", help="a short run whose figures are only printed")
    parser.add_argument("--turns", type=int, default=24, help="measured turns of the end-to-end benches")
    parser.add_argument("--one", metavar="FILE", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := set(given.names) - set(names):
        parser.error(f"no bench of the name {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    options = Options(quick=given.quick, turns=6 if given.quick else given.turns)
    if given.one:
        _run_one(given.names[0], options, Path(given.one))
        return
    failed = [name for name in (given.names or names) if not _run(name, given, write=not given.quick)]
    if failed:
        raise SystemExit(f"did not work: {', '.join(failed)}")


def _names() -> list[str]:
    found = [path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py")]
    return sorted(found, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))


def _run(name: str, given: argparse.Namespace, write: bool) -> bool:
    print(f"\n==== {name} ====", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "section.json"
        arguments = [name, "--one", str(result), "--turns", str(given.turns), *(["--quick"] if given.quick else [])]
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "tests.bench", *arguments], cwd=ROOT, timeout=_LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            print(f"{name} took longer than {_LIMIT_S} s and was ended")
            return False
        if ended.returncode != 0 or not result.is_file():
            return False
        found = json.loads(result.read_text(encoding="utf-8"))
    print(found["markdown"])
    if write:
        _write(name, found["markdown"], found["chart"])
    return not found["failed"]


def _run_one(name: str, options: Options, result: Path) -> None:
    section = importlib.import_module(f"tests.bench.bench_{name}").run(options)
    chart = svg(section.bars) if section.bars is not None else None
    markdown = section.markdown(name, f"performance-{name}.svg" if chart else None)
    result.write_text(
        json.dumps({"markdown": markdown, "chart": chart, "failed": bool(section.failures)}), encoding="utf-8"
    )


def _write(name: str, markdown: str, chart: str | None) -> None:
    """Put a section into the page, in place of its older self."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else _EMPTY
    start, end = f"<!-- bench:{name} -->\n", f"<!-- /bench:{name} -->\n"
    block = start + markdown + end
    if start in text:
        before, rest = text.split(start, 1)
        text = before + block + rest.split(end, 1)[1]
    else:
        text = text.rstrip("\n") + "\n\n" + block
    if chart is not None:
        (PAGE.parent / f"performance-{name}.svg").write_text(chart, encoding="utf-8")
    temporary = PAGE.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, PAGE)


_EMPTY = """# Performance

Measured with `make bench`, which writes the sections below. Nothing here is asserted by the tests: a busy machine is
slower, not wrong. Each section names its day, commit and machine.
"""


if __name__ == "__main__":
    main()
