"""Short stories of four to eight sentences, with a hero to choose, and how to go on after an interruption."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import INTERRUPTED, Dialogue, Turn, talk
from models.recipes.corpus.phrases import say

WEIGHT = 1.6

_HEROES = (
    "fox|rabbit|bear|mouse|dragon|robot|princess|king|cat|dog|owl|boy|girl|sailor|farmer|baker|witch|knight|whale|"
    "penguin|frog|turtle|squirrel|lion|elephant|pirate|giant|duck|hedgehog|wizard"
).split("|")
_NAMES = "Milo Tina Rufus Bella Oskar Lila Pip Nora Gus Ivy Hugo Wanda".split()

# Sentences of each plot in order; {hero}, {name}. Each plot stands on its own.
_PLOTS: tuple[tuple[str, ...], ...] = (
    (
        "Once upon a time there was a {hero} called {name}, who lived at the edge of a big forest.",
        "One night {name} saw a small light between the trees.",
        "{name} followed it for a long time, over a hill and across a stream.",
        "At last the light stopped, and it was a lost little star.",
        "{name} lifted it up to the top of the highest tree.",
        "The star jumped back into the sky and winked.",
        "Since that night one star always shines above the house of {name}.",
    ),
    (
        "There was once a {hero} named {name} who was afraid of the dark.",
        "Every evening {name} lit ten candles and still could not sleep.",
        "Then one evening a strong wind blew all the candles out.",
        "{name} sat very still and heard an owl sing softly outside.",
        "It was the most beautiful song {name} had ever heard.",
        "From then on {name} waited for the dark every evening, just to hear the owl.",
    ),
    (
        "Long ago a {hero} called {name} found an old map in a bottle.",
        "The map showed a treasure on a tiny island.",
        "{name} built a boat and sailed for three days and three nights.",
        "On the island there was a box, and in the box there was only a seed.",
        "{name} was sad at first, but planted the seed at home.",
        "It grew into a tree with golden apples, enough for the whole village.",
    ),
    (
        "Once there was a {hero} named {name} who wanted to be the fastest of all.",
        "{name} ran every day, faster and faster, and never looked left or right.",
        "One day {name} ran so fast that everyone else was far behind.",
        "It was very quiet there, and nobody was left to laugh with.",
        "So {name} turned around, walked back slowly, and picked flowers on the way.",
        "That day {name} came home last, and happier than ever.",
    ),
    (
        "In a small town there lived a {hero} called {name}.",
        "{name} had a clock that always showed the wrong time.",
        "Everybody laughed about it, but {name} liked the clock and kept it.",
        "One morning all the other clocks in the town stopped.",
        "Nobody knew when to get up or when to go home.",
        "Only the clock of {name} went on, and at noon it was right for once.",
        "Since then nobody in the town laughs about old things.",
    ),
    (
        "There once was a {hero} named {name} who could not stop talking.",
        "{name} talked in the morning, at lunch, and even while sleeping.",
        "One day {name} met a big old tree that listened without a word.",
        "After three hours {name} had nothing left to say.",
        "Then the tree rustled and told a story that was a hundred years long.",
        "{name} listened to the very end, and learned to love the quiet.",
    ),
    (
        "One winter a {hero} called {name} found a tiny glove in the snow.",
        "{name} asked everyone in the valley, but nobody had lost it.",
        "So {name} hung it on the fence where all could see it.",
        "In the night a family of mice moved into the warm glove.",
        "When spring came, the mice brought {name} the first flower of the year.",
        "The glove hangs there to this day.",
    ),
    (
        "Far away, behind seven mountains, there lived a {hero} named {name}.",
        "{name} had never seen the sea and dreamed of it every night.",
        "One summer {name} packed some bread and walked along the river.",
        "The river grew wider and wider, and the air began to smell of salt.",
        "Then the sea lay there, blue and endless.",
        "{name} filled a little bottle with it and carried it all the way home.",
        "When the wind is right, you can hear the waves in it.",
    ),
    (
        "A {hero} called {name} once found a coin that granted one wish.",
        "{name} thought about gold, then about a castle, then about cake.",
        "In the evening {name} met an old woman who had lost her way.",
        "{name} wished that she was safe at home, and the coin was gone.",
        "The next morning there was a warm cake at the door.",
        "It was the best cake in the world, because it was shared.",
    ),
    (
        "There was a little {hero} named {name} who wanted to touch the moon.",
        "{name} climbed a chair, then a roof, then the tallest hill.",
        "But the moon was always just a bit too high.",
        "Tired and sad, {name} sat down at a small lake.",
        "There the moon was lying in the water, round and bright.",
        "{name} touched it very gently, and it smiled in a thousand rings.",
    ),
)
_ASK = (
    "tell me a [short|little|nice|good|bedtime|long] story",
    "tell [us] a story",
    "(can you tell|could you tell|please tell) me a story",
    "i want to hear a story",
    "read me a [bedtime] story",
    "do you know a [good] story",
    "[a] story please",
    "let's hear a story",
)
_ASK_HERO = (
    "tell me a [short|little] story about (a|the) {hero}",
    "(i want|can you tell me) a story about a {hero}",
    "do you know a story about a {hero}",
    "a story about a {hero} please",
)
_GO_ON = "(go on|continue|keep going|please continue|go ahead|carry on|and then|what happened next|go on with the story|tell me the rest|and what happened then)"
_LIKE = "(that was nice|i like that story|nice story|that was a good story|that was beautiful)"


def _story(rng: random.Random, hero: str) -> list[str]:
    name = rng.choice(_NAMES)
    return [
        sentence.format(hero=hero, name=name).replace(" a elephant", " an elephant").replace(" a owl", " an owl")
        for sentence in rng.choice(_PLOTS)
    ]


def _dialogue(rng: random.Random) -> Dialogue:
    hero = rng.choice(_HEROES)
    if rng.random() < 0.35:
        ask = say(rng, _ASK_HERO, hero=hero).replace(" a elephant", " an elephant").replace(" a owl", " an owl")
    else:
        ask = say(rng, _ASK)
    sentences = _story(rng, hero)
    sentences = [sentence.replace("A elephant", "An elephant").replace("A owl", "An owl") for sentence in sentences]
    full = " ".join(sentences)
    roll = rng.random()
    if roll < 0.25:
        # Interrupted after some words of a sentence; "go on" repeats that sentence and tells the rest.
        cut = rng.randrange(1, len(sentences) - 1)
        words = sentences[cut].split()
        told = " ".join([*sentences[:cut], *words[: rng.randint(0, len(words) - 1)]])
        return Dialogue(
            (
                Turn("user", ask),
                Turn("assistant", f"{told} {INTERRUPTED}", learn=False),
                Turn("user", say(rng, _GO_ON)),
                Turn("assistant", " ".join(sentences[cut:])),
            ),
            key=(sentences[cut],),
        )
    turns = [ask, full]
    if rng.random() < 0.15:
        turns += [say(rng, _LIKE), rng.choice(("Thank you! I like it too.", "I'm glad you liked it."))]
    elif rng.random() < 0.1:
        turns += [
            say(rng, "(another one|another story|one more|tell me another one|one more story)"),
            " ".join(_story(rng, rng.choice(_HEROES))),
        ]
    return talk(*turns)


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    while True:
        yield _dialogue(rng)
