"""Hello, goodbye, thanks."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk

WEIGHT = 1.0


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    while True:
        yield talk(
            rng.choice(("hello", "hi there", "hey", "good morning")),
            rng.choice(("Hello! How can I help?", "Hi! What can I do for you?")),
        )
