"""`parley bench`: how fast a slot, a backend or any OpenAI-compatible server is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from web.cli.command import MEASURING, Command, add_settings_flags, number_between, settings_of

if TYPE_CHECKING:
    from web.bench.load import Stage, Work

__all__ = ["SPEC"]


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        counts = ()
    if not counts or not all(1 <= count <= 1024 for count in counts):
        raise argparse.ArgumentTypeError("numbers from 1 to 1024, like 1,4,8")
    return counts


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default="", help="a loaded model, or backend/model (default: the server's default model)"
    )
    parser.add_argument(
        "--base-url", metavar="URL", help="another OpenAI-compatible server, like http://127.0.0.1:8080/v1"
    )
    parser.add_argument("--key", help="its key (not needed for your own server on this machine)")
    parser.add_argument(
        "--clients",
        type=_counts,
        default=(1, 4, 8),
        metavar="N,N",
        help="numbers of simultaneous clients to try (default: 1,4,8)",
    )
    parser.add_argument(
        "--requests", type=number_between(1, 10_000), default=3, metavar="N", help="requests per client (default: 3)"
    )
    parser.add_argument(
        "--prompt-tokens",
        type=number_between(1, 100_000),
        default=128,
        metavar="N",
        help="prompt length (default: 128)",
    )
    parser.add_argument(
        "--output-tokens",
        type=number_between(1, 100_000),
        default=64,
        metavar="N",
        help="longest answer (default: 64)",
    )
    parser.add_argument(
        "--seconds",
        type=number_between(1, 3600),
        default=60,
        metavar="N",
        help="time limit of each step (default: 60)",
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="also draw the results into this SVG file")
    add_settings_flags(parser)


def _run(arguments: argparse.Namespace) -> int:
    import anyio

    from models.errors import BadInput
    from models.secrecy import hidden
    from web.bench.load import Work
    from web.terminal.api_client import ServerRefused, find_server

    if arguments.base_url:
        base, key = arguments.base_url.rstrip("/"), arguments.key or ""
        if not base.startswith(("http://", "https://")):
            raise BadInput(f"{base!r} is not the address of a server", hint="for example http://127.0.0.1:8080/v1")
    else:
        target = find_server(settings_of(arguments), None, arguments.key)
        base, key = f"{target.url}/v1", target.key
    work = Work(base, arguments.model, key, arguments.prompt_tokens, arguments.output_tokens)
    stages: list[Stage] = []
    interrupted = anyio.run(_until_interrupted, arguments, work, stages)
    if not interrupted and len(stages) == 1 and stages[0].errors == stages[0].requests:
        raise ServerRefused(
            f"{hidden(work.base_url)} did not answer: {stages[0].error}",
            hint="check --base-url (it ends in /v1), --model and --key",
        )
    if interrupted and not stages and not arguments.json:
        return 130  # nothing was measured yet
    _report(arguments, work, stages)
    if arguments.svg and stages:
        _draw(arguments.svg, work, stages)
    if interrupted:
        return 130
    return 1 if not stages or any(stage.errors for stage in stages) else 0


async def _until_interrupted(arguments: argparse.Namespace, work: Work, stages: list[Stage]) -> bool:
    """True if Ctrl-C ended it; what was measured until then is still printed."""
    import signal

    import anyio

    interrupted = False
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            nonlocal interrupted
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    interrupted = True
                    group.cancel_scope.cancel()

        group.start_soon(watch)
        await _measure(arguments, work, stages)
        group.cancel_scope.cancel()
    return interrupted


async def _measure(arguments: argparse.Namespace, work: Work, stages: list[Stage]) -> None:
    from dataclasses import replace

    import aiohttp
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from models.clock import SystemClock
    from web.bench.load import run_stage
    from web.terminal.console import PlainConsole

    clock = SystemClock()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    connector = aiohttp.TCPConnector(limit=0)
    with Progress(*columns, console=PlainConsole(stderr=True), transient=True) as bar:
        async with aiohttp.ClientSession(connector=connector) as http:
            task = bar.add_task("warming up", total=1)
            first = await run_stage(http, replace(work, output_tokens=4), 1, 1, arguments.seconds, clock)
            if first.errors:
                stages.append(first)
                return
            for clients in arguments.clients:
                total = clients * arguments.requests
                bar.reset(task, total=total, description=f"{clients} clients")
                stages.append(
                    await run_stage(http, work, clients, total, arguments.seconds, clock, lambda: bar.advance(task))
                )


def _report(arguments: argparse.Namespace, work: Work, stages: list[Stage]) -> None:
    import json

    from rich.table import Table
    from rich.text import Text

    from models.secrecy import hidden
    from web.bench.chart import bars
    from web.terminal.console import PlainConsole

    if arguments.json:
        rows = [stage.row() for stage in stages]
        print(json.dumps({"base_url": hidden(work.base_url), "model": work.model, "stages": rows}))
        return
    console = PlainConsole()
    table = Table(title=_title(work))
    for name in ("clients", "requests", "errors", "tokens/s", "tokens/s per reply", "first token", "p95"):
        table.add_column(name, justify="right")
    for stage in stages:
        answered = stage.requests > stage.errors
        first, p95 = (f"{s * 1000:.0f} ms" if answered else "" for s in (stage.first_median_s, stage.first_p95_s))
        numbers = (stage.clients, stage.requests, stage.errors, stage.tokens_per_s, stage.reply_tokens_per_s)
        table.add_row(*(str(number) for number in numbers), first, p95)
    console.print(table)
    for line in bars([s for s in stages if s.requests > s.errors], max(10, min(60, console.width - 40))):
        console.print(Text(line))
    for problem in {stage.error for stage in stages if stage.error}:
        console.print(Text(problem, style="red"))


def _title(work: Work) -> str:
    from models.secrecy import hidden

    return f"{work.model or 'the default model'} at {hidden(work.base_url)}"


def _draw(path: Path, work: Work, stages: list[Stage]) -> None:
    """The picture, whole or not at all. Raises BadInput where it cannot be written."""
    from models.errors import BadInput
    from web.bench.chart import svg

    part = path.with_name(f".{path.name}.part")
    try:
        try:
            part.write_text(svg(stages, _title(work)), encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}", hint="name another file for --svg") from error


SPEC = Command(
    "bench",
    "measure how fast a model answers",
    "Send requests to a model of the running server (or of any OpenAI-compatible server) from 1, 4 and 8 clients at "
    "once. Prints tokens per second and the time to the first token.",
    _configure,
    _run,
    MEASURING,
)
