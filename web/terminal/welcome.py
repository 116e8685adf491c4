"""What `parley up` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from web.stages import Stage
from web.terminal.console import PlainConsole

__all__ = ["Welcome"]


class _Console(PlainConsole):
    """A server goes on though nobody reads what it prints: `| head`, a terminal that was closed."""

    def print(self, *objects: Any, **options: Any) -> None:
        with suppress(OSError):
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Welcome:
    """Lines on stdout; the log is on stderr. Addresses and keys are never broken over lines: they are copied."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or _Console(soft_wrap=True)

    def hello(self) -> None:
        self.console.print(Text("Parley", style="bold"))

    def warning(self, text: str) -> None:
        self.console.print(Text(text, style="yellow"))

    def address(self, url: str, fresh_key: str) -> None:
        self.console.print(f"  {url}")
        if fresh_key:
            self.console.print("  Your admin key, shown only this once:")
            self.console.print(Text(f"  {fresh_key}", style="bold"))

    @contextmanager
    def waiting(self) -> Iterator[Callable[[str], None]]:
        """A line that moves on a terminal, and is nothing elsewhere."""
        if not self.console.is_terminal:
            yield lambda text: None
            return
        with self.console.status("starting") as status:
            yield status.update

    def stage_ready(self, stage: Stage, after_s: float) -> None:
        self.console.print(Text(f"  {stage.name:<14} {stage.part}, after {after_s:.1f} s", style="dim"))

    def table(self, stages: Sequence[Stage]) -> None:
        """Which part runs each stage, why, and what would make it better."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for title in ("stage", "part", "why"):
            table.add_column(title, overflow="fold")
        table.add_column("better with", no_wrap=True, overflow="fold")  # a command, to be copied
        for stage in stages:
            style = "" if stage.ready else "red"
            why = stage.why if stage.ready else f"not ready: {stage.why}"
            table.add_row(stage.name, stage.part, why, stage.improve, style=style)
        self.console.print()
        self.console.print(table, soft_wrap=False)

    def slots(self, first_port: int, count: int, taken: int) -> None:
        ports = f"{first_port} to {first_port + count - 1}" if count > 1 else f"{first_port}"
        text = f"{taken} of {count} model slots in use (ports {ports})"
        self.console.print(Text(text, "dim"))

    def link(self, link: str, missing: Sequence[str], after_s: float) -> None:
        """`missing`: the stages that are not ready."""
        self.console.print()
        if missing:
            self.warning(f"Not ready: {', '.join(missing)}. Run `parley doctor` to find out why.")
        else:
            self.console.print(f"Ready after {after_s:.1f} s.")
        self.console.print("Open this link to talk to Parley. It works once and expires after ten minutes:")
        self.console.print(Text(f"  {link}", style="bold cyan"))
        self.console.print(
            Text(
                "`parley link` prints another link, `parley talk` talks from a terminal, Ctrl-C stops Parley.", "dim"
            )
        )
        self.console.print(
            Text("The admin page at /admin/ loads and downloads models and shows where the time goes.", "dim")
        )

    def stopping(self) -> None:
        self.console.print("\nStopping.")

    def bye(self) -> None:
        self.console.print("Stopped.")
