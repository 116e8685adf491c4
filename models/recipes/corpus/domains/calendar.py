"""Days, months, seasons, holidays, and units with simple conversions."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.number_words import capital, ordinal, words
from models.recipes.corpus.phrases import asked, say
from models.recipes.corpus.relations import Relation, endless, table

WEIGHT = 1.6

_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MONTHS = "January February March April May June July August September October November December".split()
_LENGTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
_SEASONS = (
    "winter",
    "winter",
    "spring",
    "spring",
    "spring",
    "summer",
    "summer",
    "summer",
    "autumn",
    "autumn",
    "autumn",
    "winter",
)

UNITS = table(
    """
seconds | a minute | sixty
minutes | an hour | sixty
hours | a day | twenty four
days | a week | seven
weeks | a year | fifty two
months | a year | twelve
days | a year | three hundred sixty five
days | a leap year | three hundred sixty six
seconds | an hour | three thousand six hundred
minutes | a day | one thousand four hundred forty
centimeters | a meter | one hundred
millimeters | a centimeter | ten
millimeters | a meter | one thousand
meters | a kilometer | one thousand
grams | a kilogram | one thousand
grams | a kilo | one thousand
kilograms | a ton | one thousand
milliliters | a liter | one thousand
inches | a foot | twelve
feet | a yard | three
feet | a mile | five thousand two hundred eighty
ounces | a pound | sixteen
cups | a pint | two
pints | a quart | two
quarts | a gallon | four
teaspoons | a tablespoon | three
cents | a dollar | one hundred
cents | an euro | one hundred
pennies | a pound | one hundred
years | a decade | ten
years | a century | one hundred
years | a millennium | one thousand
eggs | a dozen | twelve
quarters | a whole | four
bits | a byte | eight
degrees | a circle | three hundred sixty
degrees | a right angle | ninety
kilometers | a mile | about one point six
centimeters | an inch | about two and a half
centimeters | a foot | about thirty
liters | a gallon | about three point eight
grams | an ounce | about twenty eight
grams | a pound | about four hundred fifty four
pounds | a kilogram | about two point two
""",
    3,
)

HOLIDAYS = table(
    """
