"""Shopping and to-do lists, reminders, notes, the calendar.

Lists live only as long as the dialogue here: what was added can be read back in the same dialogue.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.domains.timers import DAYS, duration, moment
from models.recipes.corpus.number_words import ordinal, words
from models.recipes.corpus.phrases import asked, polite, say

WEIGHT = 2.0

ITEMS = tuple(
    """
milk|bread|eggs|butter|cheese|apples|bananas|oranges|tomatoes|potatoes|onions|garlic|carrots|chicken|beef|fish|rice|pasta
flour|sugar|salt|pepper|olive oil|coffee|tea|orange juice|water|beer|wine|yogurt|cream|honey|jam|peanut butter|chocolate
cookies|cereal|oatmeal|lettuce|cucumbers|mushrooms|spinach|broccoli|avocados|lemons|limes|grapes|strawberries|blueberries
toilet paper|paper towels|dish soap|laundry detergent|shampoo|toothpaste|soap|batteries|light bulbs|trash bags|cat food
dog food|diapers|sour cream|bacon|ham|sausages|tuna|salmon|beans|corn|peas|ketchup|mustard|mayonnaise|vinegar|nuts|almonds
ice cream|frozen pizza|tofu|noodles|soup|crackers|chips|popcorn|candles|napkins|sponges|aspirin|flowers|oat milk|cinnamon
a loaf of bread|a dozen eggs|a bottle of wine|two liters of milk|six apples|a pound of beef|a bag of rice|three lemons
""".strip()
    .replace("\n", "|")
    .split("|")
)
TASKS = tuple(
    """
call mom|call dad|call the doctor|call the dentist|take out the trash|take out the garbage|water the plants|feed the cat
feed the dog|walk the dog|do the laundry|do the dishes|clean the kitchen|buy milk|buy bread|go shopping|pay the rent
pay the bills|pick up the kids|pick up the package|go to the gym|take my medicine|take my pills|take a break|drink water
charge the car|send the email|finish the report|book a flight|buy a birthday present|wash the car|mow the lawn
clean the windows|check the oven|turn off the oven|prepare dinner|study math|do my homework|renew my passport|call the bank
change the sheets|change the filter|go to bed|meet anna|call peter|clean the house|fix the bike|return the books
order pizza|make an appointment|get a haircut|empty the dishwasher|check the mail|write a letter|practice piano
lock the door|bring an umbrella|defrost the chicken|go for a run|stretch my legs|call my sister|call my brother
""".strip()
    .replace("\n", "|")
    .split("|")
)
EVENTS = (
    "meeting|appointment|dentist appointment|doctor's appointment|lunch|dinner|birthday party|party|meeting with anna|"
    "lunch with ben|call with peter|interview|haircut|yoga class|football practice|piano lesson|concert|team meeting|"
    "dinner with mom|vacation|workout|date|conference|parent teacher meeting|flight|coffee with sarah|class"
).split("|")
LISTS = (
    "shopping list",
    "grocery list",
    "list",
    "to do list",
    "shopping list",
    "shopping list",
    "packing list",
    "wish list",
)
MONTHS = ("january|february|march|april|may|june|july|august|september|october|november|december").split("|")


def names(text: str) -> str:
    """Weekdays, months and people's names with their capitals."""
    proper = {*DAYS, *MONTHS, "anna", "peter", "ben", "sarah", "mom", "dad"}
    return " ".join(word.capitalize() if word in proper else word for word in text.split())


def _mine(text: str) -> str:
    """My things are yours in the answer."""
    return names(" ".join({"my": "your", "i": "you", "me": "you"}.get(word, word) for word in text.split()))


def shopping(rng: random.Random) -> Dialogue:
    which, items = rng.choice(LISTS), rng.sample(ITEMS, 3)
    together = items[0] if rng.random() < 0.65 else f"{items[0]} and {items[1]}"
    if rng.random() < 0.12:
        together = f"{items[0]} {items[1]} and {items[2]}"
    said = f"{items[0]}, {items[1]} and {items[2]}" if items[2] in together else together
    command = say(
        rng,
        "(add|put) {i} (to|on) (my|the) {l}|(add|put) {i} (to|on) (my|the) {l}|add {i}|(we need|i need|we are out of|i'm out of|we need to buy|i need to buy) {i}"
        "|buy {i}|put {i} on {l}|my {l} needs {i}|remember to buy {i}|add {i} to {l}",
        i=together, l=which,
    )  # fmt: skip
    turns = [polite(rng, command) if command.startswith(("add", "put")) else command, f"Okay, I added {said}."]
    known = [said]
    while rng.random() < 0.35 and len(turns) < 6:
        item = rng.choice(ITEMS)
        turns += [
            say(
                rng, "and {i} [too]|also {i}|[and] (add|put) {i} [too|as well]|and {i} please|i also need {i}", i=item
            ),
            f"Okay, I added {item}.",
        ]
        known.append(item)
    roll = rng.random()
    if roll < 0.25:
        user = say(
            rng,
            "(what is|what's) on (my|the) {l}|(read|show|tell) me (my|the) {l}|read [me] (my|the) {l}|what do i need [to buy]|what did i add",
            l=which,
        )
        turns += [user, f"On your list: {', '.join(known)}."]
    elif roll < 0.33:
        turns += [
            say(
                rng,
                "(remove|delete|take off) {i}|(remove|delete|take) {i} (from|off) (my|the) {l}|no (remove|delete) {i}",
                i=known[-1].replace(",", ""),
                l=which,
            ),
            f"Okay, I removed {known[-1]}.",
        ]
    return talk(*turns)


