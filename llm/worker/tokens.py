"""POST /tokenize, /detokenize and /apply-template of the worker, as llama.cpp's server has them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm.convert.chat import parse_body, parse_chat, to_request
from llm.wire.completions import DetokenizeRequest, TokenizeRequest
from llm.worker.answers import JsonAnswer, read_body
from llm.worker.server import server_of

__all__ = ["ROUTES"]


async def _tokenize(request: Request) -> Response:
    asked = parse_body(TokenizeRequest, await read_body(request))
    tokens = await server_of(request).bridge.tokenize(
        asked.content, add_special=asked.add_special, parse_special=asked.parse_special
    )
    if not asked.with_pieces:
        return JsonAnswer({"tokens": tokens})
    engine = server_of(request).bridge.engine
    return JsonAnswer({"tokens": [{"id": token, "piece": engine.detokenize([token])} for token in tokens]})


async def _detokenize(request: Request) -> Response:
    asked = parse_body(DetokenizeRequest, await read_body(request))
    return JsonAnswer({"content": server_of(request).bridge.engine.detokenize(asked.tokens)})


async def _apply_template(request: Request) -> Response:
    """The prompt a chat request would become, and its exact length."""
    asked = to_request(parse_chat(await read_body(request)))
    bridge = server_of(request).bridge
    prompt = await bridge.render(asked)
    encoded = await bridge.encode(prompt)
    return JsonAnswer({"prompt": prompt.text, "tokens": len(encoded.tokens)})


ROUTES = [
    Route("/tokenize", _tokenize, methods=["POST"]),
    Route("/detokenize", _detokenize, methods=["POST"]),
    Route("/apply-template", _apply_template, methods=["POST"]),
]
