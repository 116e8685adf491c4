"""GET /health: would a voice turn work now?"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from web.services import Services, services_of
from web.stages import stages_of

__all__ = ["PUBLIC", "ROUTES"]

PUBLIC = ("/health",)


async def _health(request: Request) -> Response:
    """{"status": "ok" | "degraded", "timestamp", "active_models", "parts", "live_sessions"}, always with 200.

    "ok" means that voice activity detection, recogniser, language model and voice are all ready. It needs no key, so
    which parts they are, and why one is not ready, is told only to those who send one.
    """
    services = services_of(request)
    stages = stages_of(services)
    trusted = "principal" in request.scope.get("state", {})
    parts = []
    for stage in stages:
        part: dict[str, str | bool] = {"stage": stage.name, "ready": stage.ready}
        if trusted:
            part |= {"part": stage.part, "why": stage.why, "improve": stage.improve}
        parts.append(part)
    return JSONResponse(
        {
            "status": "ok" if all(stage.ready for stage in stages) else "degraded",
            "timestamp": services.clock.wall().isoformat(),
            "active_models": _active(services),
            "parts": parts,
            "live_sessions": services.hub.live,
        }
    )


def _active(services: Services) -> list[str]:
    """What is loaded here, and what other servers list."""
    loaded = [slot.model.name for slot in services.pool.slots if services.pool.ready(slot.model.name)]
    local = services.pool.local.name
    return [*loaded, *(model.id for model in services.router.models() if model.backend != local)]


ROUTES = [Route("/health", _health, methods=["GET"])]
