"""Opposites, spelling, plurals, rhymes, synonyms, meanings, letters, colours of things."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.number_words import ordinal, words
from models.recipes.corpus.phrases import asked, say
from models.recipes.corpus.relations import Relation, endless, table

WEIGHT = 1.8

OPPOSITES = (
    "hot cold|big small|tall short|long short|fast slow|happy sad|day night|light dark|up down|left right|old young|"
    "good bad|open closed|hard soft|wet dry|early late|near far|rich poor|strong weak|full empty|clean dirty|loud quiet|"
    "high low|heavy light|black white|first last|in out|yes no|true false|warm cool|thick thin|wide narrow|easy difficult|"
    "cheap expensive|sweet sour|begin end|win lose|buy sell|push pull|love hate|friend enemy|summer winter|north south|"
    "east west|smooth rough|brave afraid|awake asleep|alive dead|sharp blunt|deep shallow|noisy quiet|polite rude|"
    "always never|more less|inside outside|above below|before after|come go|give take|laugh cry|remember forget|"
    "arrive leave|question answer|ugly beautiful|wrong right|safe dangerous|new old|boring interesting|same different"
)
_PAIRS = [tuple(pair.split()) for pair in OPPOSITES.split("|")]
PLURALS = table(
    """
child | children
mouse | mice
foot | feet
tooth | teeth
goose | geese
man | men
woman | women
person | people
sheep | sheep
fish | fish
knife | knives
leaf | leaves
wolf | wolves
city | cities
baby | babies
box | boxes
bus | buses
cat | cats
dog | dogs
house | houses
tree | trees
potato | potatoes
tomato | tomatoes
ox | oxen
half | halves
party | parties
country | countries
glass | glasses
book | books
deer | deer
""",
    2,
)
SYNONYMS = table(
    """
happy | glad
sad | unhappy
big | large
small | little
fast | quick
smart | clever
begin | start
end | finish
easy | simple
difficult | hard
angry | furious
tired | sleepy
pretty | beautiful
rich | wealthy
quiet | silent
strange | odd
brave | courageous
funny | amusing
car | automobile
house | home
job | work
gift | present
road | street
sick | ill
scared | afraid
answer | reply
""",
    2,
)
RHYMES = table(
    """
cat | hat
house | mouse
tree | bee
moon | spoon
light | night
day | play
dog | frog
star | car
sun | fun
king | ring
rain | train
cake | lake
book | cook
ball | wall
bed | red
ship | trip
boat | coat
snow | slow
time | lime
blue | shoe
door | floor
hand | sand
fish | dish
bear | chair
""",
    2,
)
MEANINGS = table(
    """
gigantic | very, very big
tiny | very small
ancient | very old
rapid | very fast
fragile | easy to break
transparent | that you can see through it
annual | once every year
nocturnal | active at night
edible | safe to eat
invisible | that it can't be seen
brief | short
enormous | very big
cautious | careful
generous | happy to give
curious | eager to know things
stubborn | that someone won't change their mind
urgent | that it can't wait
silent | without any sound
frequent | happening often
rare | not happening often
optimist | someone who expects good things
author | someone who writes books
orchard | a garden of fruit trees
blizzard | a heavy snow storm
drizzle | light rain
twin | one of two children born together
nephew | the son of a brother or sister
niece | the daughter of a brother or sister
aunt | the sister of a parent
uncle | the brother of a parent
decade | ten years
century | one hundred years
dozen | twelve
couple | two
fortnight | two weeks
score | twenty
""",
    2,
)
COLOURS = table(
    """
