"""`parley replay`: a recorded session once more, and whether the same comes of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from web.cli.command import MEASURING, Command

__all__ = ["SPEC"]


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="a .jsonl file from the folder recordings in PARLEY_HOME")
    parser.add_argument("--quiet", action="store_true", help="print only the result, not the timeline")


def _run(arguments: argparse.Namespace) -> int:
    """0: the same actions. 1: others, and the first difference is shown."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    from voice.errors import BadRecording
    from voice.records.replay import Replay, describe
    from web.terminal.console import PlainConsole

    path: Path = arguments.file
    console = PlainConsole(soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    try:
        size = path.stat().st_size
        if not size:
            raise BadRecording(f"{path} is empty")
        with path.open(encoding="utf-8", errors="strict") as file, Progress(*columns, console=console) as bar:
            task = bar.add_task("replaying", total=size)
            replay = Replay(_read(file, lambda done: bar.update(task, completed=done)))
            began, steps, last = None, 0, 0.0
            for step in replay.steps():
                began = step.now if began is None else began
                steps, last = steps + 1, step.now - began
                for line in () if arguments.quiet else describe(step):
                    bar.console.print(f"{last:8.3f}  {line}")
                if not step.same:
                    bar.stop()
                    console.print(f"line {step.line}, at {last:.3f} s: {type(step.event).__name__}")
                    console.print(step.difference())
                    return 1
    except OSError as error:
        raise BadRecording(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadRecording(f"{path} is not text", hint="give the .jsonl file, not the audio beside it") from None
    masked = "" if replay.words else "; its words are masked"
    console.print(f"session {replay.session}: {steps} steps, {last:.1f} s: the same actions{masked}")
    return 0


def _read(file: IO[str], advanced: object) -> Iterator[str]:
    done = 0
    for line in file:
        done += len(line.encode())
        if callable(advanced):
            advanced(done)
        yield line


SPEC = Command(
    "replay",
    "play a recorded session through the turn machine again",
    "Repeat every step of a recorded session. Exit status 0: the outcome is the same; 1: there is a difference.",
    _configure,
    _run,
    MEASURING,
)
