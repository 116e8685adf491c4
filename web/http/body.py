"""Reading a request's JSON body, so that every ill-formed one gets a clear 400."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, TypeVar

import anyio
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request

from models.errors import BadInput
from models.strict_json import strict_loads
from web.errors import BodyTimeout
from web.guards.raw_headers import header_of
from web.http.departure import departure_of

__all__ = ["parse", "problem_of", "read_client_object", "read_object"]

_READ_TIMEOUT_S = 60.0
_OURS = "parley_"
"""Fields between the gateway and its slots. From outside they could jump the queue, or reach another's memory."""
_Model = TypeVar("_Model", bound=BaseModel)


async def read_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object. An empty body is an empty object.

    Raises BadInput for anything else, BodyTimeout if it does not arrive within a minute.
    """
    encoding = header_of(request.scope, b"content-encoding") or ""
    if encoding.strip().lower() not in ("", "identity"):
        raise BadInput(f"a body with content-encoding {encoding[:40]!r} is not read", hint="send it as it is")
    data = await _body_of(request)
    if not data.strip():
        return {}
    value = _value_of(data)
    if not isinstance(value, dict):
        raise BadInput(f"the body must be a JSON object, not {_KINDS.get(type(value), 'this')}")
    return value


async def read_client_object(request: Request) -> dict[str, Any]:
    """As `read_object`, for what goes on to a model: without the fields that only our own server may send."""
    return {name: value for name, value in (await read_object(request)).items() if not name.startswith(_OURS)}


def _value_of(data: bytes) -> Any:
    with suppress(ValueError):
        return from_json(data, allow_inf_nan=False)  # several times as fast, and stricter
    try:
        value = strict_loads(data)
        # "\ud800" alone is allowed in JSON and cannot be written as UTF-8 again, nor can its bytes.
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        raise BadInput("the body is not valid UTF-8 text") from None
    except RecursionError:
        raise BadInput("the body is nested too deeply") from None
    except ValueError as error:
        reason = f": {error}" if isinstance(error, json.JSONDecodeError) else ""  # else a number with too many digits
        raise BadInput(f"the body is not valid JSON{reason}") from None
    return value


async def _body_of(request: Request) -> bytes:
    departure = departure_of(request.scope)
    try:
        if departure is not None and departure.whole:  # a scope with a deadline costs more than the reading
            return await request.body()
        with anyio.CancelScope(deadline=anyio.current_time() + _READ_TIMEOUT_S):
            return await request.body()
    except ClientDisconnect:
        raise BadInput("the connection closed before the body was complete") from None
    raise BodyTimeout(f"the body did not arrive within {_READ_TIMEOUT_S:.0f} s")


def parse(model: type[_Model], fields: dict[str, Any]) -> _Model:
    """Check an object against its pydantic type. Raises BadInput that names the first wrong field."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise problem_of(error) from None


def problem_of(error: ValidationError) -> BadInput:
    """The first problem of a pydantic error, as OpenAI would say it: where, and what."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    what = first["msg"].partition(" or instance of ")[0]  # the names of our classes say nothing to a client
    return BadInput(f"{where}: {what}" if where else what, param=where or None)


_NUMBER = "a number"
_KINDS = {list: "an array", str: "a string", int: _NUMBER, float: _NUMBER, bool: "a boolean", type(None): "null"}
