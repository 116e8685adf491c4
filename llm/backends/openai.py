"""Any server that speaks OpenAI's chat completions: the clouds, LocalAI, mlx-lm and their like."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import aiohttp

from llm.convert.sampling import PLAIN_FIELDS
from llm.messages import GenerateRequest
from llm.port import BackendConfig, BackendSpec
from llm.remote.openai_client import OpenAIClient

__all__ = ["SPEC", "OpenAIServer"]

_OPENAIS_OWN = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
_NOT_OPENAIS = ({*PLAIN_FIELDS} - {*_OPENAIS_OWN}) | {"ignore_eos", "grammar", "lora", "chat_template_kwargs"}


class OpenAIServer(OpenAIClient):
    """What a client sends goes on as it came. OpenAI's own service (and Azure's) refuses samplers that it has not, so
    it is sent none; and its reasoning models refuse max_tokens, so the limit has the newer name there.
    """

    def __init__(self, config: BackendConfig, http: aiohttp.ClientSession) -> None:
        super().__init__(config, http)
        host = (urlsplit(config.base_url).hostname or "").lower()
        self._strict = host == "api.openai.com" or host.endswith((".api.openai.com", ".openai.azure.com"))

    def body(self, request: GenerateRequest) -> dict[str, Any]:
        body = super().body(request)
        if "chat_template_kwargs" not in request.extra:
            body.pop("chat_template_kwargs", None)  # nobody asked for it by name, and not all servers know it
        if self._strict:
            body = {name: value for name, value in body.items() if name not in _NOT_OPENAIS}
        if "max_tokens" in body and request.prompt is None and (self._strict or request.completion_limit):
            body["max_completion_tokens"] = body.pop("max_tokens")
        return body


SPEC = BackendSpec(
    name="openai",
    load=OpenAIServer,
    default_url="https://api.openai.com/v1",
    description="any server with OpenAI's chat completions",
)
