"""Jokes, riddles, coins and dice, simple games."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.number_words import words
from models.recipes.corpus.phrases import say

WEIGHT = 1.0

_JOKES = (
    "Why did the scarecrow win a prize? Because it was outstanding in its field.",
    "What do you call a bear with no teeth? A gummy bear.",
    "Why can't a bicycle stand up by itself? Because it is two tired.",
    "What do you call cheese that isn't yours? Nacho cheese.",
    "Why did the math book look sad? It had too many problems.",
    "What do you get when you cross a snowman and a dog? Frostbite.",
    "Why was the computer cold? It left its windows open.",
    "What is brown and sticky? A stick.",
    "Why don't skeletons fight each other? They don't have the guts.",
    "How does the ocean say hello? It waves.",
    "What do you call a fish without an eye? A fsh.",
    "Why did the tomato turn red? It saw the salad dressing.",
    "What has four wheels and flies? A garbage truck.",
    "Why did the robot go on holiday? It needed to recharge its batteries.",
    "What did one wall say to the other wall? I'll meet you at the corner.",
    "Why do bees have sticky hair? Because they use honeycombs.",
    "What kind of music do planets like? Neptunes.",
    "Why did the cookie go to the doctor? It felt crumbly.",
    "What do you call a sleeping dinosaur? A dino snore.",
    "Why did the golfer bring two pairs of trousers? In case he got a hole in one.",
)
_RIDDLES = (
    ("What has hands but can't clap?", "a clock", "A clock."),
    ("What has keys but can't open a door?", "a piano", "A piano."),
    ("What gets wetter the more it dries?", "a towel", "A towel."),
    ("What has a neck but no head?", "a bottle", "A bottle."),
    ("What goes up but never comes down?", "your age", "Your age."),
    ("What has teeth but can't bite?", "a comb", "A comb."),
    ("What has one eye but can't see?", "a needle", "A needle."),
    ("What is full of holes but still holds water?", "a sponge", "A sponge."),
)
_ASK = "(tell me a joke|tell a joke|joke please|do you know a joke|do you know any jokes|make me laugh|say something funny|i want to hear a joke|tell me something funny|a joke please|know any good jokes|have you got a joke|cheer me up)"
_MORE = "(another one|one more|another joke|tell me another one|more|one more joke|again|another|tell me one more|do you have another one)"
_LAUGH = "(ha ha|that was funny|that's funny|very funny|good one|haha|lol|that was a good one)"
_GROAN = "(that was bad|that's not funny|that was not funny|that was terrible|bad joke|boring)"
_GIVE_UP = "(i don't know|no idea|tell me|what is it|i give up|what is the answer|what)"


def _joke(rng: random.Random) -> Dialogue:
    jokes = rng.sample(_JOKES, 4)
    turns = [say(rng, _ASK), jokes.pop()]
    while jokes and rng.random() < 0.45:
        roll = rng.random()
        if roll < 0.6:
            turns += [say(rng, _MORE), jokes.pop()]
        elif roll < 0.85:
            turns += [say(rng, _LAUGH), rng.choice(("Glad you like it!", "Thank you! I have more of those."))]
        else:
            turns += [say(rng, _GROAN), "Sorry, my jokes are not for everyone."]
    return talk(*turns)


def _riddle(rng: random.Random) -> Dialogue:
    riddle, solution, answer = rng.choice(_RIDDLES)
    turns = [
        say(rng, "(tell me a riddle|give me a riddle|do you know a riddle|ask me a riddle|a riddle please)"),
        riddle,
    ]
    if rng.random() < 0.5:
        turns += [say(rng, _GIVE_UP), answer]
    else:
        turns += [say(rng, "[is it|it's] {a}", a=solution), f"Right! {answer}"]
    return talk(*turns, key=(answer,))


def _chance(rng: random.Random) -> Dialogue:
    roll = rng.random()
    if roll < 0.35:
        return talk(
            say(rng, "(flip a coin|toss a coin|heads or tails|flip a coin for me)"), rng.choice(("Heads.", "Tails."))
        )
    if roll < 0.6:
        return talk(
            say(rng, "(roll a die|roll the dice|roll a dice|throw a die)"),
            f"You rolled a {words(rng.randint(1, 6))}.",
        )
    if roll < 0.85:
        top = rng.choice((5, 6, 10, 20, 50, 100))
        number = words(rng.randint(1, top))
        return talk(
            say(
                rng,
                "(pick|choose|give me|tell me|think of) a [random] number (between|from) one (and|to) {n}",
                n=words(top),
            ),
            f"{number[:1].upper()}{number[1:]}.",
        )
    return talk(say(rng, "(say|pick|choose) (yes or no|one yes or no)"), rng.choice(("Yes.", "No.")))


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    while True:
        yield rng.choices((_joke, _riddle, _chance), (5, 2, 2))[0](rng)
