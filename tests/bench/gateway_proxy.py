"""The plain reverse proxy that the gateway is measured beside: aiohttp on both sides, nothing read, nothing checked.

`python -m tests.bench.gateway_proxy PORT UPSTREAM_URL`
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import web

UPSTREAM = web.AppKey("upstream", aiohttp.ClientSession)


async def forward(request: web.Request) -> web.StreamResponse:
    body = await request.read()
    headers = {"content-type": "application/json"}
    async with request.app[UPSTREAM].request(request.method, request.path, data=body, headers=headers) as upstream:
        response = web.StreamResponse(status=upstream.status)
        response.content_type = upstream.content_type
        await response.prepare(request)
        async for piece in upstream.content.iter_any():
            await response.write(piece)
        await response.write_eof()
        return response


async def client(app: web.Application) -> AsyncIterator[None]:
    async with aiohttp.ClientSession(sys.argv[2], connector=aiohttp.TCPConnector(limit=0)) as session:
        app[UPSTREAM] = session
        yield


if __name__ == "__main__":
    uvloop.install()
    app = web.Application()
    app.cleanup_ctx.append(client)
    app.router.add_route("*", "/{path:.*}", forward)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