the sky | The sky is blue on a clear day.
grass | Grass is green.
snow | Snow is white.
a banana | A ripe banana is yellow.
a lemon | A lemon is yellow.
a tomato | A ripe tomato is red.
a strawberry | A strawberry is red.
coal | Coal is black.
a carrot | A carrot is orange.
the sun | The sun looks yellow, but its light is white.
blood | Blood is red.
an orange | An orange is orange.
a frog | Most frogs are green.
an elephant | An elephant is gray.
a crow | A crow is black.
a polar bear | A polar bear looks white.
a flamingo | A flamingo is pink.
chocolate | Chocolate is brown.
milk | Milk is white.
a cucumber | A cucumber is green.
""",
    2,
)
SPELL = (
    "cat dog house tree water apple banana orange table chair window door kitchen garden school friend mother father "
    "sister brother music bread cheese butter milk sugar coffee yellow purple green black white hello goodbye thank "
    "please because beautiful people february wednesday tuesday elephant giraffe monkey rabbit tiger lion zebra "
    "bicycle car train airplane mountain river ocean island summer winter spring autumn computer phone paper pencil "
    "knife fork spoon plate bottle glass candle light lamp robot rocket planet moon star sun cloud rain snow wind "
    "night morning evening happy funny strange question answer number letter word world earth fire"
).split()
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"

RELATIONS = (
    Relation(
        [*_PAIRS, *[(b, a) for a, b in _PAIRS if sum(b in pair for pair in _PAIRS) == 1]],
        ask=(
            "(what is|what's) the opposite of {a}",
            "(tell me|name|give me) the opposite of {a}",
            "opposite of {a}",
            "what is the contrary of {a}",
        ),
        answer=("The opposite of {a} is {b}.", "It is {b}."),
        follow=("and of {a}", "what about {a}", "and {a}", "and the opposite of {a}"),
        weight=2,
    ),
    Relation(
        PLURALS,
        ask=("(what is|what's) the plural of {a}", "plural of {a}", "how do you say more than one {a}"),
        answer=("The plural of {a} is {b}.",),
        follow=("and of {a}", "what about {a}", "and {a}"),
    ),
    Relation(
        SYNONYMS,
        ask=(
            "(what is|what's) another word for {a}",
            "(give me|tell me) another word for {a}",
            "what is a synonym (of|for) {a}",
            "is there another word for {a}",
        ),
        answer=("Another word for {a} is {b}.",),
        follow=("and for {a}", "what about {a}"),
    ),
    Relation(
        RHYMES,
        ask=(
            "what rhymes with {a}",
            "(give me|tell me) a word that rhymes with {a}",
            "find a rhyme for {a}",
            "which word rhymes with {a}",
        ),
        answer=("{b} rhymes with {a}.",),
        follow=("and with {a}", "what about {a}"),
    ),
    Relation(
        MEANINGS,
        ask=(
            "what does {a} mean",
            "what does the word {a} mean",
            "what is the meaning of {a}",
            "what's the meaning of [the word] {a}",
        ),
        answer=("It means {b}.", "{a} means {b}."),
        follow=("and {a}", "what about {a}"),
        weight=1.2,
    ),
)


def _spell(rng: random.Random) -> Dialogue:
    def line(word: str) -> str:
        return f"{word[:1].upper()}{word[1:]} is spelled {', '.join(word.upper())}."

    word = rng.choice(SPELL)
    turns = [
        say(
            rng,
            (
                "how do you spell {a}",
                "spell {a}",
                "spell the word {a}",
                "can you spell {a}",
                "how is {a} spelled",
                "how to spell {a}",
            ),
            a=word,
        ),
        line(word),
    ]
    if rng.random() < 0.25:
        word = rng.choice(SPELL)
        turns += [say(rng, "(and|and spell|what about|how about) {a}", a=word), line(word)]
    return talk(*turns, key=(", ".join(word.upper()),))


def _letters(rng: random.Random) -> Dialogue:
    index = rng.randrange(1, 25)
    letter, after, before = (_ALPHABET[at].upper() for at in (index, index + 1, index - 1))
    roll = rng.random()
    if roll < 0.3:
        return talk(
            say(rng, "(which|what) letter comes after {a}", a=letter.lower()),
            f"After {letter} comes {after}.",
            key=(f"comes {after}",),
        )
    if roll < 0.6:
        return talk(
            say(rng, "(which|what) letter comes before {a}", a=letter.lower()),
            f"Before {letter} comes {before}.",
            key=(f"comes {before}",),
        )
    if roll < 0.85:
        place = ordinal(index + 1)
        return talk(
            say(rng, "(what is|what's|which is) the {n} letter of the alphabet", n=place),
            f"The {place} letter is {letter}.",
            key=(f"is {letter}",),
        )
    word = rng.choice(SPELL)
    return talk(
        say(rng, "how many letters (are in|does) the word {a}", a=word).replace(
            "does the word " + word, "does the word " + word + " have"
        ),
        f"{word[:1].upper()}{word[1:]} has {words(len(word))} letters.",
        key=(words(len(word)),),
    )


def _colour(rng: random.Random) -> Dialogue:
    thing, answer = rng.choice(COLOURS)
    return talk(
        asked(
            rng,
            say(
                rng,
                ("what color is {a}", "which color is {a}", "what is the color of {a}", "what color does {a} have"),
                a=thing,
            ),
        ),
        answer,
        key=(answer,),
    )


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    relations = endless(rng, RELATIONS)
    while True:
        roll = rng.random()
        if roll < 0.18:
            yield _spell(rng)
        elif roll < 0.28:
            yield _letters(rng)
        elif roll < 0.36:
            yield _colour(rng)
        else:
            yield next(relations)
