"""The stages of a bench as bars in a terminal and as a picture (SVG). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from web.bench.load import Stage

__all__ = ["bars", "svg"]

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def bars(stages: Sequence[Stage], width: int) -> list[str]:
    """One line a stage: tokens a second, and under it the time to the first token."""
    lines = []
    fastest = max((stage.tokens_per_s for stage in stages), default=0.0)
    slowest = max((stage.first_median_s for stage in stages), default=0.0)
    for stage in stages:
        head = f"{_clients(stage):<12}"
        lines.append(f"{head}  {_bar(stage.tokens_per_s, fastest, width)} {stage.tokens_per_s:.1f} tokens/s")
        first = f"{stage.first_median_s * 1000:.0f} ms to the first"
        lines.append(f"{'':>12}  {_bar(stage.first_median_s, slowest, width)} {first}")
    return lines


def _clients(stage: Stage) -> str:
    return f"{stage.clients:>4} client{'s' if stage.clients != 1 else ''}"


def _bar(value: float, most: float, width: int) -> str:
    eighths = round(8 * width * value / most) if most > 0 else 0
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()).ljust(width)


def svg(stages: Sequence[Stage], title: str) -> str:
    """Two rows of bars; a page of its own, without scripts."""
    height = 80 + 56 * len(stages)
    fastest = max((stage.tokens_per_s for stage in stages), default=0.0) or 1.0
    slowest = max((stage.first_median_s for stage in stages), default=0.0) or 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {height}" font-family="system-ui,sans-serif" '
        f'font-size="14"><rect width="720" height="{height}" fill="#fff"/>'
        f'<text x="20" y="32" font-size="17">{escape(title)}</text>'
    ]
    for index, stage in enumerate(stages):
        y = 60 + 56 * index
        rate, first = 420 * stage.tokens_per_s / fastest, 420 * stage.first_median_s / slowest
        parts.append(
            f'<text x="100" y="{y + 24}" text-anchor="end">{_clients(stage)}</text>'
            f'<rect x="112" y="{y}" width="{rate:.1f}" height="18" fill="#177a72"/>'
            f'<text x="{118 + rate:.1f}" y="{y + 14}">{stage.tokens_per_s:.1f} tokens/s</text>'
            f'<rect x="112" y="{y + 22}" width="{first:.1f}" height="12" fill="#c98b2b"/>'
            f'<text x="{118 + first:.1f}" y="{y + 33}">{stage.first_median_s * 1000:.0f} ms to the first</text>'
        )
    return "".join([*parts, "</svg>\n"])