Christmas | Christmas is on December twenty fifth.
Christmas Eve | Christmas Eve is on December twenty fourth.
New Year's Day | New Year's Day is on January first.
New Year's Eve | New Year's Eve is on December thirty first.
Halloween | Halloween is on October thirty first.
Valentine's Day | Valentine's Day is on February fourteenth.
Saint Patrick's Day | Saint Patrick's Day is on March seventeenth.
April Fools Day | April Fools Day is on April first.
Thanksgiving | Thanksgiving is on the fourth Thursday of November in the United States.
Labor Day | Labor Day is on May first in many countries, and in September in the United States.
Easter | Easter moves. It falls on a Sunday in March or April.
Independence Day | Independence Day is on July fourth in the United States.
""",
    2,
)

_AFTER_DAY = [(day, _DAYS[(at + 1) % 7]) for at, day in enumerate(_DAYS)]
_AFTER_MONTH = [(month, _MONTHS[(at + 1) % 12]) for at, month in enumerate(_MONTHS)]

RELATIONS = (
    Relation(
        [*_AFTER_DAY, *_AFTER_MONTH],
        ask=("what comes after {a}", "(what is|what's) after {a}", "which one comes after {a}", "what follows {a}"),
        answer=("After {a} comes {b}.",),
        follow=("and after {a}", "what about {a}"),
    ),
    Relation(
        [*((b, a) for a, b in _AFTER_DAY), *((b, a) for a, b in _AFTER_MONTH)],
        ask=("what comes before {a}", "(what is|what's) before {a}", "which one comes before {a}"),
        answer=("Before {a} comes {b}.",),
        follow=("and before {a}", "what about {a}"),
    ),
    Relation(
        [(month, words(length)) for month, length in zip(_MONTHS, _LENGTHS, strict=True)],
        ask=("how many days does {a} have", "how many days are in {a}", "how many days has {a}", "how long is {a}"),
        answer=("{a} has {b} days.",),
        follow=("and {a}", "what about {a}", "how about {a}"),
    ),
    Relation(
        [(ordinal(at + 1), month) for at, month in enumerate(_MONTHS)],
        ask=("(what is|what's|which is) the {a} month [of the year]", "which month is the {a}"),
        answer=("The {a} month is {b}.",),
        follow=("and the {a}", "and the {a} one"),
    ),
    Relation(
        [(month, season) for month, season in zip(_MONTHS, _SEASONS, strict=True)],
        ask=("(which|what) season is {a} [in]", "in which season is {a}", "is {a} in summer or in winter"),
        answer=("{a} is in {b} in the north.",),
        follow=("and {a}", "what about {a}"),
    ),
    Relation(
        [(f"{row[0]} are in {row[1]}", row[2]) for row in UNITS],
        ask=("how many {a}", "do you know how many {a}", "tell me how many {a}"),
        answer=("{b}.",),
        follow=(),
        weight=2.5,
    ),
)
_LISTS = (
    (
        "(what are|name|tell me) the days of the week",
        "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday.",
    ),
    (
        "(what are|name|tell me) the months of the year",
        "January, February, March, April, May, June, July, August, September, October, November and December.",
    ),
    ("(what are|name|tell me) the [four] seasons", "Spring, summer, autumn and winter."),
    ("how many seasons are there", "Four. Spring, summer, autumn and winter."),
    ("how many months are there", "Twelve."),
    ("(which|what) is the shortest month", "February is the shortest month."),
    ("(which|what) days are the weekend", "Saturday and Sunday."),
    ("how often is there a leap year|how often do we have a leap year", "About every four years."),
)


def _conversion(rng: random.Random) -> Dialogue:
    many, one, factor, top = rng.choice(
        (
            ("minutes", "hours", 60, 10),
            ("seconds", "minutes", 60, 10),
            ("hours", "days", 24, 7),
            ("days", "weeks", 7, 12),
            ("months", "years", 12, 10),
            ("centimeters", "meters", 100, 20),
            ("meters", "kilometers", 1000, 20),
            ("grams", "kilograms", 1000, 20),
            ("milliliters", "liters", 1000, 20),
            ("inches", "feet", 12, 10),
            ("feet", "yards", 3, 12),
            ("cents", "dollars", 100, 20),
        )
    )
    count = rng.randint(2, top)
    if rng.random() < 0.6:
        question = say(
            rng,
            (
                "how many {m} are [in] {n} {o}",
                "convert {n} {o} to {m}",
                "(what is|what's) {n} {o} in {m}",
                "{n} {o} in {m}",
            ),
            m=many,
            n=words(count),
            o=one,
        )
        return talk(
            asked(rng, question),
            capital(f"{words(count)} {one} are {words(count * factor)} {many}."),
            key=(f"{words(count * factor)} {many}",),
        )
    big = words(count * factor)
    question = say(
        rng,
        ("how many {o} are {n} {m}", "convert {n} {m} to {o}", "(what is|what's) {n} {m} in {o}"),
        m=many,
        n=big,
        o=one,
    )
    return talk(
        asked(rng, question), capital(f"{big} {many} are {words(count)} {one}."), key=(f"are {words(count)} {one}",)
    )


def _listing(rng: random.Random) -> Dialogue:
    question, answer = rng.choice(_LISTS)
    return talk(say(rng, f"({question})"), answer, key=(answer,))


def _day_number(rng: random.Random) -> Dialogue:
    at = rng.randrange(7)
    place = ordinal(at + 1)
    return talk(
        say(rng, "(what is|what's|which is) the {n} day of the week", n=place),
        f"The {place} day is {_DAYS[at]}, counting from Monday.",
        key=(_DAYS[at],),
    )


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    relations = endless(rng, RELATIONS)
    while True:
        roll = rng.random()
        if roll < 0.2:
            yield _conversion(rng)
        elif roll < 0.3:
            yield _listing(rng)
        elif roll < 0.34:
            yield _day_number(rng)
        elif roll < 0.42:
            name, answer = rng.choice(HOLIDAYS)
            yield talk(
                asked(
                    rng, say(rng, ("when is {a}", "what (day|date) is {a}", "on which day is {a}"), a=name.lower())
                ),
                answer,
                key=(answer,),
            )
        else:
            yield next(relations)
