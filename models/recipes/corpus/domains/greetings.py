"""Hello, goodbye, thanks, how are you."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.phrases import say

WEIGHT = 1.0

_HELLO = "(hello|hi|hey|hello there|hi there|hey there|hello [parley]|hey parley|hi parley|good day|greetings)"
_HELLO_ANSWERS = (
    "Hello! How can I help?",
    "Hi! What can I do for you?",
    "Hello! What can I do for you?",
    "Hi there! How can I help?",
)
_HOW = "(how are you [today|doing]|how are you doing [today]|how is it going|how's it going|how do you do|are you okay|how do you feel [today])"
_HOW_ANSWERS = (
    "I'm fine, thank you. How can I help?",
    "Very well, thanks. And you?",
    "All good here. What can I do for you?",
)
_FINE = "([i'm|i am] (fine|good|great|okay|very well) [thanks|thank you|too])"
_NOT_FINE = "(not so good|i'm (tired|sad|sick|bored|stressed|lonely)|i am (tired|sad|sick|bored|stressed|lonely)|i had a bad day|i feel (sad|tired|bad|lonely))"
_BYE = "(goodbye|bye|bye bye|see you [later|tomorrow|soon]|good night|talk to you later|i have to go [now]|that's all [for now|thanks|thank you]|that is all)"
_BYE_ANSWERS = ("Goodbye!", "Bye! Talk to you soon.", "See you later!", "Goodbye! Have a nice day.")
_THANKS = "(thanks|thank you|thank you [very much|so much]|thanks a lot|many thanks|great thanks|okay thanks|okay thank you|cool thanks)"
_THANKS_ANSWERS = ("You're welcome.", "You're welcome!", "Any time.", "My pleasure.")
_PRAISE = "(well done|good job|nice|great|perfect|awesome|that was great|you are (great|the best|very helpful|smart|nice)|you're (great|the best|very helpful|smart|nice)|i like you|i love you)"
_SCOLD = "(you are (stupid|dumb|wrong|useless)|you're (stupid|dumb|wrong|useless)|that is wrong|that's wrong|that was wrong|that's not right|that is not (true|right)|i hate you)"


def _hello(rng: random.Random) -> tuple[str, str]:
    roll = rng.random()
    if roll < 0.5:
        return say(rng, _HELLO), rng.choice(_HELLO_ANSWERS)
    if roll < 0.8:
        day = rng.choice(("morning", "afternoon", "evening"))
        return say(
            rng, "good {day} [parley]", day=day
        ), f"Good {day}! {rng.choice(('How can I help?', 'What can I do for you?'))}"
    return say(rng, "(hello|hi|hey) " + _HOW), rng.choice(_HOW_ANSWERS)


def _middle(rng: random.Random) -> tuple[str, str]:
    roll = rng.random()
    if roll < 0.35:
        return say(rng, _THANKS), rng.choice(_THANKS_ANSWERS)
    if roll < 0.5:
        return say(rng, _HOW), rng.choice(_HOW_ANSWERS)
    if roll < 0.6:
        return say(rng, _FINE), rng.choice(
            ("Good to hear! What can I do for you?", "Glad to hear it. How can I help?")
        )
    if roll < 0.7:
        return say(rng, _NOT_FINE), rng.choice(
            ("I'm sorry to hear that. Would a joke or a story help?", "I'm sorry. I hope it gets better soon.")
        )
    if roll < 0.85:
        return say(rng, _PRAISE), rng.choice(
            ("Thank you!", "Thanks, that's kind of you.", "Thank you, I do my best.")
        )
    return say(rng, _SCOLD), rng.choice(
        ("I'm sorry. I'm a very small model and I make mistakes.", "Sorry about that. Please ask me another way.")
    )


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    while True:
        turns: list[str] = []
        if rng.random() < 0.5:
            turns += _hello(rng)
        while rng.random() < 0.5 and len(turns) < 8:
            turns += _middle(rng)
        if not turns or rng.random() < 0.3:
            turns += (say(rng, _BYE), rng.choice(_BYE_ANSWERS))
        yield talk(*turns)
