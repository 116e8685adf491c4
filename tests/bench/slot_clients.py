"""Clients of a slot, or of a server that speaks llama.cpp's /completion: speeds, and seconds to the first token."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp

__all__ = ["Turns", "first_tokens", "prompt_tokens", "speeds", "voice_beside_batch"]

REST_S = 0.2

_numbers = count(1)


def prompt_tokens(length: int) -> list[int]:
    """Another one every time, so that nothing of it is in a cache; the smallest vocabularies have 512 tokens."""
    chance = random.Random(next(_numbers))
    return [chance.randrange(100, 500) for _ in range(length)]


def _session() -> aiohttp.ClientSession:
    """A connection for each request: llama.cpp's server closes them after a stream without saying so."""
    connector = aiohttp.TCPConnector(force_close=True)
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300), connector=connector)


async def _reply(http: aiohttp.ClientSession, url: str, tokens: list[int], length: int, **more: Any) -> int:
    """Tokens written."""
    body = {"prompt": tokens, "n_predict": length, "ignore_eos": True, "temperature": 0.8, **more}
    async with http.post(f"{url}/completion", json=body) as answer:
        result = await answer.json()
        assert answer.status == 200, result
        return int(result["tokens_predicted"])


async def _streamed(http: aiohttp.ClientSession, url: str, tokens: list[int], length: int) -> int:
    """Tokens written, as the last event says; the others are only received, for a client must not be what is slow."""
    body = {"prompt": tokens, "n_predict": length, "ignore_eos": True, "stream": True, "temperature": 0.8}
    async with http.post(f"{url}/completion", json=body) as answer:
        assert answer.status == 200, await answer.text()
        text = b"".join([piece async for piece in answer.content.iter_any()])
    last = next(line for line in reversed(text.split(b"\n")) if line.startswith(b"data: {"))
    return int(json.loads(last[6:])["tokens_predicted"])


async def _first(http: aiohttp.ClientSession, url: str, tokens: list[int], length: int = 4, **more: Any) -> float:
    """Seconds to the first piece of text of a stream; it is read to its end."""
    body = {"prompt": tokens, "n_predict": length, "ignore_eos": True, "stream": True, "temperature": 0.8, **more}
    start, first = time.perf_counter(), 0.0
    async with http.post(f"{url}/completion", json=body) as answer:
        assert answer.status == 200, await answer.text()
        async for line in answer.content:
            if not first and line.startswith(b"data: ") and "content" in json.loads(line[6:]):
                first = time.perf_counter() - start
    return first


async def speeds(
    servers: Mapping[str, str], clients: int, repeats: int, stream: bool = False, length: int = 96
) -> dict[str, list[float]]:
    """Tokens/s over all clients, of each round. The servers take turns, so that both meet the same machine; which of
    them is first changes. Before each the machine rests, for threads of the other may still spin.
    """
    found: dict[str, list[float]] = {name: [] for name in servers}
    reply = _streamed if stream else _reply
    async with _session() as http:
        for url in servers.values():
            await _reply(http, url, prompt_tokens(64), 8)
        for round_number in range(repeats):
            order = list(servers.items())
            for name, url in order if round_number % 2 else order[::-1]:
                await asyncio.sleep(REST_S)
                start = time.perf_counter()
                written = await asyncio.gather(*(reply(http, url, prompt_tokens(16), length) for _ in range(clients)))
                found[name].append(sum(written) / (time.perf_counter() - start))
    return found


@dataclass(slots=True)
class Turns:
    fresh: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)


async def first_tokens(servers: Mapping[str, str], repeats: int, history: int = 600) -> dict[str, Turns]:
    """The first token of a turn on `history` tokens that nobody knows, and of the next turn, ten tokens longer."""
    found = {name: Turns() for name in servers}
    async with _session() as http:
        for _ in range(repeats):
            for name, url in servers.items():
                tokens = prompt_tokens(history)
                found[name].fresh.append(await _first(http, url, tokens))
                found[name].kept.append(await _first(http, url, [*tokens, *prompt_tokens(10)]))
    return found


async def voice_beside_batch(url: str, repeats: int, clients: int = 8) -> tuple[list[float], list[float]]:
    """Seconds to the first token of voice turns on a kept conversation: alone, and while batch clients never stop."""
    alone: list[float] = []
    beside: list[float] = []
    async with _session() as http:
        voice = {"parley_priority": "voice", "parley_conversation": "bench"}

        async def turns(into: list[float]) -> None:
            tokens = prompt_tokens(200)
            await _first(http, url, tokens, **voice)
            for _ in range(repeats):
                tokens += prompt_tokens(12)
                into.append(await _first(http, url, tokens, **voice))
                await asyncio.sleep(0.05)

        async def batch() -> None:
            while True:
                await _reply(http, url, prompt_tokens(120), 64, parley_priority="batch")

        await turns(alone)
        crowd = [asyncio.ensure_future(batch()) for _ in range(clients)]
        try:
            await asyncio.sleep(0.5)
            await turns(beside)
        finally:
            for one in crowd:
                one.cancel()
            await asyncio.gather(*crowd, return_exceptions=True)
    return alone, beside
