"""Whole sessions for training: several dialogues in a row, system prompts, interruptions, slips.

A spoken session is a chain of unrelated requests, so unrelated dialogues are joined into one history.
Dialogues that bring their own system turn, or ask for things told earlier, only start a session.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from models.recipes.corpus.dialogue import INTERRUPTED, Dialogue, Turn
from models.recipes.corpus.slips import slip, written

SYSTEM_PROMPTS = (
    "You are Parley, a helpful voice assistant. Answer in one or two short sentences.",
    "You are Parley, a voice assistant. Your answers are spoken aloud, so keep them short and plain.",
    "You are Parley.",
    "You are a helpful assistant.",
    "You are a helpful voice assistant.",
    "You are a friendly voice assistant. Be brief.",
    "Answer briefly.",
    "Answer in one short sentence. Do not use lists or markdown.",
    "You are a voice assistant in a home. Keep your answers short; the user may interrupt you.",
    "The user speaks to you and hears your answers. If a message ends with [INTERRUPTED BY USER], "
    "the user stopped you there.",
    "You are a concise, honest assistant. Say so when you do not know something.",
)
_FIRST_ONLY = frozenset(("memory", "identity"))
_BREAK_IN = ("", "", "", "", "no ", "wait ", "stop ", "okay ", "sorry ", "no no ", "hey ")


def _cut(rng: random.Random, answer: str) -> str | None:
    """The answer as heard before an interruption, at a word; None when there is nothing to cut."""
    heard = answer.split()
    if len(heard) < 3:
        return None
    return f"{' '.join(heard[: rng.randint(1, len(heard) - 1)])} {INTERRUPTED}"


def _names(dialogue: Dialogue) -> frozenset[str]:
    found = set()
    for turn in dialogue.turns:
        if turn.role == "assistant":
            for word in turn.text.split()[1:]:
                bare = word.strip(".,!?")
                if bare[:1].isupper() and len(bare) > 1:
                    found.add(bare)
    return frozenset(found)


def _as_arrived(rng: random.Random, turn: Turn, style: float, names: frozenset[str]) -> Turn:
    if turn.role != "user":
        return turn
    if style < 0.3:
        return replace(turn, text=written(rng, turn.text, names))
    if rng.random() < 0.13:
        return replace(turn, text=slip(rng, turn.text))
    return turn


def sessions(rng: random.Random, dialogues: Iterator[Dialogue], max_turns: int = 40) -> Iterator[list[Turn]]:
    """Endless sessions of two to `max_turns` turns; 60 % start with a system turn."""
    while True:
        target = rng.choice((2, 2, 4, 6, 8, 12, 16, 24, max_turns))
        style = rng.random()
        turns: list[Turn] = []
        if rng.random() < 0.6:
            turns.append(Turn("system", rng.choice(SYSTEM_PROMPTS)))
        first = True
        while first or len(turns) < target:
            dialogue = next(dialogues)
            own_system = dialogue.turns[0].role == "system"
            if not first and (own_system or dialogue.domain in _FIRST_ONLY and rng.random() < 0.9):
                continue
            if own_system:
                turns = []
            added = list(dialogue.turns)
            if turns and turns[-1].role == "assistant" and rng.random() < 0.15:
                heard = _cut(rng, turns[-1].text)
                if heard is not None and turns[-1].learn:
                    # The cut answer is not to be imitated; the next request is answered as always.
                    turns[-1] = Turn("assistant", heard, learn=False)
                    added[0] = replace(added[0], text=rng.choice(_BREAK_IN) + added[0].text)
            names = _names(dialogue)
            turns += [_as_arrived(rng, turn, style, names) for turn in added]
            first = False
        yield turns
