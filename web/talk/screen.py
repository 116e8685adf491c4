"""What the terminal client prints."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from web.terminal.console import PlainConsole
from web.terminal.printable import printable

__all__ = ["Screen"]

_STAGES = {
    "transcript": "transcript",
    "endpoint": "endpoint",
    "first_token": "first token",
    "first_clause": "first clause",
    "first_speech": "first speech",
    "first_audio_sent": "audio sent",
    "first_audio_played": "audio played",
    "stopped": "stopped",
    "done": "done",
}
_WAITS = {
    "transcript": "what you said is being written down",
    "queue": "others are before you",
    "loading": "the model is loading",
    "answer": "the answer takes long",
    "voice": "the voice takes long",
}


class Screen:
    """Lines as they happen; the reply's text grows while it comes. Partial transcripts show on a terminal only."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or PlainConsole(soft_wrap=True)
        self._open = ""

    def note(self, text: str) -> None:
        self._end_line()
        self.console.print(Text(text, style="dim"))

    def waits(self, message: Mapping[str, Any]) -> None:
        """The answer is slow; told again and again, and shown where the last line can be written anew."""
        if not self.console.is_terminal or self._open not in ("", "partial"):
            return
        self._open = "partial"
        done = f" {message['progress']:.0%}" if "progress" in message else ""
        sys.stdout.write(f"\r\x1b[2K... {_WAITS.get(message['for'], 'waiting')}{done}")
        sys.stdout.flush()

    def problem(self, message: str, hint: str = "") -> None:
        self._end_line()
        self.console.print(Text(message, style="red"))
        if hint:
            self.console.print(Text(f"  {hint}", style="dim"))

    def heard(self, text: str, is_final: bool, is_request: bool) -> None:
        """What the server understood. Not `is_request`: a stop word or a hum, which it does not answer."""
        if is_final:
            self._clear_partial()
            self._end_line()
            note = "" if is_request or not text else "  (no request)"
            self.console.print(Text.assemble(("you     ", "bold cyan"), text or "(nothing)", (note, "dim")))
        elif self.console.is_terminal and self._open in ("", "partial"):
            self._open = "partial"
            width = max(10, self.console.width - 10)
            sys.stdout.write(f"\r\x1b[2Kyou ... {printable(text[-width:])}")
            sys.stdout.flush()

    def said(self, reply: str, delta: str) -> None:
        """A piece of the reply's text."""
        if self._open != reply:
            self._clear_partial()
            self._end_line()
            self.console.print(Text("parley  ", style="bold green"), end="")
            self._open = reply
        self.console.print(Text(delta), end="")

    def interrupted(self, heard: str) -> None:
        self._end_line()
        self.console.print(Text(f"        (interrupted; heard: {heard or 'nothing'})", style="yellow"))

    def turn_over(self, turn: Mapping[str, Any]) -> None:
        self._end_line()
        usage = turn.get("usage", {})
        self.console.print(
            Text(
                f"        {turn.get('latency_ms', 0):.0f} ms to the first audio, "
                f"{usage.get('tokens_in', 0)} tokens in, {usage.get('tokens_out', 0)} out",
                style="dim",
            )
        )

    def ledger(self, turns: list[Mapping[str, Any]]) -> None:
        """The latency table: a row a stage, a column a turn, milliseconds since the end of speech."""
        self._end_line()
        if not turns:
            return
        reached = {stage for turn in turns for stage in turn.get("latency", {})} - {"speech_end"}  # always 0
        stages = [stage for stage in (*_STAGES, *sorted(reached - set(_STAGES))) if stage in reached]
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("ms since the end of speech")
        for number in range(1, len(turns) + 1):
            table.add_column(f"turn {number}", justify="right")
        for stage in stages:
            ledgers = [turn.get("latency", {}) for turn in turns]
            cells = [f"{ledger[stage]:.0f}" if stage in ledger else "-" for ledger in ledgers]
            table.add_row(_STAGES.get(stage, stage), *cells)
        self.console.print()
        self.console.print(table)

    def _end_line(self) -> None:
        if self._open:
            self._open = ""
            self.console.print()

    def _clear_partial(self) -> None:
        if self._open == "partial":
            self._open = ""
            sys.stdout.write("\r\x1b[2K")
            sys.stdout.flush()
