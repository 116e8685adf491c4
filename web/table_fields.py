"""From a TOML table to a frozen dataclass, with errors a person can act on."""

from __future__ import annotations

import collections.abc
import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from models.errors import SettingsError

__all__ = ["fill", "nearest_hint"]

_Table = TypeVar("_Table")


def fill(cls: type[_Table], table: object, where: str, source: str, without: Iterable[str] = ()) -> _Table:
    """Build the dataclass `cls` from a table; what is missing keeps its default.

    `where` is the table's name ("voice.turn"), `source` the file, both for the message. Fields in `without` cannot
    be set. Raises SettingsError for an unknown key (and names the nearest one), a wrong type and a missing key.
    """
    if not isinstance(table, Mapping):
        raise _wrong(where, source, f"a table: write [{where}] above its keys", table)
    hints = typing.get_type_hints(cls)
    fields = {
        field.name: field
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
        if field.init and field.name not in without
    }
    unknown = [key for key in table if key not in fields]
    if unknown:
        raise SettingsError(
            f"{source}: there is no setting {_dotted(where, unknown[0])}",
            hint=nearest_hint(unknown[0], fields, where),
        )
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _value(hints[name], table[name], _dotted(where, name), source)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise SettingsError(f"{source}: {_dotted(where, name)} is missing", hint=f"add {name} = ... to [{where}]")
    return cls(**values)


def nearest_hint(key: str, known: Iterable[str], where: str = "") -> str:
    """What the writer of `key` may have meant: the nearest of the known names, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    return f"did you mean {_dotted(where, close[0])}?" if close else f"known here: {', '.join(names)}"


def _value(kind: Any, value: Any, where: str, source: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return fill(kind, value, where, source)
    if origin in (Union, types.UnionType):
        return _value(next(arg for arg in args if arg is not type(None)), value, where, source)
    if kind is Any:
        return value
    if origin is Literal:
        if value not in args:
            raise SettingsError(f"{source}: {where} cannot be {value!r}", hint=f"one of {', '.join(map(repr, args))}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(where, source, "a list", value)
        return tuple(_value(args[0], item, f"{where}[{index}]", source) for index, item in enumerate(value))
    if origin in (dict, collections.abc.Mapping):
        if not isinstance(value, dict):
            raise _wrong(where, source, "a table", value)
        return {str(key): _value(args[1], item, f"{where}.{key}", source) for key, item in value.items()}
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise _wrong(where, source, _NAMES.get(kind, str(kind)), value)


def _wrong(where: str, source: str, wanted: str, value: Any) -> SettingsError:
    # A secret in the wrong place must not end up on the screen.
    shown = "that" if "key" in where or "token" in where else repr(value)[:80]
    return SettingsError(f"{source}: {where} must be {wanted}, not {shown}", hint="")


def _dotted(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


_NAMES = {str: "text in quotes", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}
