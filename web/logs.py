"""Log lines: events with fields, on stderr, without secrets.

What people say and what models answer is never logged. Credentials should not be either; the mask here is the second
fence, for what a library may put into a message.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from models.secrecy import hidden
from web.terminal.printable import printable

__all__ = ["LEVELS", "configure", "mask"]

LEVELS = ("debug", "info", "warning", "error")

_SECRET = re.compile(r"\b(sk-|ek_|live-)[A-Za-z0-9_-]{8,}|(?<=/signin/)[A-Za-z0-9_-]{8,}")


def mask(text: str) -> str:
    """The text without keys, session tokens, sign-in codes, and whatever else models/secrecy.py knows."""
    return _SECRET.sub(lambda found: f"{found[1] or ''}...", hidden(text))


def configure(level: str) -> None:
    """Set up structlog and the standard library's logging, once, at a command's start. `level`: one of LEVELS."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.stdlib.ExtraAdder(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _OverStatusLine(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _mask_all,
                structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=24),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # uvicorn writes the paths of WebSockets at this level, and session tokens stand in them.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    for noisy in ("asyncio", "aiohttp.access", "httpx", "httpx2", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class _OverStatusLine(structlog.stdlib.ProcessorFormatter):
    """On a terminal a line of the log takes the place of the moving status line of `parley up`."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        return f"\r\x1b[2K{line}" if sys.stderr.isatty() else line


def _mask_all(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in fields.items():
        if not isinstance(value, int | float | None):
            fields[name] = printable(mask(str(value)))
    fields["event"] = str(fields["event"]).replace("\n", "\\n")  # nothing of others looks like a line of ours
    return fields
