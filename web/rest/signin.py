"""Signing a browser in and out, by a one-time link or by a key (see web/signin.py for the why)."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from models.errors import BadInput
from web.errors import Forbidden
from web.guards.authenticate import principal_of
from web.guards.security_headers import PAGE_POLICY
from web.http.body import read_object
from web.services import services_of
from web.signin import CODE_LIFE_S, COOKIE, COOKIE_LIFE_S, make_cookie

__all__ = ["PUBLIC", "ROUTES", "link_path"]

PUBLIC = ("/signin", "/signin/", "/signout")

_STYLE = (
    "body{font:17px/1.5 system-ui,sans-serif;max-width:24rem;margin:20vh auto 0;padding:0 1.2rem;"
    "background:#f5f4ef;color:#1f2326}h1{font-size:1.4rem;color:#177a72}code{font-size:.9em}form+p{font-size:.86em;margin-top:1.6rem}"
    "input,button{font:inherit;padding:.6rem .9rem;width:100%;box-sizing:border-box;margin-top:.7rem;"
    "border-radius:.7rem;border:1px solid #c9c7be}button{background:#177a72;color:#fff;border:0;cursor:pointer}"
    "@media (prefers-color-scheme:dark){body{background:#16181d;color:#e8e8ea}h1{color:#5fb8ae}"
    "input{background:#22252b;color:inherit;border-color:#3a3d44}}"
)
# A page that the browser only draws ahead of time must not use the code up.
_SCRIPT = (
    "const go=()=>document.forms[0].submit();"
    "document.prerendering?document.addEventListener('prerenderingchange',go,{once:true}):go();"
)


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_POLICY = PAGE_POLICY.replace("script-src 'self'", f"script-src {_source(_SCRIPT)}").replace(
    "style-src 'self'", f"style-src {_source(_STYLE)}"
)


def link_path(code: str) -> str:
    return f"/signin/{code}"


async def _form(request: Request) -> Response:
    """GET /signin: a field for the key, for browsers that have no link."""
    return _page(_key_form(_safe_next(request.query_params.get("next", ""))))


async def _with_key(request: Request) -> Response:
    """POST /signin: key and next from the form."""
    async with request.form(max_files=0, max_fields=4, max_part_size=4096) as fields:
        key, to = str(fields.get("key", "")).strip(), _safe_next(str(fields.get("next", "")))
    if not key or not services_of(request).keys.admits(key):
        return _page(_key_form(to, "That key is not valid here."), 401)
    return _signed_in(request, to)


async def _link(request: Request) -> Response:
    """GET /signin/{code}: a page that posts itself. The code is not touched."""
    return _page(
        "<h1>Parley</h1><p>Signing you in.</p>"
        "<form method=post><button>Go on</button></form>"
        f"<script>{_SCRIPT}</script>"
    )


async def _redeem(request: Request) -> Response:
    """POST /signin/{code}: uses the code up."""
    if not services_of(request).codes.redeem(request.path_params["code"]):
        problem = "This link was used already, or is too old."
        return _page(_key_form("/live", problem), 403)
    return _signed_in(request, "/live")


async def _sign_out(request: Request) -> Response:
    """POST /signout: forgets the cookie."""
    response = RedirectResponse("/signin", 303)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


async def _new_link(request: Request) -> Response:
    """POST /admin/api/signin-links: {"path", "expires_in_s"} of a new one-time link."""
    if principal_of(request).tier != "admin":
        raise Forbidden("only the admin makes sign-in links")
    if await read_object(request):
        raise BadInput("this takes no fields")
    return JSONResponse({"path": link_path(services_of(request).codes.issue()), "expires_in_s": CODE_LIFE_S})


def _signed_in(request: Request, to: str) -> Response:
    services = services_of(request)
    response = RedirectResponse(to, 303)
    response.set_cookie(
        COOKIE,
        make_cookie(services.keys.cookie_secret, int(services.clock.wall().timestamp())),
        max_age=COOKIE_LIFE_S,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


def _safe_next(path: str) -> str:
    """Only a path of our own: "//host" and "/\\host" would lead elsewhere."""
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if ours else "/live"


_ASKED = "<p>Sign in to talk to your voice assistant.</p>"


def _key_form(to: str, problem: str = "") -> str:
    said = f"<p role=alert>{escape(problem)}</p>" if problem else ""
    return (
        f"<h1>Parley</h1>{said or _ASKED}<form method=post action=/signin>"
        "<label>Your key<input name=key type=password autocomplete=current-password autofocus required></label>"
        f'<input type=hidden name=next value="{escape(to)}"><button>Sign in</button></form>'
        "<p><b>No key at hand?</b> Run <code>parley link</code> on the server's machine: it prints a link that signs "
        "you in. The first start of the server showed the key; <code>parley keys reset</code> makes a new one.</p>"
    )


def _page(body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Parley: sign in</title>"
        '<meta name=viewport content="width=device-width,initial-scale=1"><meta name=robots content=noindex>'
        f"<style>{_STYLE}</style><body><main>{body}</main>",
        status,
        {"content-security-policy": _POLICY, "cache-control": "no-store"},
    )


ROUTES = [
    Route("/signin", _form, methods=["GET"]),
    Route("/signin", _with_key, methods=["POST"]),
    Route("/signin/{code}", _link, methods=["GET"]),
    Route("/signin/{code}", _redeem, methods=["POST"]),
    Route("/signout", _sign_out, methods=["POST"]),
    Route("/admin/api/signin-links", _new_link, methods=["POST"]),
]
