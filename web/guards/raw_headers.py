"""Request headers as the server hands them over. The guards see every request, and a `Headers` object for each of
them would cost more than all that they do.
"""

from __future__ import annotations

from starlette.types import Scope

__all__ = ["header_of"]


def header_of(scope: Scope, name: bytes) -> str | None:
    """The first header of that name, which is given in lower case; None where there is none."""
    for found, value in scope["headers"]:
        if found == name:
            return str(value, "latin-1")
    return None
