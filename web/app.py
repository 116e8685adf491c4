"""The application: which paths there are, and what every request passes on its way to them."""

from __future__ import annotations

import importlib
import mimetypes
import pkgutil
from collections.abc import Iterator
from functools import partial
from types import ModuleType

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from models.clock import Clock
from models.registry import import_part
from web.client_secrets import ClientSecrets
from web.guards.access_log import AccessLog
from web.guards.authenticate import Authenticate
from web.guards.body_limit import BodyLimit
from web.guards.errors_to_answers import ErrorsToAnswers, on_http_exception
from web.guards.loop import LoopGuard
from web.guards.origin import OriginGuard
from web.guards.request_id import RequestId
from web.guards.security_headers import SecurityHeaders
from web.http.direct import DirectRoutes
from web.keys import KeyRing
from web.services import Services
from web.serving.exposure import only_here
from web.settings import ServerSettings

__all__ = ["create_app", "guards"]

_FOLDERS = ("web.rest", "web.sockets", "web.pages")
"""Every module in them that has ROUTES is served; its PUBLIC paths need no key."""


_SHOWN = ("x-request-id", "retry-after", "x-parley-route")
"""Headers that pages of allowed origins may read: OpenAI's client looks at the first two."""


def create_app(services: Services) -> Starlette:
    """The ASGI application. It has no lifespan of its own: `open_services` is around it."""
    # Read the system's table now and not in the first request; and whatever it says, scripts are scripts.
    mimetypes.init()
    mimetypes.add_type("text/javascript", ".js")
    modules = list(_endpoint_modules())
    routes: list[BaseRoute] = [route for module in modules for route in module.ROUTES]
    routes.append(Mount("/static", StaticFiles(packages=[("web", "static")], check_dir=False), name="static"))
    public = ["/static/", *(path for module in modules for path in getattr(module, "PUBLIC", ()))]
    passed = guards(services.settings.server, services.clock, services.keys, public, services.client_secrets)
    app = Starlette(
        routes=routes,
        middleware=[*passed, Middleware(DirectRoutes, routes=routes)],
        exception_handlers={HTTPException: on_http_exception},
    )
    app.state.services = services
    return app


def guards(
    server: ServerSettings,
    clock: Clock,
    keys: KeyRing,
    public: list[str],
    client_secrets: ClientSecrets | None = None,
) -> list[Middleware]:
    """What every request passes, outermost first."""
    found = [
        Middleware(RequestId),
        Middleware(SecurityHeaders),
        Middleware(ErrorsToAnswers),
        Middleware(
            OriginGuard,
            check_host=only_here(server.host),
            hosts=server.allowed_hosts,
            origins=server.allowed_origins,
        ),
        Middleware(Authenticate, keys=keys, clock=clock, public=public, client_secrets=client_secrets),
        Middleware(LoopGuard),
        Middleware(BodyLimit, max_bytes=server.max_body_mb * 2**20),
    ]
    if server.allowed_origins:
        # Before the guards that refuse: a browser asks without a key first. Cookies stay at home.
        cors = Middleware(
            CORSMiddleware,
            allow_origins=server.allowed_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=_SHOWN,
        )
        found.insert(2, cors)
    if server.log_level == "debug":  # else its lines would be made for nobody
        found.insert(1, Middleware(AccessLog, clock=clock))
    return found


def _endpoint_modules() -> Iterator[ModuleType]:
    for folder in _FOLDERS:
        package = importlib.import_module(folder)
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
            name = f"{folder}.{info.name}"
            module = import_part(name, partial(importlib.import_module, name))
            if hasattr(module, "ROUTES"):
                yield module
