"""Which grammars the sampler can be given. Pure.

llama.cpp follows every way in which a grammar can read a text at the same time, and goes through them for each
token of the vocabulary. A short grammar with many optional parts side by side (`[a-z]? [a-z]? ...`), a rule that
begins with itself behind something optional, or a repetition from 5 to 1 keeps the decoder busy for minutes or for
ever, and everybody else waits. So a grammar is tried here first: eight characters of a text that many of its rules
can read, from its beginning and from every optional part, counting the ways.

One that cannot be read is refused here, too: llama.cpp would only say that it failed, and write it to its log.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from models.errors import BadInput

__all__ = ["check_grammar"]

DEEPEST_GROUP = 200
MAX_RULES = 4000
MAX_REPEATED = 8000
"""The upper bounds of all repetitions together: the sampler writes each of them out as rules."""
TEXT_CHARS = 8
"""A token has rarely more characters, and ways multiply with each."""
MOST_WAYS = 20_000
MOST_STEPS = 50_000
"""Of one trial, in which every way costs some."""
ALL_STEPS = 60_000
"""Of all trials of one grammar; what is not tried until then is let through."""
_PROBES = 8
_TOO_LARGE = f"has more than {DEEPEST_GROUP} groups in each other, or {MAX_RULES} rules"
_TOO_MANY_WAYS = "can read the same text in too many ways: optional parts side by side that begin alike, mostly"

_TOKEN = re.compile(
    r"""(?P<space>(?:[ \t\r\n]|\#[^\n]*)+)
    | (?P<define>(?P<name>[A-Za-z0-9_-]+)[ \t]*::=)
    | (?P<rule>[A-Za-z0-9_-]+)
    | "(?P<text>(?:\\.|[^"\\])*)"
    | \[(?P<class>(?:\\.|[^\]\\])*)\]
    | (?P<any>\.|!?<[^>]*>)
    | (?P<repeat>[*+?]|\{\s*\d{0,9}\s*(?:,\s*\d{0,9}\s*)?\})
    | (?P<mark>[()|])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
_NAMED = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True, eq=False)
class _Char:
    """One character of `members`, a string of pairs (first, last); or any other one."""

    members: str
    negated: bool = False

    def takes(self, char: str) -> bool:
        pairs = zip(self.members[::2], self.members[1::2], strict=True)
        return any(first <= char <= last for first, last in pairs) != self.negated

    def sample(self) -> str:
        if not self.negated:
            return self.members[:1] or "a"
        return next((char for char in 'a0 "z!' if self.takes(char)), "\u00e9")


