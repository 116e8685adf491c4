"""Any server that speaks OpenAI's chat completions: the clouds, LocalAI, mlx-lm and their like."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from llm.convert.sampling import PLAIN_FIELDS
from llm.messages import GenerateRequest
from llm.port import BackendConfig, BackendSpec
from llm.remote.openai_client import OpenAIClient
from llm.remote.via import HEADER, header_value
from llm.stream import StreamEvent
from models.errors import BadInput

__all__ = ["SPEC", "OpenAIServer"]

_OPENAIS_OWN = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
_NOT_OPENAIS = ({*PLAIN_FIELDS} - {*_OPENAIS_OWN}) | {"ignore_eos", "grammar", "lora", "chat_template_kwargs"}


_OTHERWISE = {
    "stream_options": "",
    "max_completion_tokens": "max_tokens",
    "max_tokens": "max_completion_tokens",
}
"""Fields that some servers refuse though a request means the same without them, or by the other name: Mistral's API,
Azure's and Databricks' refuse `stream_options`, and Mistral's the newer name of the limit."""
_NOT_KNOWN = re.compile(
    r"\bextra\b|unknown|unsupported|unrecogni[sz]ed|unexpected|not (permitted|allowed|supported)", re.IGNORECASE
)


class OpenAIServer(OpenAIClient):
    """What a client sends goes on as it came. OpenAI's own service (and Azure's) refuses samplers that it has not, so
    it is sent none; and its reasoning models refuse max_tokens, so the limit has the newer name there.
    """

    def __init__(self, config: BackendConfig, http: aiohttp.ClientSession) -> None:
        super().__init__(config, http)
        host = (urlsplit(config.base_url).hostname or "").lower()
        self._refused: set[tuple[str, str]] = set()
        """Models, and the fields that they refuse."""
        self._strict = host == "api.openai.com" or host.endswith((".api.openai.com", ".openai.azure.com"))

    def body(self, request: GenerateRequest) -> dict[str, Any]:
        body = super().body(request)
        if "chat_template_kwargs" not in request.extra:
            body.pop("chat_template_kwargs", None)  # nobody asked for it by name, and not all servers know it
        if self._strict:
            body = {name: value for name, value in body.items() if name not in _NOT_OPENAIS}
        if "max_tokens" in body and request.prompt is None and (self._strict or request.completion_limit):
            body["max_completion_tokens"] = body.pop("max_tokens")
        for field, other in _OTHERWISE.items():
            if field in body and (body["model"], field) in self._refused:
                value = body.pop(field)
                if other:
                    body[other] = value
        return body

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        """A request that is refused for a field of _OTHERWISE is sent again without; the next ones are at once."""
        begun = False
        while True:
            try:
                async with aclosing(super().generate(request)) as events:
                    async for event in events:
                        begun = True
                        yield event
                return
            except BadInput as error:
                field = None if begun else self._field_of(error, self.body(request))
                if field is None:
                    raise
                self._refused.add((request.model or self.config.model, field))

    def _field_of(self, error: BadInput, body: Mapping[str, Any]) -> str | None:
        """The field that it refuses and may take otherwise; None where there is none, or that was tried."""
        if not _NOT_KNOWN.search(error.message):
            return None
        told = f"{error.message} {error.param or ''}"
        named = (field for field in _OTHERWISE if field in body and re.search(rf"\b{field}\b", told))
        return next((field for field in named if (body["model"], _OTHERWISE[field]) not in self._refused), None)

    def _headers(self) -> dict[str, str]:
        """Such a server may be a Parley that has this one as a backend."""
        return super()._headers() if self._strict else {**super()._headers(), HEADER: header_value()}


SPEC = BackendSpec(
    name="openai",
    load=OpenAIServer,
    default_url="https://api.openai.com/v1",
    description="any server with OpenAI's chat completions",
)
