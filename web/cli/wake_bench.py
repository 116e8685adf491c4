"""`parley wake-bench`: misses and false wakes of a wake word on recordings of one's own."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from web.cli.command import MEASURING, Command, add_settings_flags, settings_of

__all__ = ["SPEC"]

if TYPE_CHECKING:
    from voice.wake.bench import WakeReport

_SHOWN = 10
_THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_BAR = 20


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a folder of recordings, with and without the wake word")
    parser.add_argument("--word", required=True, help='the wake word, such as "alexa" or "hey jarvis"')
    parser.add_argument(
        "--threshold", type=float, help="score that counts as heard (default: threshold of [voice.wake])"
    )
    add_settings_flags(parser)


def _run(arguments: argparse.Namespace) -> int:
    import anyio
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from models.errors import BadInput
    from models.store import Store
    from voice.ears.ears import load_ears
    from voice.ears.wake_trigger import match_words
    from voice.parts import wake_models
    from voice.wake.bench import FLOOR, bench_wake, recordings_in
    from web.terminal.console import PlainConsole

    settings = settings_of(arguments)
    threshold = settings.voice.wake.threshold if arguments.threshold is None else arguments.threshold
    if not FLOOR <= threshold < 1:
        raise BadInput(f"the threshold is {threshold}", hint=f"choose one between {FLOOR} and 1; 0.5 is usual")
    paths = recordings_in(arguments.folder)
    if not paths:
        raise BadInput(f"there is no file in {arguments.folder}", hint="name a folder of recordings")
    store = Store(settings.home, [Path(path).expanduser() for path in settings.models.directories])
    every_score = replace(settings.voice.wake, refractory_ms=0)
    ears = load_ears(settings.voice.vad, every_score, wake_models(settings.voice.wake, store))
    if not match_words((arguments.word,), ears.known_words()):
        known = ", ".join(ears.known_words()) or "none"
        raise BadInput(f"there is no model for {arguments.word!r}", hint=f"there are models for: {known}")
    console = PlainConsole(soft_wrap=True)
    columns = (TextColumn("listening"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("listening", total=len(paths))
        everything = anyio.run(bench_wake, ears, paths, arguments.word, lambda heard: progress.advance(task))
    if len(everything.unread) == len(paths):
        first = everything.unread[0]
        raise BadInput(
            f"none of the {len(paths)} files in {arguments.folder} is a recording",
            hint=f"WAV, MP3, Ogg, FLAC, WebM, M4A; {first.path}: {first.problem}",
        )
    refractory_ms = settings.voice.wake.refractory_ms
    report = everything.at(threshold, refractory_ms)
    with_word = len(report.hits) + len(report.misses)
    console.print(f"word            {arguments.word}, threshold {threshold:g}")
    if with_word:
        console.print(
            f"heard           {len(report.hits)} of {with_word} recordings with the word"
            f" ({100 * len(report.hits) / with_word:.1f} %), {len(report.misses)} missed"
        )
    else:
        console.print("heard           no recording has the word in its name or its folder's")
    if report.false_per_hour is None:
        console.print("false wakes     no recording without the word")
    else:
        count = sum(len(each.wakes) for each in report.false_wakes)
        console.print(
            f"false wakes     {count} in {report.hours_without:.2f} hours without the word"
            f" ({report.false_per_hour:.1f} an hour)"
        )
    sweep = [(each, everything.at(each, refractory_ms)) for each in sorted({*_THRESHOLDS, threshold})]
    for line in _table(sweep, threshold):
        console.print(line)
    for title, found in (("missed", report.misses), ("false wake", report.false_wakes), ("not read", report.unread)):
        for each in found[:_SHOWN]:
            scores = ", ".join(f"{wake.score:.2f} at {wake.end_s:.1f} s" for wake in each.wakes)
            detail = scores or each.problem
            console.print(f"{title:15} {each.path}{f': {detail}' if detail else ''}")
        if len(found) > _SHOWN:
            console.print(f"{title:15} and {len(found) - _SHOWN} more")
    return 0


def _table(sweep: Sequence[tuple[float, WakeReport]], chosen: float) -> Iterator[str]:
    """What every threshold would have done, a line each, with bars: # of the misses, * of the false wakes."""
    most = max((report.false_per_hour or 0.0 for _, report in sweep), default=0.0)
    yield ""
    yield f"  threshold  missed{'':{_BAR + 4}}false wakes per hour"
    for threshold, report in sweep:
        with_word = len(report.hits) + len(report.misses)
        missed = len(report.misses) / with_word if with_word else None
        false = report.false_per_hour
        left = "-" if missed is None else f"{100 * missed:5.1f} % {'#' * round(_BAR * missed)}"
        right = "-" if false is None else f"{false:7.1f} {'*' * round(_BAR * false / most) if most else ''}"
        yield f"{'>' if threshold == chosen else ' '} {threshold:9g}  {left:{_BAR + 9}} {right}".rstrip()
    yield ""


SPEC = Command(
    "wake-bench",
    "measure how well a wake word is recognised",
    "Listen for a wake word in every recording of a folder (WAV, MP3, Ogg, FLAC, WebM, M4A). Files whose name or"
    " folder names the word (alexa/17.wav, hey_jarvis-lights.mp3) should contain it, all others should not. Reports"
    " misses and false wakes per hour at every threshold.",
    _configure,
    _run,
    MEASURING,
)
