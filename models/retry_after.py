"""When a server that refuses wants to be asked again."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["retry_after_s"]

_MAX_RETRY_S = 3600


def retry_after_s(value: str, date: str = "", in_ms: str = "") -> int | None:
    """Seconds of a Retry-After header, at most an hour; None for nonsense. A date counts from `date`, the server's
    own: its clock need not be ours. `in_ms`: of the header retry-after-ms (OpenAI, Azure), which counts first.
    """
    text = in_ms.strip().split(".")[0]
    if text.isascii() and text.isdigit():
        return min(-(-int(text[:12]) // 1000), _MAX_RETRY_S)
    text = value.strip().split(".")[0]
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), _MAX_RETRY_S)
    try:
        left_s = (_time_of(value) - _time_of(date)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return int(min(max(left_s, 0), _MAX_RETRY_S))


def _time_of(date: str) -> datetime:
    """Of the three forms of HTTP dates the oldest names no time zone. Raises ValueError."""
    found = parsedate_to_datetime(date)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
