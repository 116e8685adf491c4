"""A dialogue, how domains are found, and the seeded mixture of all of them.

A domain file in `domains/` exports
- `WEIGHT: float`, its share of the mixture (relative, not a percentage), and
- `dialogues(rng: random.Random) -> Iterator[Dialogue]`, an infinite iterator.

User turns are lower-case words and apostrophes only, as a speech recogniser gives them; assistant
turns are punctuated and short, because they are spoken. `problems()` says what breaks these rules.

Held-out questions: `is_held_out(text)` is true for one user turn in forty, by a hash of its words.
`mixture(held_out=False)` never yields a dialogue with such a turn, so a phrase and a filler may both
be known to the model while their combination was never seen.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

Role = Literal["system", "user", "assistant"]

INTERRUPTED = "[INTERRUPTED BY USER]"
HELD_OUT_ONE_IN = 40
MAX_ANSWER_CHARS = 900
"""Stories and counting are the longest answers; everything else is one or two sentences."""

_USER = re.compile(r"[a-z']+( [a-z']+)*")


@dataclass(frozen=True, slots=True)
class Turn:
    """One message. `text` is what was said or written; `learn` is false where the model must not imitate it."""

    role: Role
    text: str
    learn: bool = True


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Turns in order, an optional system turn first, then user and assistant by turns.

    `key` holds what a right last answer must contain, where the domain can say so (empty where it cannot).
    """

    turns: tuple[Turn, ...]
    domain: str = ""
    key: tuple[str, ...] = ()

    def user_lines(self) -> tuple[str, ...]:
        return tuple(turn.text for turn in self.turns if turn.role == "user")


@dataclass(frozen=True, slots=True)
class Domain:
    name: str
    weight: float
    dialogues: Callable[[random.Random], Iterator[Dialogue]] = field(repr=False)


def talk(*texts: str, system: str = "", key: tuple[str, ...] = ()) -> Dialogue:
    """A dialogue from user and assistant texts by turns, the user first."""
    roles: tuple[Role, Role] = ("user", "assistant")
    turns = tuple(Turn(roles[index % 2], text) for index, text in enumerate(texts))
    return Dialogue((Turn("system", system), *turns) if system else turns, key=key)


def is_held_out(text: str) -> bool:
    """True for one text in `HELD_OUT_ONE_IN`, always the same ones; short greetings are never held out."""
    if len(text.split()) < 4:
        return False
    digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
    return int.from_bytes(digest) % HELD_OUT_ONE_IN == 0


@cache
def _withheld() -> frozenset[str]:
    text = Path(__file__).with_name("withheld.txt").read_text(encoding="ascii")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def fingerprint(text: str) -> str:
    """Sixteen hex digits that stand for a line without showing it."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def is_withheld(text: str) -> bool:
    """True for lines (two words or more) that test recordings of ours speak: no model may learn them."""
    return fingerprint(text) in _withheld()


def problems(dialogue: Dialogue) -> list[str]:
    """What is wrong with a dialogue, in words; empty when it is clean."""
    found: list[str] = []
    spoken = [turn for turn in dialogue.turns if turn.role != "system"]
    if any(turn.role == "system" for turn in dialogue.turns[1:]):
        found.append("a system turn that is not the first")
    if not spoken or len(spoken) % 2:
        found.append("does not end with an answer")
    for index, turn in enumerate(spoken):
        if turn.role != ("assistant" if index % 2 else "user"):
            found.append(f"turn {index} has the role {turn.role}")
        if turn.role == "user" and not _USER.fullmatch(turn.text):
            found.append(f"user text is not plain lower-case words: {turn.text!r}")
        if turn.role == "assistant":
            if not turn.text or turn.text != turn.text.strip() or "  " in turn.text or "\n" in turn.text:
                found.append(f"answer is empty or has stray space: {turn.text!r}")
            elif len(turn.text) > MAX_ANSWER_CHARS:
                found.append(f"answer of {len(turn.text)} characters")
            elif turn.learn and turn.text[-1] not in ".!?":
                found.append(f"answer without an end: {turn.text!r}")
    return found


def load_domains() -> tuple[Domain, ...]:
    """All files of `domains/`, by name, so that the mixture does not depend on the file system's order."""
    package = importlib.import_module("models.recipes.corpus.domains")
    names = sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_"))
    modules = [(name, importlib.import_module(f"{package.__name__}.{name}")) for name in names]
    return tuple(Domain(name, float(module.WEIGHT), module.dialogues) for name, module in modules)


def mixture(
    seed: int,
    *,
    held_out: bool = False,
    domains: tuple[Domain, ...] | None = None,
    strict: bool = True,
) -> Iterator[Dialogue]:
    """An endless seeded stream of dialogues over all domains by weight.

    With `held_out` false, dialogues with a held-out user turn are skipped; with true, only those whose
    LAST user turn is held out are given (the last answer is the one to be judged).
    Dialogues with a user line of `withheld.txt` are always dropped.
    A dialogue that breaks the rules of `problems()` raises ValueError, or is left out when not `strict`.
    """
    found = load_domains() if domains is None else domains
    if not found:
        raise ValueError("no domain files found")
    rng = random.Random(seed)
    streams = [domain.dialogues(random.Random(f"{seed}/{domain.name}")) for domain in found]
    weights = [domain.weight for domain in found]
    while True:
        index = rng.choices(range(len(found)), weights)[0]
        dialogue = next(streams[index])
        wrong = problems(dialogue)
        if wrong and not strict:
            continue
        if wrong:
            raise ValueError(f"domain {found[index].name}: {'; '.join(wrong)}")
        lines = dialogue.user_lines()
        if held_out and not is_held_out(lines[-1]):
            continue
        if not held_out and any(is_held_out(line) for line in lines):
            continue
        if any(is_withheld(line) for line in lines):
            continue
        yield Dialogue(dialogue.turns, found[index].name, dialogue.key)