def list_control(rng: random.Random) -> Dialogue:
    which, item = rng.choice(LISTS), rng.choice(ITEMS)
    rows = (
        ("(what is|what's) on (my|the) {l}|(read|show|open|check) [me] (my|the) {l}|what do i need (to buy|from the store)|how many (things|items) are on (my|the) {l}", "Your list is empty so far."),
        ("is {i} on (my|the) {l}|do i have {i} on (my|the) {l}", "No, your list is empty so far."),
        ("(clear|empty|delete|erase) (my|the) {l}|remove everything from (my|the) {l}", "Okay, the list is empty."),
        ("(remove|delete|take|cross|check) {i} (from|off|off of) (my|the) {l}|(mark|check off|complete) {i} [on (my|the) {l}]|mark {i} as (done|complete)", "Okay, I removed {i}."),
        ("(create|make|start) a [new] (list|shopping list|to do list) [called|named|for] (party|weekend|vacation|groceries|work|camping|christmas)", "Okay, I started a new list."),
    )  # fmt: skip
    pattern, answer = rng.choice(rows)
    text = say(rng, pattern, l=which, i=item)
    return talk(asked(rng, text) if "empty so far" in answer else text, say(rng, answer, i=item))


def _when(rng: random.Random) -> str:
    time = moment(rng)[0]
    return say(
        rng,
        "at {t}|at {t}|in {d}|in {d}|tomorrow|tomorrow at {t}|on {w}|tonight|tomorrow morning|this evening|this afternoon|next {w}|every day|every {w}|in the morning"
        "|when i get home|next week|on {w} at {t}|on the {o}|on {m} {o}|every morning|at noon|later|before dinner",
        t=time, d=duration(rng), w=rng.choice(DAYS), o=ordinal(rng.randint(1, 31)), m=rng.choice(MONTHS),
    )  # fmt: skip


def reminder(rng: random.Random) -> Dialogue:
    task, when = rng.choice(TASKS), _when(rng)
    command = say(
        rng,
        "remind me to {t} {w}|remind me to {t}|{w} remind me to {t}|remind me {w} to {t}|set a reminder to {t} {w}|(set|create|add) a reminder (to|for) {t}|i (need|have) to {t} {w}"
        "|don't let me forget to {t} [{w}]|add {t} to my (to do list|to do's|tasks|task list)|remember [that i have] to {t}|make a note to {t}",
        t=task, w=when,
    ).replace("to do's", "to dos")  # fmt: skip
    turns = [
        polite(rng, command) if command.startswith(("remind", "set", "add", "create")) else command,
        f"Okay, I'll remind you to {_mine(task)}.",
    ]
    if rng.random() < 0.25:
        user, answer = rng.choice(
            (
                ("what did (i ask you to remind me of|you write down|i say)|what do i have to do|what was that again|what are my reminders", f"To {_mine(task)}."),
                ("(cancel|delete|forget) (it|that|that reminder)|never mind", "Okay, I forgot it."),
                ("no {w}|make it {w}|{w}", "Okay, changed."),
            )
        )  # fmt: skip
        turns += [say(rng, user, w=_when(rng)), answer]
    return talk(*turns)


def calendar(rng: random.Random) -> Dialogue:
    event, when, day = (
        rng.choice(EVENTS),
        _when(rng),
        rng.choice((*DAYS, "today", "tomorrow", "this week", "next week", "this weekend", "tonight")),
    )
    on = f"on {day}" if day in DAYS else day
    rows = (
        ("(what is|what's) on my (calendar|schedule|agenda) [{o}]|(do i have|are there) any (appointments|meetings|plans|events) {o}|what do i have [planned] {o}|when is my (next (meeting|appointment)|{e})|am i (free|busy) {o}|what's my day like|what are my (plans|appointments) [for {d}]|how (does|is) my (day|schedule) look [{o}]|what time is my {e}", "I have no access to a calendar."),
        ("(schedule|add|create|book|plan|set up|put) a {e} [for|on] {w}|(add|put) a {e} (to|on|in) my calendar [{w}]|new (event|appointment) {w}|make an appointment {w}", "I have no calendar, but I can remind you."),
        ("(cancel|delete|remove) my {e}|(cancel|delete|clear) (all my|my) (meetings|appointments) {o}|move my {e} to {w}|reschedule my {e} (to|for) {w}", "I have no calendar yet."),
        ("(take|make) a note|(make|write|take) a note (that|saying) (the code is {n}|i parked on level {n}|we need {n} chairs)|note that the meeting is {o}|write (this|that|something) down|(read|show) [me] my notes", "I keep no notes between our talks."),
        ("(what are|read me|show me|tell me) (my|the) (reminders|tasks|to dos)|do i have [any] reminders|(delete|cancel|clear) (all|all my|my) reminders|what do i have to do {o}|what is on my to do list {o}", "You have no reminders so far."),
        ("(send|write) (a message|a text|an email) to (anna|mom|dad|ben|my wife|my husband|my boss) [saying i'm late]|(text|call|message|email) (mom|dad|anna|ben|my wife|my brother|peter|sarah|the office)|read my (messages|emails|mail)|do i have [any] new (messages|emails|mail)", "I have no phone and no mail to do that."),
    )  # fmt: skip
    pattern, answer = rng.choice(rows)
    text = say(rng, pattern, e=event, w=when, d=day, o=on, n=words(rng.randint(1, 99)))
    return talk(asked(rng, text) if text.startswith(("what", "do", "when", "am", "how")) else text, answer)


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    """Lists, reminders, calendar; endless."""
    while True:
        yield rng.choices((shopping, list_control, reminder, calendar), (4.0, 1.3, 3.0, 2.0))[0](rng)
