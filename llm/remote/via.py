"""Through which Parleys a request came, so that two that ask each other do not send it round for ever.

Each Parley has an id as long as it runs. A request to another server with OpenAI's API names in a header all that it
came through; one that comes back is refused. A list of models says the same of each model (`parley_via`), and what is
from here already is not listed again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from llm.errors import UnknownModel

__all__ = ["HEADER", "MOST", "OWN_ID", "came_through", "header_value", "ids_of"]

HEADER = "x-parley-via"
OWN_ID = secrets.token_hex(8)
MOST = 8
"""Parleys that a request may come through."""

_ids: ContextVar[tuple[str, ...]] = ContextVar("parley_via", default=())


@contextmanager
def came_through(value: str) -> Iterator[None]:
    """`value` is the header of the request that is answered in this block. Raises UnknownModel where it went in a
    circle: another backend of the Parley that asked may know the model.
    """
    ids = tuple(part.strip() for part in value.split(","))
    if OWN_ID in ids or len(ids) > MOST:
        raise UnknownModel(
            "this request came through this server already",
            hint="two Parleys name each other as a backend, and neither has the model",
        )
    token = _ids.set(ids)
    try:
        yield
    finally:
        _ids.reset(token)


def header_value() -> str:
    """For the requests that are made to answer this one."""
    return ",".join((*_ids.get(), OWN_ID))


def ids_of(told: object) -> tuple[str, ...]:
    """The `parley_via` of a model that another server lists."""
    return tuple(one for one in told[:MOST] if isinstance(one, str)) if isinstance(told, list) else ()
