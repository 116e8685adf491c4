"""What a request needs of a model besides text, and what models are known to be able to. Pure.

Servers say it in their lists of models, each in its own words; what none says is unknown, and may be tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from llm.messages import GenerateRequest, ImagePart
from models.errors import BadInput

__all__ = ["Abilities", "Ability", "abilities_of", "any_of", "is_about_media", "needs_of", "only"]

Ability = Literal["vision", "audio", "tools", "embedding"]
Abilities = Mapping[Ability, bool]
"""What is missing is unknown."""

_WORDS: Mapping[str, Ability] = {
    "vision": "vision",
    "image": "vision",
    "audio": "audio",
    "tools": "tools",
    "tool_use": "tools",
    "function_calling": "tools",
    "trained_for_tool_use": "tools",
    "embedding": "embedding",
    "embeddings": "embedding",
}
_ABOUT_MEDIA = re.compile(r"image|vision|audio|multi-?modal|mmproj|media|hears|content (type|part)", re.IGNORECASE)
_NOTHING: frozenset[Ability] = frozenset()


def needs_of(request: GenerateRequest) -> frozenset[Ability]:
    needs: set[Ability] = set()
    for message in request.messages:
        for part in message.media if message.parts else ():
            needs.add("vision" if isinstance(part, ImagePart) else "audio")
    if request.tools and request.tool_choice != "none":
        needs.add("tools")
    return frozenset(needs) if needs else _NOTHING


def is_about_media(error: Exception, needs: frozenset[Ability]) -> bool:
    """A server that refuses a request for what it shows or plays: another may take it."""
    return (
        isinstance(error, BadInput)
        and not needs.isdisjoint(("vision", "audio"))
        and bool(_ABOUT_MEDIA.search(str(error)))
    )


def only(named: Iterable[str]) -> Abilities:
    """All those, and no other."""
    known = frozenset(named)
    return {ability: ability in known for ability in get_args(Ability)}


def any_of(models: Iterable[Abilities]) -> Abilities:
    """Of somebody who has several models and takes the one that can."""
    every = tuple(models)
    found: dict[Ability, bool] = {}
    for ability in get_args(Ability):
        told = [one.get(ability) for one in every]
        if any(told) or (told and None not in told):
            found[ability] = any(told)
    return found


def abilities_of(row: Mapping[str, Any]) -> Abilities:
    """A row of a list of models: `capabilities` (Mistral and LM Studio an object, Ollama a whole list, others a list
    of some), `architecture.input_modalities` (OpenRouter, llama.cpp), `type` (LM Studio).
    """
    found: dict[Ability, bool] = {}
    kind = row.get("type")
    if kind in ("vlm", "embedding", "embeddings"):
        found["vision" if kind == "vlm" else "embedding"] = True
    architecture = row.get("architecture")
    inputs = architecture.get("input_modalities") if isinstance(architecture, Mapping) else None
    if isinstance(inputs, list) and inputs:
        found |= {"vision": "image" in inputs, "audio": "audio" in inputs}
    told = row.get("capabilities")
    if isinstance(told, Mapping):
        for word, able in told.items():
            if word in _WORDS and isinstance(able, bool):
                found[_WORDS[word]] = able
    elif isinstance(told, list):
        if "completion" in told or "embedding" in told:  # Ollama's, which is whole
            found = dict(only(_WORDS[word] for word in told if isinstance(word, str) and word in _WORDS))
        found |= {_WORDS[word]: True for word in told if isinstance(word, str) and word in _WORDS}
        if "multimodal" in told:  # llama.cpp: it sees or hears, and does not say which
            found.pop("vision", None)
            found.pop("audio", None)
    return found
