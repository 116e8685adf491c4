"""The sum of a model's memory as a table on a terminal."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from llm.memory.fit import FitSum
from llm.memory.machine import HostMemory
from llm.slots.errors import mib

__all__ = ["FitSubject", "fit_table"]


@dataclass(frozen=True, slots=True)
class FitSubject:
    """`trained`: the context it was trained with, None where nobody says."""

    name: str
    architecture: str
    parameters: int
    trained: int | None


def fit_table(subject: FitSubject, fit: FitSum, ratio: float, host: HostMemory, most: int) -> Group:
    """`ratio`: what this model took before, over its sum. `most`: the largest context that would fit."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    table.add_row("weights", mib(fit.weights), f"{subject.parameters / 1e6:,.0f} M parameters")
    if fit.cells:
        per_token = f"{fit.kv_per_token / 1024:.1f} KiB a token"
        table.add_row("KV cache", mib(fit.kv), f"{fit.cells} tokens, {per_token}, {fit.attention_layers} layers")
    if fit.recurrent_layers:
        table.add_row("state", mib(fit.state), f"{fit.sequences} sequences, {fit.recurrent_layers} recurrent layers")
    table.add_row("compute", mib(fit.compute), "scratch memory of one pass")
    table.add_row("process", mib(fit.process), "a worker process without a model")
    if abs(ratio - 1.0) >= 0.005:
        corrected = int(fit.total * (ratio - 1.0))
        sign = "-" if corrected < 0 else ""
        table.add_row("correction", f"{sign}{mib(abs(corrected))}", f"x {ratio:.2f}, measured on this machine")
    total = int(fit.total * ratio)
    table.add_row(
        Text("sum", "bold"),
        Text(mib(total), "bold"),
        f"for conversations of {fit.context} tokens" if fit.cells else "",
    )
    if fit.cache_ram:
        table.add_row("cache RAM", mib(fit.cache_ram), "at most, if there is room: inactive conversations")
    table.add_row("free", mib(host.available), f"of {mib(host.total)}")
    fits = total <= host.available
    verdict = "It fits." if fits else f"It does not fit: {mib(total - host.available)} short."
    trained = subject.trained
    most = max(most, fit.context if fits else 0)  # steps are coarse, and some models know less than one
    reach = f"The longest context that fits is {most} tokens" if most else "Not even a short context fits"
    reach += f"; the model was trained on {trained}." if trained else "."
    if not fit.cells:
        reach = "It has no context to keep between requests."
    title = Text(f"{subject.name}: {subject.architecture or 'unknown architecture'}", "bold")
    return Group(title, table, Text(f"{verdict} {reach}", "" if fits else "red"))
