"""Things a user tells and asks back in the same talk: names, favourites, where things are, numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.domains import arithmetic, geography, greetings, nature
from models.recipes.corpus.domains.refusals import made_up
from models.recipes.corpus.number_words import words
from models.recipes.corpus.phrases import say

WEIGHT = 2.4

_NAMES = (
    "Anna Ben Clara David Emma Felix Grace Henry Isabel Jack Kate Liam Maria Noah Olivia Paul Quinn Rachel "
    "Simon Tara Victor Wendy Yara Zoe Peter Lisa Tom Julia Mark Sarah Daniel Laura Michael Nina Oscar Sophie "
    "George Alice Robert Helen Frank Lucy Martin Eva Adam Ruth James Mary John Linda William Karen Thomas Susan "
    "Steven Nora Kevin Megan Ryan Chloe Eric Amy Jonas Hannah Lukas Mia Leon Elena Marco Carla Pedro Ines Ali "
    "Fatima Omar Leila Yuki Kenji Priya Raj Chen Mei Ivan Olga Lars Ingrid Sven Astrid Pierre Camille"
).split()
_TELL_NAME = "(my name is {v}|i'm {v}|i am {v}|call me {v}|you can call me {v}|hello my name is {v}|hi i'm {v}|hey my name is {v}|this is {v}|remember my name is {v}|people call me {v})"
_NICE = ("Nice to meet you, {v}.", "Hello {v}! How can I help?", "Hi {v}, nice to meet you.")
_ASK_NAME = "(what is my name|what's my name|who am i|do you know my name|do you remember my name|tell me my name|can you tell me my name|what am i called|do you [still] know who i am|say my name)"

# what it is, values, how it is told, the echo, how it is asked, the answer
_THINGS: tuple[tuple[tuple[str, ...], str, str, str, str], ...] = (
    (
        tuple("red blue green yellow orange purple pink black white brown gray".split()),
        "(my favorite color is {v}|i like the color {v} best|remember that my favorite color is {v})",
        "Okay, your favorite color is {v}.",
        "(what is my favorite color|what's my favorite color|which color do i like [best]|do you remember my favorite color)",
        "Your favorite color is {v}.",
    ),
    (
        tuple(
            "pizza pasta soup rice fish chicken salad bread cheese chocolate curry pancakes noodles potatoes".split()
        ),
        "(my favorite food is {v}|i like [to eat] {v} best|remember that my favorite food is {v}|i love {v})",
        "Good to know, you like {v}.",
        "(what is my favorite food|what's my favorite food|what do i like to eat|do you remember what i like to eat)",
        "You like {v}.",
    ),
    (
        tuple("dogs cats horses birds rabbits elephants lions tigers penguins dolphins bears owls".split()),
        "(my favorite animals are {v}|i like {v} best of all animals)",
        "Okay, your favorite animals are {v}.",
        "(what are my favorite animals|which animals do i like [best]|what animals do i like)",
        "Your favorite animals are {v}.",
    ),
    (
        tuple(
            "Berlin|London|Paris|Rome|Madrid|Vienna|Boston|Chicago|Munich|Hamburg|Oslo|Lisbon|Dublin|Toronto|Sydney".split(
                "|"
            )
        ),
        "(i live in {v}|i'm from {v}|i am from {v}|my home is in {v}|my home town is {v})",
        "Okay, {v} is your home.",
        "(where do i live|where am i from|which city do i live in|what is my home town|do you know where i live)",
        "You said {v}.",
    ),
    (
        tuple("kitchen|bedroom|bathroom|car|bag|hallway|garage|garden|office|drawer".split("|")),
        "(my keys are in the {v}|i left my keys in the {v}|i put my keys in the {v}|the keys are in the {v})",
        "Okay, your keys are in the {v}.",
        "(where are my keys|where did i (put|leave) my keys|do you know where my keys are)",
        "Your keys are in the {v}.",
    ),
    (
        tuple(words(n) for n in range(18, 90)),
        "(i am {v} years old|i'm {v} years old|i am {v}|my age is {v})",
        "Okay, you are {v} years old.",
        "(how old am i|what is my age|what's my age|do you remember how old i am)",
        "You are {v} years old.",
    ),
    (
        tuple(words(n) for n in range(2, 100)),
        "(remember the number {v}|my lucky number is {v}|the number is {v}|my number is {v}|keep the number {v} in mind)",
        "Okay, the number is {v}.",
        "(what was the number|what is my [lucky] number|what's my number|which number did i say|what number did i tell you|do you remember the number)",
        "The number is {v}.",
    ),
    (
        tuple("Rex Bella Charlie Luna Max Daisy Rocky Molly Buddy Coco Milo Ruby Toby Lola Oscar".split()),
        "(my dog is called {v}|my dog's name is {v}|my cat is called {v}|i have a pet called {v}|my pet is called {v})",
        "{v} is a lovely name.",
        "(what is my (dog|cat|pet) called|what's my pet called|what is the name of my (dog|cat|pet)|what is my (dog's|pet's) name)",
        "Your pet is called {v}.",
    ),
    (
        tuple(_NAMES),
        "(my (wife|husband|brother|sister|friend|best friend)'s name is {v}|my (wife|husband|brother|sister|friend) is called {v})",
        "Okay, I'll remember {v}.",
        "(what did i say (her|his|the) name was|what was (her|his|the) name|which name did i tell you|who did i tell you about)",
        "You said {v}.",
    ),
    (
        tuple("monday tuesday wednesday thursday friday saturday sunday".title().split()),
        "(my birthday is on {v}|i have a meeting on {v}|the meeting is on {v}|my party is on {v})",
        "Okay, on {v}.",
        "(which day was (it|that)|what day is (it|that) on|on which day did i say|when did i say it was)",
        "On {v}.",
    ),
)
_UNTOLD = (
    (_ASK_NAME, "You haven't told me your name yet."),
    ("(what is my favorite color|what's my favorite color)", "You haven't told me yet."),
    ("(where do i live|where am i from|which city do i live in)", "You haven't told me yet."),
    ("(where are my keys|where did i (put|leave) my keys)", "I don't know. You haven't told me."),
    ("(how old am i|what is my age|what's my age)", "You haven't told me your age."),
    ("(what is my (dog|cat|pet) called|what is my dog's name)", "You haven't told me yet."),
    ("(what was the number|what is my lucky number)", "You haven't told me a number."),
)


def _filler(rng: random.Random, streams: list[Iterator[Dialogue]]) -> list[str]:
    return [turn.text for turn in next(rng.choice(streams)).turns if turn.role != "system"][:4]


def _tell_and_ask(rng: random.Random, streams: list[Iterator[Dialogue]]) -> Dialogue:
    turns: list[str] = []
    asks: list[tuple[str, str, str]] = []
    told = rng.sample(range(len(_THINGS) + 6), rng.choice((1, 1, 1, 2)))
    for index in told:
        if index >= len(_THINGS):
            if any("name" in ask[1] for ask in asks):
                continue
            # Now and then a name nobody has, so that names are copied and not only known.
            value = made_up(rng).title() if rng.random() < 0.25 else rng.choice(_NAMES)
            turns += [say(rng, _TELL_NAME, v=value.lower()), rng.choice(_NICE).format(v=value)]
            asks.append((_ASK_NAME, "Your name is {v}." if rng.random() < 0.7 else "You are {v}.", value))
        else:
            values, tell, echo, ask, answer = _THINGS[index]
            value = rng.choice(values)
            turns += [say(rng, tell, v=value.lower()), first_upper(echo.format(v=value))]
            asks.append((ask, answer, value))
        while rng.random() < 0.4 and len(turns) < 10:
            turns += _filler(rng, streams)
    rng.shuffle(asks)
    value = ""
    for ask, answer, value in asks:
        turns += [say(rng, ask), answer.format(v=value)]
    return talk(*turns, key=(value,))


def first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _corrected(rng: random.Random) -> Dialogue:
    first, second = rng.sample(_NAMES, 2)
    return talk(
        say(rng, _TELL_NAME, v=first.lower()),
        rng.choice(_NICE).format(v=first),
        say(
            rng,
            "(no my name is {v}|sorry my name is {v}|no i said {v}|actually call me {v}|no it's {v})",
            v=second.lower(),
        ),
        f"Sorry, {second}. I'll remember that.",
        say(rng, _ASK_NAME),
        f"Your name is {second}.",
        key=(second,),
    )


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    streams = [module.dialogues(rng) for module in (arithmetic, geography, greetings, nature)]
    while True:
        roll = rng.random()
        if roll < 0.08:
            ask, answer = rng.choice(_UNTOLD)
            before = _filler(rng, streams) if rng.random() < 0.3 else []
            yield talk(*before, say(rng, ask), answer, key=("haven't told",))
        elif roll < 0.15:
            yield _corrected(rng)
        elif roll < 0.2:
            name = rng.choice(_NAMES)
            system = rng.choice(
                (
                    "The user's name is {v}. Answer briefly.",
                    "You are Parley, a voice assistant. You are talking to {v}.",
                    "You are a voice assistant. The user is called {v}.",
                )
            )
            yield talk(say(rng, _ASK_NAME), f"Your name is {name}.", system=system.format(v=name), key=(name,))
        else:
            yield _tell_and_ask(rng, streams)
