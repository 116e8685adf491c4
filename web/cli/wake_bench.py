"""`parley wake-bench`: misses and false wakes of a wake word on recordings of one's own."""

from __future__ import annotations

import argparse
from pathlib import Path

from web.cli.command import Command, add_settings_flags, settings_of

__all__ = ["SPEC"]

_SHOWN = 10


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a folder with WAV files, with and without the word")
    parser.add_argument("--word", required=True, help='the wake word, such as "alexa" or "hey jarvis"')
    parser.add_argument("--threshold", type=float, help="score from which it counts (voice.wake.threshold)")
    add_settings_flags(parser)


def _run(arguments: argparse.Namespace) -> int:
    import anyio
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from models.errors import BadInput
    from models.store import Store
    from voice.ears.ears import load_ears
    from voice.ears.wake_trigger import match_words
    from voice.parts import wake_models
    from voice.wake.bench import bench_wake, recordings_in

    settings = settings_of(arguments)
    threshold = settings.voice.wake.threshold if arguments.threshold is None else arguments.threshold
    if not 0 < threshold < 1:
        raise BadInput(f"the threshold is {threshold}", hint="it lies between 0 and 1; 0.5 is usual")
    paths = recordings_in(arguments.folder)
    if not paths:
        raise BadInput(f"there is no WAV file in {arguments.folder}", hint="name a folder of recordings")
    store = Store(settings.home, [Path(path).expanduser() for path in settings.models.directories])
    ears = load_ears(settings.voice.vad, settings.voice.wake, wake_models(settings.voice.wake, store))
    if not match_words((arguments.word,), ears.known_words()):
        known = ", ".join(ears.known_words()) or "none"
        raise BadInput(f"there is no model for {arguments.word!r}", hint=f"there are models for: {known}")
    console = Console(highlight=False, soft_wrap=True)
    columns = (TextColumn("listening"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("listening", total=len(paths))
        report = anyio.run(bench_wake, ears, paths, arguments.word, threshold, lambda heard: progress.advance(task))
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
    for title, found in (("missed", report.misses), ("false wake", report.false_wakes), ("not read", report.unread)):
        for each in found[:_SHOWN]:
            scores = ", ".join(f"{wake.score:.2f} at {wake.end_s:.1f} s" for wake in each.wakes)
            detail = scores or each.problem
            console.print(f"{title:15} {each.path}{f': {detail}' if detail else ''}")
        if len(found) > _SHOWN:
            console.print(f"{title:15} and {len(found) - _SHOWN} more")
    return 0


SPEC = Command(
    "wake-bench",
    "how well a wake word is heard in your recordings",
    "Listen for a wake word in all WAV files of a folder. A file holds the word if its name or its folder's name says"
    " so (alexa/17.wav, hey_jarvis-lights.wav); in all others it must not be heard. Reports misses and false wakes"
    " per hour.",
    _configure,
    _run,
)
