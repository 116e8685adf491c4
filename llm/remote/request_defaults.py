"""What a backend's settings say about requests that leave it open. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llm.errors import ContextTooLong
from llm.messages import GenerateRequest
from llm.port import BackendConfig

__all__ = ["with_defaults"]

CHARACTERS_PER_TOKEN = 4


def with_defaults(request: GenerateRequest, config: BackendConfig) -> GenerateRequest:
    """The request with the backend's own sampling where it has none.

    Raises ContextTooLong for a prompt over `max_input_tokens`, which is estimated.
    """
    if config.max_input_tokens:
        about = sum(len(message.content) for message in request.messages) // CHARACTERS_PER_TOKEN
        if request.prompt is not None:
            about = len(request.prompt) // (CHARACTERS_PER_TOKEN if isinstance(request.prompt, str) else 1)
        if about > config.max_input_tokens:
            raise ContextTooLong(
                f"about {about} tokens, and {config.name} takes {config.max_input_tokens}",
                hint="shorten the conversation, or raise max_input_tokens of this backend",
            )
    asked = request.sampling
    found: dict[str, Any] = {
        "temperature": config.temperature if asked.temperature is None else asked.temperature,
        "top_p": config.top_p if asked.top_p is None else asked.top_p,
        "frequency_penalty": config.frequency_penalty if asked.frequency_penalty is None else asked.frequency_penalty,
        "presence_penalty": config.presence_penalty if asked.presence_penalty is None else asked.presence_penalty,
        "seed": config.seed if asked.seed is None and config.seed >= 0 else asked.seed,
        "max_tokens": (config.max_output_tokens or None) if asked.max_tokens is None else asked.max_tokens,
        "stop": asked.stop or config.stop_sequences,
    }
    changed = {name: value for name, value in found.items() if value != getattr(asked, name)}
    return replace(request, sampling=replace(asked, **changed)) if changed else request
