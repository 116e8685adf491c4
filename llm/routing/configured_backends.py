"""The other servers that the settings name, as backends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import aiohttp

from llm.errors import LlmError
from llm.port import Backend, BackendConfig, BackendSpec
from models.registry import discover

__all__ = ["load_backends", "type_called"]


def type_called(name: str, specs: Mapping[str, BackendSpec]) -> str:
    """The type that has this name or alias; the name itself where there is none."""
    return next((spec.name for spec in specs.values() if name in spec.aliases), name)


def load_backends(configs: Sequence[BackendConfig], http: aiohttp.ClientSession) -> tuple[Backend, ...]:
    """The configured backends. Raises LlmError for a type that does not exist."""
    specs: dict[str, BackendSpec] = discover("llm.backends")
    backends = []
    for config in configs:
        config = replace(config, type=type_called(config.type, specs))
        if config.type not in specs:
            raise LlmError(
                f"backend {config.name!r} has the unknown type {config.type!r}", hint=f"there are: {', '.join(specs)}"
            )
        if _user_of(config) and config.api_key:
            raise LlmError(
                f"backend {config.name!r} has a key and a user in its address; a request can send one of them",
                hint="take the user and password out of base_url, or leave api_key out",
            )
        if config.enabled:
            backends.append(specs[config.type].load(config, http))
    return tuple(backends)


def _user_of(config: BackendConfig) -> str | None:
    """Raises LlmError where base_url is no address."""
    try:
        return urlsplit(config.base_url).username
    except ValueError:
        raise LlmError(
            f"base_url of backend {config.name!r} is not an address", hint="for example http://127.0.0.1:8080/v1"
        ) from None
