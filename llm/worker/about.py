"""What the worker says of itself to programs that know llama.cpp's server: GET /props, /metrics, /lora-adapters."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from llm.replies.tool_calls import tool_format
from llm.worker.answers import JsonAnswer
from llm.worker.server import server_of

__all__ = ["ROUTES"]

_HELP = {
    "prompt_tokens": "prompt tokens computed",
    "cached_tokens": "prompt tokens found in the KV cache",
    "completion_tokens": "tokens written",
    "steps": "decode steps",
    "cancelled": "requests cancelled",
    "refused": "requests refused",
    "guessed_tokens": "tokens guessed ahead",
    "right_tokens": "of the guessed tokens those that were right",
    "restored": "states read back from the disk",
}


async def _props(request: Request) -> Response:
    server = server_of(request)
    card = server.bridge.engine.card
    settings = server.config.settings
    return JsonAnswer(
        {
            "model_path": str(server.config.model),
            "model_alias": server.name,
            "total_slots": card.places,
            "chat_template": card.chat_template,
            "tool_format": tool_format(card.chat_template).name if card.generates else None,
            "bos_token": card.bos,
            "eos_token": card.eos,
            "modalities": {"vision": card.sees, "audio": card.hears},
            "embedding_dimensions": card.dimensions,
            "default_generation_settings": {"n_ctx": card.context, "params": {"seed": settings.seed}},
            "build_info": "parley",
        }
    )


async def _metrics(request: Request) -> Response:
    """Prometheus text: counters since the load, and what is going on now."""
    state = await server_of(request).bridge.state()
    lines = []
    for name, value in state.counters.items():
        lines += [
            f"# HELP parley_slot_{name}_total {_HELP.get(name, name)}",
            f"# TYPE parley_slot_{name}_total counter",
        ]
        lines.append(f"parley_slot_{name}_total {value}")
    gauges = {"busy": state.busy, "waiting": state.waiting, "kv_tokens": sum(row.tokens for row in state.sequences)}
    for name, value in gauges.items():
        lines += [f"# TYPE parley_slot_{name} gauge", f"parley_slot_{name} {value}"]
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")


async def _adapters(request: Request) -> Response:
    """The slot's LoRA adapters. A request chooses among them with its own `lora` field."""
    adapters = server_of(request).bridge.engine.card.adapters
    return JsonAnswer([{"id": one.id, "path": one.path, "scale": one.scale} for one in adapters])


ROUTES = [
    Route("/props", _props, methods=["GET"]),
    Route("/metrics", _metrics, methods=["GET"]),
    Route("/lora-adapters", _adapters, methods=["GET"]),
]
