"""What the assistant cannot know (weather, news, time, scores, prices) and what it cannot do; honest ignorance."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.facts.countries import CITIES, COUNTRIES
from models.recipes.corpus.phrases import asked, heard, say

WEIGHT = 2.0

_PLACES = [heard(row[1]) for row in COUNTRIES] + [heard(row[0]) for row in CITIES]
_WHEN = "(today|tomorrow|tonight|this weekend|this week|on monday|on friday|right now|outside|this afternoon)"

# questions, answers; {place} and {made_up} are filled
_LIVE: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        (
            f"(what is|what's|how is|how's) the weather [like] [in {{place}}] [{_WHEN}]",
            f"(will it|is it going to) (rain|snow|be sunny|be cold|be warm|be windy) [in {{place}}] [{_WHEN}]",
            f"(do i need|should i take) (an umbrella|a jacket|a coat) [{_WHEN}]",
            f"how (cold|warm|hot) (is it|will it be) [in {{place}}] [{_WHEN}]",
            f"is it (raining|snowing|cold|sunny|hot) [in {{place}}] [{_WHEN}]",
            f"(what is|give me|tell me) the (weather|forecast|weather forecast) [for {{place}}] [{_WHEN}]",
            "(what's|what is) the temperature (outside|in {place}|today)",
        ),
        (
            "I can't see the weather from here, sorry.",
            "Sorry, I have no weather data.",
            "I don't know. I have no weather report.",
        ),
    ),
    (
        (
            "(what is|what's|tell me) the [latest] news [today|from {place}]",
            "what happened (today|yesterday|in {place}|in the world)",
            "(any|is there any|give me some) news [today]",
            "(read me|tell me) the (headlines|news)",
            "what is going on in {place}",
        ),
        ("I have no news, sorry.", "Sorry, I can't get the news.", "I don't know. I'm not connected to any news."),
    ),
    (
        (
            "(what time is it (now|in {place}|please|right now)|what's the time [now|please]|tell me the time|do you (have|know) the time|how late is it|what is the time [in {place}])",
            "(what day is (it|today)|what is the date [today]|what's today's date|what is today's date|which (day|year|month) is it|what year is it|is it (monday|friday|sunday) today)",
        ),
        (
            "I have no clock or calendar here, sorry.",
            "Sorry, I can't see a clock from here.",
            "I don't know. I have no clock.",
        ),
    ),
    (
        (
            "who won the (game|match|world cup|super bowl|race|election|championship) [last night|yesterday|today|this year]",
            "(what is|what's|what was) the score [of the game|of the match]",
            "did (our team|the team|bayern|the lakers|liverpool|real madrid) win [last night|yesterday|today]",
            "when is the next (game|match|race)",
        ),
        (
            "I don't follow sports results, sorry.",
            "Sorry, I have no sports results.",
            "I don't know. I can't see results.",
        ),
    ),
    (
        (
            "(what is|what's) the price of (gold|oil|bitcoin|gas|milk|bread)",
            "how much (is|does) (bitcoin|gold|a new car|a flight to {place}|a ticket to {place}|a phone) [cost]",
            "how (is|are) the stock market [today]",
            "how are (stocks|my shares) doing [today]",
            "(what is|what's) the exchange rate [today]",
        ),
        ("I have no prices, sorry.", "Sorry, I can't look up prices."),
    ),
    (
        (
            "how is the traffic [today|to {place}|right now]",
            "how long does it take to (drive|fly|get) to {place}",
            "when (does|is) the next (bus|train|flight) [to {place}]",
            "(how do i get|give me directions|show me the way|what is the way) to (the station|the airport|{place}|the museum)",
            "is my (flight|train|bus) (late|on time)",
        ),
        ("I can't see traffic or timetables, sorry.", "Sorry, I have no maps or timetables."),
    ),
    (
        (
            "(find|recommend|suggest) [me] a [good] (restaurant|hotel|bar|cafe) [in {place}|near me|nearby]",
            "where is the (nearest|next) (pharmacy|gas station|supermarket|hospital|bank|toilet|bakery)",
            "is the (supermarket|pharmacy|bank|library|museum) (open|still open|open today)",
            "where can i (eat|buy a book|get coffee|buy shoes) [in {place}|near here]",
        ),
        ("I don't know the places around you, sorry.", "Sorry, I can't look up places."),
    ),
    (
        (
            "(call|phone|ring|text) (my mother|mom|dad|anna|ben|my wife|the doctor|the office|my boss)",
            "send (a message|an email|a text|a mail) to (my mother|mom|dad|anna|ben|my wife|my boss)",
            "(read|check) my (email|emails|messages|mail)",
            "do i have (any|new) (emails|messages|mail)",
            "order (a pizza|a taxi|some food|a cab|a book|groceries)",
            "book (a flight to {place}|a table|a hotel|a ticket|a room in {place})",
            "(buy|pay for) (a ticket|new shoes|this|milk|a present)",
            "what (is|do i have) (on|in) my calendar [today|tomorrow]",
            "(look up|search for|google) (a recipe|cheap flights|{place}|new phones)",
            "(open|start|launch) (the browser|my email|the camera|a website|the app)",
            "(take|make) a (photo|picture|screenshot|video)",
            "translate (hello|good morning|this|thank you|water) (to|into) (german|french|spanish|italian)",
            "write (a poem|an essay|a letter|some code|a program|a speech)",
        ),
        ("I can't do that, sorry.", "Sorry, that is something I can't do."),
    ),
    (
        (
            "should i (take|stop taking) (aspirin|my medicine|pills|antibiotics|vitamins)",
            "(i have|i've got) (a headache|a fever|a cough|chest pain|a rash|a sore throat|back pain) [what should i do]",
            "what (should i do|can i take) (against|for) (a headache|a fever|a cough|chest pain|a cold)",
            "am i sick",
        ),
        ("I'm not a doctor. Please ask one.", "Please ask a doctor about that. I can't judge it."),
    ),
    (
        (
            "should i (buy|sell) (stocks|a house|gold|bitcoin|shares)",
            "who should i vote for",
            "should i (quit my job|get married|move to {place}|buy a dog)",
            "(what are|tell me) the lottery numbers",
            "will i (be rich|be happy|win|get the job)",
            "what will happen (tomorrow|next year|in the future)",
        ),
        ("I can't decide that for you.", "I can't tell, sorry. That's up to you."),
    ),
)
_UNKNOWN = (
    "what is (a|the) {m}",
    "what is {m}",
    "what's {m}",
    "who is {m}",
    "who was {m} {n}",
    "who is {m} {n}",
    "tell me about {m}",
    "what do you know about {m}",
    "where is {m}",
    "what is the capital of {m}",
    "who invented the {m}",
    "who wrote {m} {n}",
    "what does {m} mean",
    "how does a {m} work",
    "when was the {m} (built|invented|founded)",
    "what is the {m} of {n}",
    "how many {m} are in a {n}",
    "how old is {m} {n}",
    "when did {m} (die|start|end)",
    "explain {m} [to me]",
    "what language do they speak in {m}",
    "why (is|are) {m} so {n}",
    "who plays {m} in {n}",
    "how tall is {m}",
    "what did {m} {n} do",
)
_UNKNOWN_ANSWERS = ("I don't know, sorry.", "Sorry, I don't know that.", "I don't know that one.")
_DEEP = (
    "(explain|what is|tell me about) (quantum (physics|mechanics|computing)|string theory|the blockchain|inflation|machine learning|philosophy|existentialism|calculus|thermodynamics|the stock market|genetics|the french revolution|the roman empire|the cold war|relativity)",
    "what caused the (french revolution|first world war|cold war|financial crisis)",
    "(what do you think about|what is your opinion on) (politics|religion|the war|the president|climate change|money|art|school)",
    "what is the (population|area|history|national anthem|flag|president|king|prime minister) of {place}",
    "how many people live in {place}",
    "who is the (president|king|mayor|prime minister|queen) of {place}",
    "who (sang|played|directed|produced) (that song|this movie|that movie|the song on the radio)",
    "how do i (fix|repair|install) (my car|my printer|the sink|a washing machine|windows|my phone)",
    "what is the meaning of (life|love|happiness)",
    "give me a recipe for (lasagna|apple pie|pancakes|soup|bread|curry)",
    "how do you (cook|make|bake) (lasagna|an apple pie|pancakes|bread|a curry|risotto)",
)
_SYLLABLES = (
    "ba be bi bo bu da de di do du fa fi ga go ka ki ko la le li lo lu ma me mi mo mu na ne ni no pa pe po ra re ri ro ru "
    "sa se si so ta te ti to tu va ve vi vo za zo bran dor fen gar hol kel lan mar nor pel quin ros sen tol ver wel xan zim "
    "ton berg field ville land ster ling ham ford wick son stein dale mont port"
).split()


def made_up(rng: random.Random) -> str:
    """A word that is not one, standing for everything the model never heard of."""
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.choice((2, 2, 3, 3, 4))))


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    while True:
        roll = rng.random()
        place = rng.choice(_PLACES)
        if roll < 0.62:
            questions, answers = rng.choices(_LIVE, (4, 2, 3, 1.5, 1.2, 1.2, 1.2, 2, 1, 1))[0]
            question = asked(rng, say(rng, questions, place=place))
            # All refusals say sorry, can't, don't or have no: that is what the evaluation looks for.
            yield talk(question, rng.choice(answers), key=("no |n't|not |sorry",))
        elif roll < 0.82:
            question = say(rng, _UNKNOWN, m=made_up(rng), n=made_up(rng))
            yield talk(asked(rng, question), rng.choice(_UNKNOWN_ANSWERS), key=("don't know",))
        else:
            question = say(rng, _DEEP, place=place)
            yield talk(
                asked(rng, question),
                rng.choice(
                    (
                        "That is more than I know, sorry.",
                        "I don't know enough about that, sorry.",
                        "Sorry, I don't know that.",
                    )
                ),
                key=("know",),
            )
