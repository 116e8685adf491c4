"""A bar chart as SVG, readable on light and dark pages. Nothing but text."""

from __future__ import annotations

from html import escape

from tests.bench.report import Bars

__all__ = ["svg"]

_WIDTH, _LABEL, _ROW, _TOP = 900, 390, 30, 40


def svg(chart: Bars) -> str:
    most = max([value for _, value in chart.bars] + [chart.mark or 0.0]) or 1.0
    scale = (_WIDTH - _LABEL - 80) / most
    height = _TOP + _ROW * len(chart.bars) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="#57606a">',
        f"<title>{escape(chart.title)}</title>",
        f'<text x="0" y="18" font-weight="600">{escape(chart.title)}</text>',
    ]
    for row, (label, value) in enumerate(chart.bars):
        y = _TOP + row * _ROW
        parts += [
            f'<text x="{_LABEL - 10}" y="{y + 16}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{_LABEL}" y="{y + 3}" width="{max(1.0, value * scale):.1f}" height="18" rx="3" '
            f'fill="{"#16796f" if label.startswith("Parley") else "#9aa4ad"}"/>',
            f'<text x="{_LABEL + value * scale + 8:.1f}" y="{y + 16}">{value:g}</text>',
        ]
    if chart.mark is not None:
        x = _LABEL + chart.mark * scale
        end = _TOP + _ROW * len(chart.bars)
        parts += [
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 4}" y2="{end}" stroke="#d29922" stroke-dasharray="4 3"/>',
            f'<text x="{x:.1f}" y="{end + 16}" text-anchor="middle">{escape(chart.mark_label)}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
