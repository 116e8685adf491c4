"""Which language model a name of OpenAI's stands for."""

from __future__ import annotations

import re

from llm.errors import UnknownModel
from web.services import Services

__all__ = ["model_of"]

_OPENAI = re.compile(r"(gpt-|whisper-|o\d)[\w.:-]*", re.ASCII)
"""Clients cannot be told to leave the model out, and send one of these."""


def model_of(name: str, services: Services) -> str:
    """A model that is served here by that name, or the one for voice where it is a name of OpenAI's.

    Raises UnknownModel.
    """
    default = services.settings.voice.llm.model
    if name in ("", "default", "auto"):
        return default
    if services.router.ready(name):
        return name
    if _OPENAI.fullmatch(name):
        return default
    raise UnknownModel(
        f"there is no model {name[:100]!r} here", hint="GET /v1/models lists the models", param="model"
    )
