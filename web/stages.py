"""Which part runs each stage of a voice turn, whether it is ready, and what would be better."""

from __future__ import annotations

from dataclasses import dataclass

from web.services import Services

__all__ = ["Stage", "stages_of"]


@dataclass(frozen=True, slots=True)
class Stage:
    """`why`: why this part, or why it is not ready. `improve`: the one command or act that would make it better."""

    name: str
    part: str
    ready: bool
    why: str = ""
    improve: str = ""
    hopeless: bool = False
    """It will not get ready by waiting."""


def stages_of(services: Services) -> tuple[Stage, ...]:
    """In the order in which a turn passes them. A turn works when all are ready."""
    raise NotImplementedError
