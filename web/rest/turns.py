"""GET /admin/api/turns: where the time went in the last turns, for admins. What was said is not in it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from models.errors import BadInput
from voice.measuring.recent_turns import KEPT, TurnFigures
from web.errors import Forbidden
from web.guards.authenticate import principal_of
from web.services import services_of

__all__ = ["ROUTES"]


async def _turns(request: Request) -> Response:
    """?limit=50: {"turns": [the latest first], "stages": {stage: {"turns", "median_ms", "p95_ms"}}, "total", "kept"}.

    `latency_ms` of a turn is its ledger: milliseconds since the user's last speech sample, for each stage reached;
    negative where a guess was ahead of the user. `stages` are of all turns that are kept, at most 200, and have
    first_sound beside the stages of the ledger. `total` counts since the server began.
    """
    if principal_of(request).tier != "admin":
        raise Forbidden("only an admin may read this")
    asked = request.query_params.get("limit", "50")
    if not (asked.isascii() and asked.isdecimal()) or not 1 <= int(asked[:9]) <= KEPT:
        raise BadInput(f"limit must be 1 to {KEPT}", param="limit")
    recent = services_of(request).hub.recent_turns
    return JSONResponse(
        {
            "turns": [_row(turn) for turn in recent.latest(int(asked))],
            "stages": {stage: asdict(spread) for stage, spread in recent.spreads().items()},
            "total": recent.count,
            "kept": KEPT,
        }
    )


def _row(turn: TurnFigures) -> dict[str, Any]:
    return {
        "number": turn.number,
        "ended_at": turn.ended_at.isoformat(),
        "session": turn.session,
        "reply": turn.reply,
        "status": turn.status,
        "reason": turn.reason,
        "interrupted": turn.interrupted,
        "tokens_in": turn.tokens_in,
        "tokens_out": turn.tokens_out,
        "first_sound_ms": turn.first_sound_ms,
        "latency_ms": dict(turn.latency_ms),
    }


ROUTES = [Route("/admin/api/turns", _turns, methods=["GET"])]
