"""Which server is this? By what it answers, not by its port. Pure but for `ask`.

Every backend's SPEC says which paths tell and what their answers must look like. All paths are asked at once, and the
highest rank that recognises the answers wins; a server that nobody knows is an OpenAI-compatible one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import aiohttp
import anyio

from llm.errors import LlmError
from llm.port import Answer, BackendSpec
from llm.remote.backend_http import PROBE_S, json_of
from llm.remote.upstream import Upstream

__all__ = ["GENERIC", "ask", "probes_of", "recognise"]

GENERIC = "openai"


def recognise(specs: Iterable[BackendSpec], answers: Mapping[str, Answer]) -> str:
    """The name of the backend's type."""
    for spec in sorted(specs, key=lambda spec: -spec.rank):
        if spec.recognise is not None and spec.recognise(answers):
            return spec.name
    return GENERIC


def probes_of(specs: Iterable[BackendSpec]) -> set[str]:
    return {path for spec in specs for path in spec.probes}


async def ask(
    specs: Iterable[BackendSpec],
    root: str,
    api_key: str,
    http: aiohttp.ClientSession,
    within_s: float = PROBE_S,
) -> dict[str, Answer]:
    """The answers of the server at `root` to all probes; what does not come in time is left out. Raises nothing."""
    found: dict[str, Answer] = {}
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    upstream, patience = Upstream(http, asks_again=True), aiohttp.ClientTimeout(total=within_s, connect=within_s)

    async def probe(path: str) -> None:
        try:
            async with upstream.request("GET", root + path, headers, b"", patience, any_status=True) as response:
                try:
                    found[path] = Answer(response.status, await json_of(response))
                except LlmError:
                    found[path] = Answer(response.status)
        except (aiohttp.ClientError, OSError, TimeoutError, LlmError):
            return

    with anyio.move_on_after(within_s):
        async with anyio.create_task_group() as tasks:
            for path in sorted(probes_of(specs)):
                tasks.start_soon(probe, path)
    return found
