"""What a Realtime client did wrong, with the codes that OpenAI's own service uses where it has one."""

from __future__ import annotations

from pydantic import ValidationError

from voice.errors import ProtocolError

__all__ = ["RealtimeError", "invalid", "of_validation"]


class RealtimeError(ProtocolError):
    """Told to the client as an `error` event of type invalid_request_error. `reason` is the event's `code`."""

    def __init__(self, message: str, *, reason: str, param: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, param=param)
        self.reason = reason


def invalid(
    message: str, param: str | None = None, *, code: str = "invalid_value", hint: str | None = None
) -> RealtimeError:
    return RealtimeError(message, reason=code, param=param, hint=hint)


_CODES = {"missing": "missing_required_parameter", "extra_forbidden": "unknown_parameter"}


def of_validation(error: ValidationError, param: str) -> RealtimeError:
    """The first complaint. The value itself stays out of the message: it may be what somebody said."""
    complaints = error.errors(include_url=False, include_input=False, include_context=False)
    # Where a field may have several shapes, the one that was followed the farthest is the one that was meant.
    first = max(complaints, key=lambda each: len(each["loc"]) if each["loc"][:1] == complaints[0]["loc"][:1] else 0)
    path = param
    for part in first["loc"]:
        # Names of the members of a union are no part of the client's object.
        if isinstance(part, int):
            path += f"[{part}]"
        elif part.isidentifier() and not part.startswith("_") and part not in ("str", "int", "constrained_str"):
            path += f".{part}"
    path = path.removeprefix(".")
    kind = first["type"]
    if kind == "missing":
        return invalid(f"Missing required parameter: '{path}'.", path, code=_CODES[kind])
    said = first["msg"].removeprefix("Value error, ")
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        said = "it must be an object"
    code = "invalid_type" if kind.endswith("_type") else "invalid_value"
    return invalid(f"Invalid value for '{path}': {said[:1].lower() + said[1:]}.", path, code=code)
