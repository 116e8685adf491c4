"""Held-out questions answered by the GGUF file in llama.cpp: accuracy per domain, and checks against torch."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import llama_cpp
import numpy as np

from models.recipes.corpus.dialogue import Dialogue, Turn, mixture
from models.recipes.parley_mini.tokens import prompt

_WORD = re.compile(r"[a-z']+")
_IDLE = frozenset("a an the is are it i i'm i'll okay done sure you to of in on for and all right".split())


@dataclass(slots=True)
class Score:
    """`asked` dialogues; `questions` counts each last question once (its first dialogue stands for it).

    One unseen way to ask, such as "what number did i tell you", ends many dialogues, so the two differ.
    """

    asked: int = 0
    right: int = 0
    exact: int = 0
    questions: int = 0
    questions_right: int = 0


def is_right(dialogue: Dialogue, answer: str) -> bool:
    """Whether the answer holds what the dialogue's key asks for.

    A key part may hold alternatives with "|". Domains without a key (home, timers, lists and the like):
    at least eight in ten of the reference's words of weight are there, and every number word.
    """
    said = answer.lower()
    if dialogue.key:
        return all(any(choice in said for choice in part.lower().split("|")) for part in dialogue.key)
    wanted = [word for word in _WORD.findall(dialogue.turns[-1].text.lower()) if word not in _IDLE]
    found = set(_WORD.findall(said))
    return sum(word in found for word in wanted) >= 0.8 * len(wanted)


class Answerer:
    """Greedy answers of a GGUF file through llama-cpp-python."""

    def __init__(self, path: Path, threads: int = 2) -> None:
        self._model = llama_cpp.Llama(str(path), n_ctx=1024, n_threads=threads, n_batch=512, verbose=False)

    def close(self) -> None:
        self._model.close()

    def tokens(self, text: str) -> list[int]:
        return list(self._model.tokenize(text.encode(), add_bos=False, special=True))

    def next_logits(self, ids: list[int]) -> np.ndarray:
        """Logits over the vocabulary for the token after `ids`, as float32."""
        self._model.reset()
        self._model.eval(ids)
        pointer = llama_cpp.llama_get_logits_ith(self._model.ctx, -1)
        return np.ctypeslib.as_array(pointer, (self._model.n_vocab(),)).copy()

    def answer(self, turns: Iterable[Turn], limit: int = 200) -> str:
        ids = self.tokens(prompt(turns))
        made = self._model.create_completion(ids, max_tokens=limit, temperature=0.0, repeat_penalty=1.0)
        return str(made["choices"][0]["text"]).strip()


OPEN = frozenset(("greetings", "smalltalk", "jokes", "stories", "control", "identity"))
"""Domains where several answers are as good as each other; they are counted only where a dialogue has a key."""


def held_out(seed: int, count: int, per_domain: int = 60) -> list[Dialogue]:
    """Up to `count` different held-out dialogues that can be judged, spread over the domains."""
    taken: dict[str, int] = defaultdict(int)
    seen: set[str] = set()
    found: list[Dialogue] = []
    for dialogue in islice(mixture(seed, held_out=True), 20 * count):
        question = " / ".join(turn.text for turn in dialogue.turns[:-1])
        judged = bool(dialogue.key) or dialogue.domain not in OPEN
        if judged and question not in seen and taken[dialogue.domain] < per_domain:
            seen.add(question)
            taken[dialogue.domain] += 1
            found.append(dialogue)
            if len(found) == count:
                break
    return found


def evaluate(answerer: Answerer, dialogues: Iterable[Dialogue], misses: list[str]) -> dict[str, Score]:
    """Scores by domain, and "domain: question -> answer (wanted: ...)" lines for wrong answers in `misses`."""
    scores: dict[str, Score] = defaultdict(Score)
    seen: set[str] = set()
    for dialogue in dialogues:
        answer = answerer.answer(dialogue.turns[:-1])
        score = scores[dialogue.domain]
        score.asked += 1
        score.exact += answer == dialogue.turns[-1].text
        right, new = is_right(dialogue, answer), dialogue.turns[-2].text not in seen
        seen.add(dialogue.turns[-2].text)
        score.right += right
        score.questions += new
        score.questions_right += new and right
        if not right:
            asked = " / ".join(turn.text for turn in dialogue.turns[:-1])
            misses.append(f"{dialogue.domain}: {asked} -> {answer} (wanted: {dialogue.turns[-1].text})")
    return dict(sorted(scores.items()))