@dataclass(frozen=True, slots=True, eq=False)
class _Rule:
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    alternatives: tuple[_Sequence, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Repeat:
    """At least `low` times, at most `high` (None: any number)."""

    item: _Item
    low: int
    high: int | None


# Items are equal only to themselves: that is quick, and what is written twice is two ways to llama.cpp, too.
_Item = _Char | _Rule | _Group | _Repeat
_Sequence = tuple[_Item, ...]
_Stack = tuple[_Item, ...]
"""What is still to be read, the next item last."""


class _Refused(Exception):
    pass


def check_grammar(grammar: str, param: str = "grammar") -> None:
    """Raises BadInput for a grammar that would keep the sampler busy for too long, or overflow its stack."""
    problem = _problem(grammar)
    if problem:
        raise BadInput(f"the grammar {problem}", param=param, hint="make it, or the schema it comes from, simpler")


@lru_cache(maxsize=16)
def _problem(grammar: str) -> str:
    """Cached: one is checked where it is made, where its error can name the field, and again before its use."""
    try:
        _try(_parsed(grammar))
    except _Refused as refused:
        return str(refused)
    return ""


# ---- reading it ---------------------------------------------------------------------------------------------


def _parsed(grammar: str) -> dict[str, tuple[_Sequence, ...]]:
    rules: dict[str, tuple[_Sequence, ...]] = {}
    used: set[str] = set()
    open_groups: list[list[list[_Item]]] = []
    here: list[list[_Item]] | None = None
    name, repeated, place = "", 0, 0

    def unreadable() -> _Refused:
        return _Refused(f"cannot be read at character {place}: {grammar[place : place + 20]!r}")

    def finish() -> None:
        if here is not None:
            if open_groups:
                raise unreadable()
            rules[name] = tuple(tuple(sequence) for sequence in here)

    while place < len(grammar):
        found = _TOKEN.match(grammar, place)
        if found is None:
            raise unreadable()
        kind, text = found.lastgroup, found.group()
        if found["define"] is not None:
            finish()
            name, here = found["name"], [[]]
            if len(rules) > MAX_RULES:
                raise _Refused(_TOO_LARGE)
            place = found.end()
            continue
        if kind == "space":
            place = found.end()
            continue
        if here is None:
            raise unreadable()
        match kind:
            case "rule":
                here[-1].append(_Rule(text))
                used.add(text)
            case "text":
                here[-1] += [_Char(char * 2) for char in _plain(found["text"])]
                if not found["text"]:
                    here[-1].append(_Group(((),)))
                elif len(found["text"]) > 1:  # a repetition behind it means all of it
                    size = len(_plain(found["text"]))
                    here[-1][-size:] = [_Group((tuple(here[-1][-size:]),))]
            case "class":
                here[-1].append(_class(found["class"]))
            case "any":
                here[-1].append(_Char("", negated=True))
            case "repeat":
                if not here[-1]:
                    raise unreadable()
                low, high = _bounds(text)
                repeated += high if high is not None else low
                if (high is not None and high < low) or repeated > MAX_REPEATED:
                    raise _Refused(
                        f"repeats something {text[:40]} times: from few to many, and {MAX_REPEATED} at most in all"
                    )
                here[-1].append(_Repeat(here[-1].pop(), low, high))
            case _ if text == "(":
                open_groups.append(here)
                here = [[]]
                if len(open_groups) > DEEPEST_GROUP:
                    raise _Refused(_TOO_LARGE)
            case _ if text == "|":
                here.append([])
            case _:
                if not open_groups:
                    raise unreadable()
                group = _Group(tuple(tuple(sequence) for sequence in here))
                here = open_groups.pop()
                here[-1].append(group)
        place = found.end()
    finish()
    if "root" not in rules:
        raise _Refused("has no rule called root")
    missing = sorted(used - rules.keys())
    if missing:
        raise _Refused(f"uses a rule that it has not: {missing[0][:60]}")
    return rules


def _bounds(text: str) -> tuple[int, int | None]:
    if text in "*+?":
        return {"*": (0, None), "+": (1, None), "?": (0, 1)}[text]
    low, comma, high = text.strip("{}").partition(",")
    if not low.strip():
        raise _Refused(f"repeats something {text[:40]} times: the first number is missing")
    least = int(low)
    return least, (int(high) if high.strip() else None) if comma else least


def _plain(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        code = found[1]
        if len(code) > 1:
            number = int(code[1:], 16)
            return chr(number) if number < 0x110000 else "?"
        return _NAMED.get(code, code)

    return _ESCAPE.sub(one, text)


def _class(text: str) -> _Char:
    negated = text.startswith("^")
    # An escape may stand for "-": only those that were written are ranges.
    units = re.findall(r"\\(?:x..|u.{4}|U.{8}|.)|.", text[negated:], re.DOTALL)
    members, place = "", 0
    while place < len(units):
        first = last = _plain(units[place])
        if place + 2 < len(units) and units[place + 1] == "-":
            last = _plain(units[place + 2])
            place += 2
        members += (first[:1] or "?") + (last[:1] or "?")
        place += 1
    return _Char(members, negated)


# ---- trying it ----------------------------------------------------------------------------------------------


def _try(rules: dict[str, tuple[_Sequence, ...]]) -> None:
    steps = 0
    for start in ((_Group(rules["root"]),), *_optional_places(rules)):
        walk = _Walk(rules)
        walk.run(tuple(reversed(start)))
        steps += walk.steps
        if steps > ALL_STEPS:
            return


def _optional_places(rules: dict[str, tuple[_Sequence, ...]]) -> Iterator[_Sequence]:
    """Every end of a sequence that begins with something that may be left out."""
    waiting: list[_Sequence] = [sequence for alternatives in rules.values() for sequence in alternatives]
    while waiting:
        sequence = waiting.pop()
        for place, item in enumerate(sequence):
            inner = item
            if isinstance(inner, _Repeat):
                if inner.high != 0:
                    yield sequence[place:]
                inner = inner.item
            if isinstance(inner, _Group):
                waiting += inner.alternatives


class _Walk:
    """All ways of the grammar at once, each distinct one with the number of ways that led to it."""

    def __init__(self, rules: dict[str, tuple[_Sequence, ...]]) -> None:
        self._rules = rules
        self._repeats: dict[tuple[_Item, int, int | None], _Repeat] = {}
        self.steps = 0

    def run(self, start: _Stack) -> None:
        """Raises _Refused."""
        first = self._opened(Counter({start: 1}))
        for char in self._samples(first):
            ways = first
            for _ in range(TEXT_CHARS):
                read: Counter[_Stack] = Counter()
                for stack, count in ways.items():
                    item = stack[-1]
                    if isinstance(item, _Char) and item.takes(char):
                        read[stack[:-1]] += count
                if not read:
                    break
                ways = self._opened(read)
                char = self._busiest(ways)

    def _opened(self, ways: Counter[_Stack]) -> Counter[_Stack]:
        """Until a character is next."""
        found: Counter[_Stack] = Counter()
        total = 0
        for begin, count in ways.items():
            waiting = [begin]
            while waiting:
                stack = waiting.pop()
                self.steps += 1 + len(stack) // 256
                if self.steps > MOST_STEPS:
                    raise _Refused(_TOO_MANY_WAYS)
                if not stack:
                    continue
                item, rest = stack[-1], stack[:-1]
                match item:
                    case _Char():
                        found[stack] += count
                        total += count
                        if total > MOST_WAYS:
                            raise _Refused(_TOO_MANY_WAYS)
                    case _Rule(name):
                        waiting += [rest + sequence[::-1] for sequence in self._rules[name]]
                    case _Group(alternatives):
                        waiting += [rest + sequence[::-1] for sequence in alternatives]
                    case _Repeat(inner, low, high):
                        if low == 0:
                            waiting.append(rest)
                        if high != 0:
                            left = (inner, max(0, low - 1), None if high is None else high - 1)
                            again = self._repeats.setdefault(left, _Repeat(*left))
                            waiting.append((*rest, again, inner))
        return found

    def _samples(self, ways: Counter[_Stack]) -> list[str]:
        items = (stack[-1] for stack in ways)
        distinct = dict.fromkeys(item.sample() for item in items if isinstance(item, _Char))
        return list(islice(distinct, _PROBES))

    def _busiest(self, ways: Counter[_Stack]) -> str:
        """The character that most ways can go on with."""
        return max(
            self._samples(ways),
            key=lambda char: sum(
                count for stack, count in ways.items() if isinstance(stack[-1], _Char) and stack[-1].takes(char)
            ),
            default="",
        )
