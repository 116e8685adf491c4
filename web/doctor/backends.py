"""The servers that the settings name: do they answer, and have they the model that is wanted of them?"""

from __future__ import annotations

from dataclasses import asdict

import anyio

from llm import LLMClient
from llm.port import BackendConfig
from models.errors import ParleyError
from models.secrecy import hidden
from web.doctor.finding import Finding
from web.settings import Settings

__all__ = ["backends"]

_PATIENCE_S = 8.0


async def backends(settings: Settings) -> list[Finding]:
    """All are asked at once."""
    owner, _, model = settings.voice.llm.model.partition("/")
    found: dict[str, Finding] = {}

    async def ask(config: BackendConfig) -> None:
        found[config.name] = await _asked(
            config, model if config.name == owner else config.model, config.name == owner
        )

    configured = [config for config in settings.llm.backends if config.enabled]
    async with anyio.create_task_group() as tasks:
        for config in configured:
            tasks.start_soon(ask, config)
    return [found[config.name] for config in configured]


async def _asked(config: BackendConfig, wanted: str, answers_voice: bool) -> Finding:
    """A server that only helps out may be away; without the one that answers, nothing does."""
    subject, where = f"Backend {config.name}", hidden(config.base_url)
    missing: Finding = Finding(
        "fail" if answers_voice else "warn", subject, f"{where} says nothing", "look at that server's log"
    )
    settings = asdict(config)
    client = LLMClient(settings.pop("type"), settings.pop("base_url"), settings.pop("api_key"), **settings)
    with anyio.move_on_after(_PATIENCE_S):
        try:
            models = await client.list_models()
        except ParleyError as error:
            return Finding(missing.level, subject, error.message, error.hint)
        if wanted and models and wanted not in models:
            get = f"`ollama pull {wanted}` there gets it" if config.type == "ollama" else "correct its name"
            return Finding(missing.level, subject, f"{where} has no model {wanted!r}", get)
        return Finding("ok", subject, f"{where} answers, with {len(models)} model{'s' * (len(models) != 1)}")
    return missing
