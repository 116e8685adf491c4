r"""A regular expression of a JSON schema as a rule of a grammar, which llama.cpp's converter does for few. Pure.

The rule reads the inside of a JSON string: a quote, a backslash or a line break is there as its escape. Python's own
parser takes the expression apart. What a grammar cannot hold (`(?=...)`, `\b`, `\1`, flags) is refused. Classes are
of ASCII (`\d`, `\w`), as in JavaScript's expressions; `\s` is a space, and `.` and classes with `^` leave out quotes
and backslashes: a reply need not say all that a schema allows.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import Any

__all__ = ["pattern_rule"]

LONGEST = 2000
MOST_REPEATED = 2000
_LAST = 0x10FFFF
_Ranges = list[tuple[int, int]]
"""First and last character, both included."""
_CLASSES: dict[str, _Ranges] = {
    "DIGIT": [(0x30, 0x39)],
    "WORD": [(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)],
    "SPACE": [(0x20, 0x20)],
}
_SPACES: _Ranges = [(0x09, 0x0D), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)]
_SPACES += [(0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)]
"""What some reader takes for a space; so `\\S` and `[^\\s]` leave all of them out."""
_PLAIN: _Ranges = [(0x20, 0x21), (0x23, 0x5B), (0x5D, 0xD7FF), (0xE000, _LAST)]
"""What stands in a JSON string as it is."""
_NAMED = {0x22: '"', 0x5C: "\\", 0x08: "b", 0x0C: "f", 0x0A: "n", 0x0D: "r", 0x09: "t"}
_ANYTHING = "[\\x20-\\x21\\x23-\\x5B\\x5D-\\uD7FF\\uE000-\\U0010FFFF]*"


def pattern_rule(pattern: str) -> str:
    """A GBNF expression for what stands between the quotes. Raises ValueError with the reason."""
    if len(pattern) > LONGEST:
        raise ValueError(f"a pattern of more than {LONGEST} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "possible nested set": it is read as it is written
            parsed = re._parser.parse(pattern)  # type: ignore[attr-defined]
    except (re.error, OverflowError) as error:
        raise ValueError(f"the pattern {pattern[:80]!r} cannot be read: {error}") from None
    if parsed.state.flags & ~re.UNICODE.value:
        raise ValueError("flags in a pattern are not supported")
    return _alternatives([_anchored(way) for way in _ways(list(parsed))])


def _ways(nodes: list[Any]) -> list[list[Any]]:
    """The alternatives of the whole expression; it begins where each of them begins."""
    if len(nodes) == 1 and _name(nodes[0]) == "BRANCH":
        return [list(way) for way in nodes[0][1][1]]
    return [nodes]


def _anchored(nodes: list[Any]) -> str:
    """An expression without ^ or $ may be found anywhere in the text."""
    begins = bool(nodes) and _anchor(nodes[0]) == "BEGINNING"
    nodes = nodes[1:] if begins else nodes
    ends = bool(nodes) and _anchor(nodes[-1]) == "END"
    nodes = nodes[:-1] if ends else nodes
    return " ".join(filter(None, ("" if begins else _ANYTHING, _sequence(nodes), "" if ends else _ANYTHING))) or '""'


def _anchor(node: Any) -> str:
    return str(node[1]).removeprefix("AT_").removesuffix("_STRING") if _name(node) == "AT" else ""


def _name(node: Any) -> str:
    return str(node[0])


def _sequence(nodes: Sequence[Any]) -> str:
    return " ".join(filter(None, map(_node, nodes)))


def _alternatives(ways: list[str]) -> str:
    return ways[0] if len(ways) == 1 else f"( {' | '.join(way or chr(34) * 2 for way in ways)} )"


def _node(node: Any) -> str:
    kind, value = _name(node), node[1]
    match kind:
        case "LITERAL":
            return _one_of([(value, value)])
        case "NOT_LITERAL":
            return _one_of(_without([(value, value)]))
        case "ANY":
            return _one_of(_without([(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)]))
        case "IN":
            return _one_of(_members(value))
        case "SUBPATTERN" if not value[1] and not value[2]:
            return f"( {_sequence(value[3]) or chr(34) * 2} )"
        case "BRANCH":
            return _alternatives([_sequence(way) for way in value[1]])
        case "MAX_REPEAT" | "MIN_REPEAT":
            low, high, inner = value
            most = None if high == re._parser.MAXREPEAT else int(high)  # type: ignore[attr-defined]
            if max(low, most or 0) > MOST_REPEATED:
                raise ValueError(f"more than {MOST_REPEATED} repetitions in a pattern")
            if not (item := _sequence(inner)):
                return ""
            return f"( {item} ){{{low},{'' if most is None else most}}}"
    what = {"ASSERT": "(?=...)", "ASSERT_NOT": "(?!...)", "GROUPREF": r"\1", "AT": "^, $ or \\b in the middle"}
    raise ValueError(f"a pattern with {what.get(kind, kind.lower())} cannot become a grammar")


def _members(items: Sequence[Any]) -> _Ranges:
    """Of a class in brackets."""
    negated, found = False, _Ranges()
    for item in items:
        match _name(item):
            case "NEGATE":
                negated = True
            case "LITERAL":
                found.append((item[1], item[1]))
            case "RANGE":
                found.append(item[1])
            case "CATEGORY":
                name = str(item[1]).removeprefix("CATEGORY_")
                spaces = "SPACE" in name and (negated or name.startswith("NOT_"))
                ranges = _SPACES if spaces else _CLASSES[name.removeprefix("NOT_")]
                found += _without(ranges) if name.startswith("NOT_") else ranges
    return _without(found) if negated else found


def _without(ranges: _Ranges) -> _Ranges:
    """All that stands in a JSON string as it is, but these."""
    left, found = 0, _Ranges()
    for first, last in [*sorted(ranges), (_LAST + 1, _LAST + 1)]:
        if first > left:
            found.append((left, first - 1))
        left = max(left, last + 1)
    return _common(found, _PLAIN)


def _common(some: _Ranges, others: _Ranges) -> _Ranges:
    return [(max(a, c), min(b, d)) for a, b in some for c, d in others if max(a, c) <= min(b, d)]


def _one_of(ranges: _Ranges) -> str:
    """A class of those that stand as they are, beside the escapes of the few that do not."""
    plain = _common(sorted(ranges), _PLAIN)
    ways = [f"[{''.join(map(_range, plain))}]"] if plain else []
    special = [*range(0x20), 0x22, 0x5C]
    for char in special:
        if any(first <= char <= last for first, last in ranges):
            written = _NAMED.get(char) or f"u{char:04x}"
            ways.append('"\\\\' + (f"\\{written}" if written in '"\\' else written) + '"')
    if not ways:
        raise ValueError("a class in a pattern has no characters")
    return ways[0] if len(ways) == 1 else f"( {' | '.join(ways)} )"


def _range(both: tuple[int, int]) -> str:
    first, last = both
    return _char(first) if first == last else f"{_char(first)}-{_char(last)}"


def _char(char: int) -> str:
    if chr(char).isascii() and chr(char).isalnum():
        return chr(char)
    return f"\\x{char:02X}" if char < 0x80 else f"\\u{char:04X}" if char <= 0xFFFF else f"\\U{char:08X}"
