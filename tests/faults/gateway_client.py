"""A client of the gateway, as the tests of sick and odd upstreams need it."""

from __future__ import annotations

import json
from typing import Any

from tests.web.house import House

__all__ = ["ask", "body_of", "events_of", "said_in"]


def body_of(model: str, stream: bool) -> dict[str, Any]:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": "how are you"}]}


async def ask(found: House, model: str, stream: bool) -> tuple[int, dict[str, str], str]:
    async with found.client.post("/v1/chat/completions", json=body_of(model, stream)) as answer:
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, await answer.text()


def events_of(text: str) -> list[Any]:
    lines = [line[6:] for line in text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def said_in(events: list[Any]) -> str:
    chunks = [event for event in events if event != "[DONE]" and event.get("choices")]
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
