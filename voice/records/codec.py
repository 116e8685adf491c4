"""The turn machine's events and actions as JSON and back, generic over their dataclasses. Pure.

A dataclass is an object with its name under "$"; which classes there are is read off the unions, so a new event needs
nothing here. Samples are written as their number, `{"$pcm": 2400}`, and come back as silence: the machine counts them
and never listens. Tuples are arrays, bytes are their number.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any

import numpy as np

from voice.errors import BadRecording
from voice.turn.actions import Action
from voice.turn.events import TurnEvent
from voice.turn.machine_start import MachineStart

__all__ = ["decode", "encode", "known_classes"]

_MOST = 50_000_000
_ROOTS: tuple[Any, ...] = (MachineStart, TurnEvent, Action)


def encode(value: Any) -> Any:
    """JSON types. Raises TypeError for a value that no event holds."""
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return {"$": type(value).__name__, "value": value.value}
        case str():
            return value
        case np.ndarray():
            return {"$pcm": len(value)}
        case bytes():
            return {"$bytes": len(value)}
        case Mapping():
            return {str(key): encode(inner) for key, inner in value.items()}
        case tuple() | list():
            return [encode(inner) for inner in value]
        case frozenset() | set():
            return sorted(encode(inner) for inner in value)
    if is_dataclass(value) and not isinstance(value, type):
        found = {entry.name: encode(getattr(value, entry.name)) for entry in fields(value)}
        return {"$": _name(type(value)), **found}
    raise TypeError(f"{type(value).__name__} cannot be recorded")


def decode(data: Any) -> Any:
    """What `encode` gave. A field that this version does not have is left out: if it mattered, the replay shows.

    Raises BadRecording for a class that this version does not have.
    """
    if isinstance(data, list):
        return tuple(decode(inner) for inner in data)
    if not isinstance(data, dict):
        return data
    if "$pcm" in data:
        return np.zeros(_count(data["$pcm"]), np.int16)
    if "$bytes" in data:
        return bytes(_count(data["$bytes"]))
    if "$" not in data:
        return {key: decode(inner) for key, inner in data.items()}
    found = known_classes().get(str(data["$"]))
    if found is None:
        raise BadRecording(
            f"this version knows no {str(data['$'])[:40]!r}", hint="replay it with the version that wrote it"
        )
    names = {entry.name for entry in fields(found)} if is_dataclass(found) else {"value"}
    values = {key: decode(inner) for key, inner in data.items() if key in names}
    for key, hint in _hints(found).items():
        if key in values and not _fits(values[key], hint):
            raise BadRecording(f"{data['$']} has a {key} that cannot be")
    try:
        return found(**values)
    except (TypeError, ValueError) as error:
        raise BadRecording(f"{data['$']} is another one in this version: {error}") from None


@cache
def known_classes() -> Mapping[str, Callable[..., Any]]:
    """Every dataclass and enum that an event, an action or the start of a machine can hold, by its name."""
    found: dict[str, Callable[..., Any]] = {}
    seen: set[Any] = set()
    waiting: list[Any] = list(_ROOTS)
    while waiting:
        hint = waiting.pop()
        if isinstance(hint, type) and is_dataclass(hint):
            if hint not in seen:
                seen.add(hint)
                found[_name(hint)] = hint
                waiting.extend(typing.get_type_hints(hint).values())
        elif isinstance(hint, type) and issubclass(hint, Enum):
            found[hint.__name__] = hint
        elif isinstance(hint, types.UnionType) or typing.get_origin(hint) is not None:
            waiting.extend(inner for inner in _arguments(hint))
    return found


def _count(number: object) -> int:
    if not isinstance(number, int) or not 0 <= number <= _MOST:
        raise BadRecording("no event holds so many samples or bytes")
    return number


@cache
def _hints(found: Callable[..., Any]) -> Mapping[str, Any]:
    return typing.get_type_hints(found) if is_dataclass(found) else {}


def _fits(value: object, hint: Any) -> bool:
    """A file may hold anything; the machine relies on its types."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or hint is object:
        return True
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and value == value
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is typing.Literal:
        return value in arguments
    if origin is typing.Union or origin is types.UnionType:
        return any(_fits(value, each) for each in arguments)
    if origin is typing.Annotated:
        return _fits(value, arguments[0])
    if origin is tuple and arguments[-1:] != (...,):
        return isinstance(value, tuple) and len(value) == len(arguments) and all(map(_fits, value, arguments))
    if origin in (tuple, frozenset, set):
        return isinstance(value, tuple | frozenset | set) and all(_fits(each, arguments[0]) for each in value)
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, dict) and all(_fits(each, arguments[1]) for each in value.values())
    return isinstance(value, origin or hint) if isinstance(origin or hint, type) else True


def _arguments(hint: Any) -> Iterable[Any]:
    return (inner for inner in typing.get_args(hint) if not isinstance(inner, str | int))


def _name(cls: type) -> str:
    """The module's last name stands before the class: two modules may have one of the same name."""
    return f"{cls.__module__.rpartition('.')[2]}.{cls.__qualname__}"
