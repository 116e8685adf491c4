"""From `parley up` to a server that would answer a voice turn, with the embedded parts."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.bench.report import Options, Section, Table
from tests.parley_process import running_parley

__all__ = ["run"]


def run(options: Options) -> Section:
    seconds = []
    for _ in range(1 if options.quick else 5):
        with tempfile.TemporaryDirectory() as folder, running_parley(Path(folder)) as server:
            seconds.append(server.ready_s)
    return Section(
        "From `parley up` to ready",
        "From a new process with an empty home to `GET /health` with status ok: recogniser, parley-mini and "
        "espeak-ng "
        "are loaded. The program's files are in the system's file cache, as on every start but the first after "
        "booting.",
        (
            Table(
                ("seconds", "first run", "median", "worst", "runs"),
                (
                    (
                        "`parley up` to ready",
                        f"{seconds[0]:.1f}",
                        f"{sorted(seconds)[len(seconds) // 2]:.1f}",
                        f"{max(seconds):.1f}",
                        len(seconds),
                    ),
                ),
            ),
        ),
    )
