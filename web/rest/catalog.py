"""GET /admin/api/models/catalog, for admins: the models that Parley recommends, which of them suit this machine, and
which are here already. They are fetched through web/rest/downloads.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from models import catalog
from models.errors import BadInput
from models.sources import huggingface
from web.errors import Forbidden
from web.guards.authenticate import principal_of
from web.services import services_of

__all__ = ["ROUTES"]


async def _catalog(request: Request) -> Response:
    """?language=en: {"models": [{"name", "kind", "size_mb", "licence", "installed", "recommended", ...}], "hub"}.

    `recommended`: of the set that a machine with this much memory can run all together, in that language.
    """
    if principal_of(request).tier != "admin":
        raise Forbidden("only an admin may read this")
    services = services_of(request)
    language = request.query_params.get("language", "en")
    known = sorted({spoken for entry in catalog.entries() for spoken in entry.languages} - {"*"})
    if language not in known:
        raise BadInput(
            "the catalogue has nothing for this language", param="language", hint=f"one of {', '.join(known)}"
        )
    chosen = catalog.recommended_set(language, services.pool.memory.host.total / 2**30)
    here = await anyio.to_thread.run_sync(_folders, services.store.root)
    rows: list[dict[str, Any]] = [
        {
            "name": entry.name,
            "kind": entry.kind,
            "repo": entry.repo,
            "languages": list(entry.languages),
            "size_mb": entry.size_mb,
            "ram_gib": entry.ram_gib,
            "licence": entry.licence,
            "note": entry.note,
            "installed": entry.name in here,
            "recommended": entry in chosen,
        }
        for entry in catalog.entries()
    ]
    return JSONResponse({"models": rows, "language": language, "languages": known, "hub": huggingface.endpoint()})


def _folders(root: Path) -> set[str]:
    try:
        return {path.name for path in root.iterdir() if path.is_dir()}
    except OSError:
        return set()


ROUTES = [Route("/admin/api/models/catalog", _catalog, methods=["GET"])]
