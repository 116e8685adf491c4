"""The time and date, here or in another time zone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from models.clock import Clock
from voice.tools.spec import ToolFailed, ToolSpec

__all__ = ["SPEC"]


async def _run(arguments: Mapping[str, Any], clock: Clock) -> str:
    zone = arguments.get("timezone")
    try:
        now = clock.wall().astimezone(ZoneInfo(zone) if zone else None)
    except (KeyError, ValueError, TypeError, OSError):
        raise ToolFailed(f"there is no time zone {str(zone)[:40]!r}; an IANA name is wanted") from None
    return json.dumps(
        {
            "time": f"{now:%H:%M}",
            "weekday": f"{now:%A}",
            "date": f"{now:%Y-%m-%d}",
            "timezone": zone or now.tzname() or "local",
        }
    )


SPEC = ToolSpec(
    "get_time",
    "Get the current time, weekday and date.",
    {
        "type": "object",
        "properties": {
            "timezone": {
                "type": "string",
                "description": "IANA name such as Europe/Rome; left out: where the user is",
            }
        },
    },
    _run,
)
