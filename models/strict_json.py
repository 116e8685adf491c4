"""JSON as RFC 8259 has it. Python's own reader also takes NaN, Infinity and 1e999, which nobody can write again."""

from __future__ import annotations

import json
import math
from typing import Any

__all__ = ["strict_loads"]


def strict_loads(text: str | bytes) -> Any:
    """Raises ValueError (JSONDecodeError, UnicodeDecodeError), RecursionError."""
    return json.loads(text, parse_constant=_refused, parse_float=_finite)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refused(text)


def _refused(text: str) -> float:
    raise ValueError(f"{text[:20]} is not a number that JSON can say")
