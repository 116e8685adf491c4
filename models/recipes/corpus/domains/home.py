"""The house: lights, colours, covers, locks, heating, fans, scenes, questions about sensors.

The model has no hands here: answers confirm what was asked, as a home controller behind it would do it,
and questions about a state that was not set in the same dialogue are answered with "I cannot see that".

Why this file is long: it is one list of ways to say things, and most of its lines are phrases.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.domains import _home_words as w
from models.recipes.corpus.domains._home_words import are, room, spoken, the
from models.recipes.corpus.number_words import words
from models.recipes.corpus.phrases import asked, say
from models.recipes.corpus.phrases import polite as polite_request

WEIGHT = 5.0

VERBS = frozenset(
    """turn switch put power set change make dim brighten increase raise decrease lower reduce adjust open close shut
    draw pull roll stop hold lock unlock heat cool warm activate start enable run execute arm disarm deactivate send
    return dock locate find ring play pause clean vacuum mow announce broadcast tell call brew boil preheat feed water
    charge move say""".split()
)
OK = ("Okay, {x}.", "Okay, {x}.", "Done, {x}.")
HERE = ("in here", "here", "in this room")


def polite(rng: random.Random, command: str) -> str:
    """Politeness that fits: "can you" only before a verb."""
    return polite_request(rng, command) if command.split()[0] in VERBS else command


def _ok(rng: random.Random, x: str) -> str:
    return say(rng, OK, x=spoken(x))


def _light(rng: random.Random) -> str:
    """A light with its room, without an article: "kitchen lights"."""
    roll = rng.random()
    if roll < 0.15:
        return rng.choice(w.NAMED_LIGHTS)
    kind = rng.choice(w.LIGHTS[:2]) if rng.random() < 0.5 else w.likely(rng, w.LIGHTS)
    return kind if roll < 0.35 else f"{room(rng)} {kind}"


def _thing(rng: random.Random) -> str:
    """Anything with an on and an off."""
    if rng.random() < 0.55:
        return _light(rng)
    thing = w.likely(rng, w.SWITCHES)
    return f"{room(rng)} {thing}" if rng.random() < 0.35 else thing


def _place(rng: random.Random) -> str:
    """Where: "in the kitchen", "upstairs"."""
    return rng.choice(w.FLOORS) if rng.random() < 0.12 else f"in {the(room(rng))}"


def _percent(rng: random.Random) -> str:
    return words(rng.choice((5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90, 100, rng.randint(1, 99))))


def on_off(rng: random.Random) -> Dialogue:
    state = rng.choice(("on", "off"))
    if rng.random() < 0.3:
        kind, where = w.likely(rng, ("lights", "light", "tv", "fan", "heating", "lamps", "speakers")), _place(rng)
        command = say(
            rng,
            "(turn|switch|put) {s} the {k} {p}|(turn|switch) the {k} {s} {p}|(turn|switch) the {k} {p} {s}"
            "|(turn|switch) {s} all [of] the {k} {p}|{k} {s} {p}",
            s=state, k=kind, p=where,
        )  # fmt: skip
        name = f"the {kind} {where}"
        answer = f"{name} {are(kind)} {state}"
    else:
        thing = _thing(rng)
        command = say(
            rng,
            "(turn|turn|switch|power) {s} {t}|(turn|turn|switch|put) {t} {s}|{b} {s}|turn {s} {b}|{s} {b}",
            s=state, t=the(thing), b=thing,
        )  # fmt: skip
        name = the(thing)
        answer = f"{name} {are(thing)} {state}"
        kind = thing
    turns = [polite(rng, command), _ok(rng, answer)]
    if rng.random() < 0.3:
        turns += _on_off_more(rng, kind, name, state)
    return talk(*turns)


def _on_off_more(rng: random.Random, kind: str, name: str, state: str) -> list[str]:
    them = "them" if are(kind) == "are" else "it"
    other = "off" if state == "on" else "on"
    roll = rng.random()
    if roll < 0.35:
        next_room = the(room(rng))
        user = say(
            rng,
            "[and] in {r} too|and {r}|[and] {r} as well|and the (one|ones) in {r}|do the same in {r}|also in {r}|"
            "what about {r}|and in {r}",
            r=next_room,
        )
        last = kind.split()[-1]
        return [user, _ok(rng, f"the {last} in {next_room} {are(kind)} {state} too")]
    if roll < 0.6:
        user = say(rng, "[now] turn {t} {o} [again]|and [now] turn {t} {o}|switch {t} {o}|{o} again", t=them, o=other)
        return [user, _ok(rng, f"{name} {are(kind)} {other}")]
    if roll < 0.8:
        asks = rng.choice((state, state, other))
        be = are(kind)
        user = say(rng, "{b} {n} {s}|{b} {i} {s} [now]", b=be, n=name, s=asks, i="they" if be == "are" else "it")
        verdict = "Yes" if asks == state else "No"
        return [user, f"{verdict}, {spoken(name)} {are(kind)} {state}."]
    user = say(
        rng, "(undo|cancel) that|no turn {t} back {o}|never mind turn {t} back {o}|change that back", t=them, o=other
    )
    return [user, _ok(rng, f"{name} {are(kind)} {other} again")]


def everything(rng: random.Random) -> Dialogue:
    state = rng.choice(("on", "off", "off"))
    thing = rng.choice(("lights", "the lights", "of the lights", "the lamps", "the fans", "the speakers", "devices"))
    command = say(
        rng,
        "(turn|switch) {s} all {t}|(turn|switch) all {t} {s}|(turn|switch) {s} every light [in the house]"
        "|all {t} {s}|(turn|switch) everything {s}|turn {s} everything [in the house|{p}]|lights {s}",
        s=state, t=thing, p=_place(rng),
    )  # fmt: skip
    return talk(
        polite(rng, command), "Okay, everything is " + state + "." if "every" in command else f"Okay, all {state}."
    )


def brightness(rng: random.Random) -> Dialogue:
    light, number = _light(rng), _percent(rng)
    roll = rng.random()
    if roll < 0.55:
        command = say(
            rng,
            "(set|change|put|turn) {l} [brightness] to {n} percent [brightness]|dim {l} to {n} percent"
            "|set the brightness of {l} to {n} percent|{b} (at|to) {n} percent|set [the] brightness {p} to {n} percent"
            "|(set|dim|adjust) {l} to {n}|make {l} {n} percent bright",
            l=the(light), b=light, n=number, p=_place(rng),
        )  # fmt: skip
        if " in " in command and light not in command:
            return talk(polite(rng, command), _ok(rng, f"brightness is at {number} percent"))
        turns = [polite(rng, command), _ok(rng, f"{the(light)} {are(light)} at {number} percent")]
        if rng.random() < 0.3:
            second = _percent(rng)
            user = say(
                rng,
                "[and] now [to] {n} percent|no {n} percent|make (that|it) {n} percent|{n} percent is better",
                n=second,
            )
            turns += [user, _ok(rng, f"{the(light)} {are(light)} at {second} percent")]
        return talk(*turns)
    up = rng.random() < 0.5
    more = (
        "(make|turn) {l} [a (bit|little)] brighter|brighten {l} [a bit]|(increase|raise) the brightness [of {l}|{p}]"
        "|turn up {l}|turn {l} up|more light [please|{p}]|it's too dark {h}|i need more light {h}|{l} to maximum [brightness]"
    )
    less = (
        "(make|turn) {l} [a (bit|little)] darker|dim {l} [a bit|a little]|(decrease|lower|reduce) the brightness [of {l}|{p}]"
        "|turn down {l}|turn {l} down|less light [please|{p}]|it's too bright {h}|make it less bright {h}|{l} to minimum [brightness]"
    )
    command = say(rng, more if up else less, l=the(light), p=_place(rng), h=rng.choice(HERE))
    word = "brighter" if up else "dimmer"
    subject = the(light) if the(light) in command else "the light"
    return talk(command, _ok(rng, f"{subject} {are(subject)} {word} now"))


def colour(rng: random.Random) -> Dialogue:
    light, shade = _light(rng), w.likely(rng, w.COLOURS)
    command = say(
        rng,
        "(set|change|turn|make) {l} [to] {c}|(set|change) the (color|colour) of {l} to {c}|change {l} (color|colour) to {c}"
        "|make {l} {c}|{b} {c}|(set|turn) {l} to {c}|i want {l} [in] {c}|set {l} to {c} at {n} percent",
        l=the(light), b=light, c=shade, n=_percent(rng),
    ).replace("colour", "color")  # fmt: skip
    turns = [polite(rng, command), _ok(rng, f"{the(light)} {are(light)} {shade}")]
    if rng.random() < 0.3:
        second = rng.choice([c for c in w.COLOURS if c != shade])
        user = say(
            rng,
            "[and] now {c}|make (it|them) {c}|no {c}|actually {c}|what about {c}|(change|turn) it to {c}",
            c=second,
        )
        turns += [user, _ok(rng, f"{the(light)} {are(light)} {second}")]
    return talk(*turns)


def cover(rng: random.Random) -> Dialogue:
    kind = w.likely(rng, w.COVERS) if rng.random() < 0.65 else rng.choice(w.DOORS)
    name = f"{room(rng)} {kind}" if kind in w.COVERS and rng.random() < 0.6 else kind
    roll = rng.random()
    if roll < 0.65:
        verb, state = rng.choice(
            (("open", "open"), ("close", "closed"), ("open", "open"), ("close", "closed"), ("shut", "closed"), ("raise", "up"), ("lower", "down"), ("draw", "closed"), ("pull up", "up"), ("pull down", "down"), ("roll up", "up"), ("roll down", "down"))
        )  # fmt: skip
        if kind in w.DOORS and state in ("up", "down"):
            verb, state = rng.choice((("open", "open"), ("close", "closed")))
        where = f"in {the(room(rng))}"
        command = say(
            rng,
            "{v} {t}|{v} {t}|{v} {t}|{v} the {k} {p}" + ("|{v} all [of] the {k} {p}" if are(kind) == "are" else ""),
            v=verb,
            t=the(name),
            k=kind,
            p=where,
        )
        subject = the(name) if the(name) in command else f"the {kind} {where}"
        turns = [polite(rng, command), _ok(rng, f"{subject} {are(kind)} {state}")]
        if rng.random() < 0.25:
            other = the(room(rng))
            turns += [
                say(rng, "and in {r} [too]|[and] the {k} in {r} too|also in {r}", r=other, k=kind),
                _ok(rng, f"the {kind} in {other} {are(kind)} {state} too"),
            ]
        return talk(*turns)
    if roll < 0.9:
        level = rng.choice((_percent(rng) + " percent", "half", "halfway", "a quarter", "half way"))
        pattern = (
            "(set|move|open|close|put) {t} to {n}|{t} to {n}"
            if "percent" in level
            else "(open|close) {t} {n}|{t} {n} (open|closed)"
        )
        command = say(rng, pattern, t=the(name), n=level)
        to = (
            f"at {level}"
            if "percent" in level
            else f"{level} {'closed' if {'close', 'closed'} & set(command.split()) else 'open'}"
        )
        return talk(polite(rng, command), _ok(rng, f"{the(name)} {are(kind)} {to}"))
    return talk(
        say(rng, "stop {t}|stop opening {t}|stop closing {t}|hold {t}", t=the(name)),
        f"Okay, I stopped {spoken(the(name))}.",
    )


def lock(rng: random.Random) -> Dialogue:
    thing = the(rng.choice(w.LOCKS))
    roll = rng.random()
    if roll < 0.65:
        verb = rng.choice(("lock", "unlock"))
        command = say(rng, "{v} {t}|{v} {t}|{v} all [the|of the] doors|{v} {t} [now]", v=verb, t=thing)
        if "all" in command:
            return talk(polite(rng, command), f"Okay, all doors are {verb}ed.")
        return talk(polite(rng, command), _ok(rng, f"{thing} {are(thing)} {verb}ed"))
    question = say(
        rng,
        "is {t} (locked|unlocked|open|closed)|are (all|all the|the) doors (locked|closed)|did i lock {t}|are any doors (open|unlocked)"
        "|which doors are (open|unlocked)|did i leave {t} open|how many doors are open",
        t=thing,
    )
    question = question.replace("is the doors", "are the doors")
    return talk(asked(rng, question), "I can't see that from here. Connect a door sensor and I can tell you.")


def climate(rng: random.Random) -> Dialogue:
    degrees = words(rng.choice((rng.randint(15, 28), rng.randint(60, 80), rng.randint(5, 35))))
    unit = rng.choice(("", " degrees", " degrees", " degrees", " degrees celsius", " degrees fahrenheit"))
    device = rng.choice(
        ("thermostat", "heating", "temperature", "heater", "air conditioner", "ac", "radiator", "boiler", "climate")
    )
    roll = rng.random()
    if roll < 0.55:
        where = _place(rng)
        command = say(
            rng,
            "(set|change|put|turn) the {d} to {n}|(set|change) the {d} {p} to {n}|(set|heat|cool) {r} to {n}|(heat|cool) {r} to {n}"
            "|set the temperature to {n} [{p}]|set the {r2} {d} to {n}|make it {n} {p}|(lower|raise|increase|reduce) the temperature to {n}"
            "|turn (up|down) the {d} to {n}|set (target|the target) temperature to {n}",
            d=device, n=degrees + unit, p=where, r=the(room(rng)), r2=rng.choice(w.ROOMS),
        )  # fmt: skip
        turns = [polite(rng, command), f"Okay, set to {degrees} degrees."]
        if rng.random() < 0.3:
            second = words(rng.randint(16, 25))
            user = say(
                rng, "(make it|no|actually|change it to) {n} [degrees]|{n} [degrees] is (better|enough)", n=second
            )
            turns += [user, f"Okay, set to {second} degrees."]
        return talk(*turns)
    step = rng.choice(("", "a bit ", "a little ", "a little bit "))
    if roll < 0.8:
        warm = rng.random() < 0.5
        by = words(rng.randint(1, 5))
        pattern = (
            "make it {s}(warmer|hotter) {p}|it's [too] (cold|freezing|chilly) {h}|i'm [so] cold|turn up the (heat|heating|thermostat|radiator)"
            "|turn the (heat|heating|thermostat) up|raise the temperature [{p}|by {n} degrees]|(increase|raise) the temperature by {n} degrees [{p}]|warm up {r}"
            if warm
            else "make it {s}(cooler|colder) {p}|it's [too] (hot|warm|stuffy) {h}|i'm [so] hot|turn down the (heat|heating|thermostat|radiator)"
            "|turn the (heat|heating|thermostat) down|lower the temperature [{p}|by {n} degrees]|(decrease|lower|reduce) the temperature by {n} degrees [{p}]|cool down {r}"
        )
        command = say(rng, pattern, s=step, p=_place(rng), h=rng.choice(HERE), n=by, r=the(room(rng)))
        return talk(command, f"Okay, I'm making it {'warmer' if warm else 'cooler'}.")
    mode = rng.choice(
        (
            "heat",
            "cool",
            "auto",
            "eco",
            "dry",
            "fan only",
            "off",
            "away",
            "heating",
            "cooling",
            "comfort",
            "boost",
            "sleep",
        )
    )
    command = say(
        rng,
        "(set|switch|change|put) the {d} to {m} [mode]|(set|put) the {d} in {m} mode|{d} {m} mode|turn on {m} mode",
        d=device,
        m=mode,
    )
    return talk(polite(rng, command), f"Okay, the mode is {mode}.")


def sensor(rng: random.Random) -> Dialogue:
    thing, where = rng.choice(w.SENSORS[:2] if rng.random() < 0.6 else w.SENSORS), _place(rng)
    question = say(
        rng,
        "(what's|what is) the {t} {p}|(what's|what is) the {r} {t}|how (warm|cold|hot|humid) is it {p}|how (warm|cold|hot|humid) is {r2}"
        "|(what's|what is) the {t}|what temperature is it {p}|how is the {t} {p}|tell me the {t} {p}|is it (warm|cold|hot|humid) {p}|{t} {p}"
        "|what does the thermostat say|what is the thermostat set to|(what's|what is) the current {t} [{p}]|check the {t} {p}",
        t=thing, p=where, r=rng.choice(w.ROOMS), r2=the(room(rng)),
    )  # fmt: skip
    return talk(asked(rng, question), "I have no sensor that tells me that yet.")


def state(rng: random.Random) -> Dialogue:
    thing, name = _thing(rng), rng.choice(w.PEOPLE_ROOMS)
    cover_name = rng.choice(w.COVERS + w.DOORS)
    question = say(
        rng,
        (
            "{be} {t} (on|off)|(is|are) any lights [still] on [{p}]|did i leave {t} on|are all [the] lights off|which lights are on [{p}]"
            "|how many lights are on [{p}]|(is there|are there any) lights on {p}",
            "{cb} {c} (open|closed|shut)|are (any|all|all the|any of the) (windows|doors|blinds|curtains) (open|closed)|which (windows|doors) are open",
            "(who is|who's) (at home|home|in the house)|is (anyone|anybody|someone|{n}) (home|at home)|where is {n}|is {n} at (work|school|home)"
            "|is there (anyone|somebody|someone|motion) {p}|was there motion {p}|is there someone at the (front|back) door|who is at the door",
            "is the (washing machine|dishwasher|dryer|oven|vacuum) (done|finished|running|on)|what is the battery level of [the|my] (phone|vacuum|sensor|remote|door lock|tablet)"
            "|which batteries are low|is my phone charging|how much (power|energy|electricity|water) (are we using|did we use today|did i use this month)"
            "|is there a (leak|fire|water leak|gas leak)|is the (smoke|gas|water) (detector|alarm|sensor) on|has the (mail|post|package) arrived",
        ),
        be=are(thing), t=the(thing), p=_place(rng), c=the(cover_name), cb=are(cover_name), n=name,
    )  # fmt: skip
    return talk(asked(rng, question), "I can't see that from here.")


def fan(rng: random.Random) -> Dialogue:
    level = rng.choice(
        (
            "low",
            "medium",
            "high",
            "maximum",
            "minimum",
            "level one",
            "level two",
            "level three",
            _percent(rng) + " percent",
            "turbo",
            "auto",
            "full",
        )
    )
    where = room(rng)
    command = say(
        rng,
        "set the [{r}|ceiling] fan [speed] to {l} [speed]|turn the fan [{p}] to {l}|(set|change) the fan speed {p} to {l}|fan on {l}"
        "|turn the [{r}] fan (up|down) to {l}|put the fan on {l}",
        r=where, l=level, p=f"in {the(where)}",
    )  # fmt: skip
    return talk(polite(rng, command), f"Okay, the fan is at {level}.")


def scene(rng: random.Random) -> Dialogue:
    name = rng.choice(w.SCENES)
    command = say(
        rng,
        "(activate|start|turn on|set|enable|run) [the] {s} (scene|mode)|{s} (mode|scene|time)|(set|change) the scene to {s}"
        "|(activate|run|start|execute) [the] {s} (script|routine|automation)|set (the mood for|up for) {s}|it's {s} time|time for {s}"
        "|switch to {s} mode|(set|put) {r} (in|to) {s} mode|get the house ready for {s}",
        s=name, r=the(room(rng)),
    )  # fmt: skip
    return talk(polite(rng, command), f"Okay, {spoken(name)} it is.")


def robot(rng: random.Random) -> Dialogue:
    thing = rng.choice(("vacuum", "robot vacuum", "vacuum cleaner", "robot", "mower", "lawn mower", "mop", "hoover"))
    rows = (
        ("start the {t}|start vacuuming|vacuum {r}|clean {r}|start cleaning [{r}]|run the {t} [in {r}]|send the {t} to {r}|mow the lawn|clean the house", "Okay, it is starting."),
        ("(stop|pause) the {t}|stop (cleaning|vacuuming|mowing)", "Okay, it has stopped."),
        ("(send|return) the {t} (home|to base|to the dock|back to its base|to its dock)|dock the {t}|{t} go home|the {t} should go back to its dock", "Okay, it is going home."),
        ("(where is|locate|find) the {t}", "I asked it to beep."),
        ("(start|run|turn on) the (dishwasher|washing machine|dryer|coffee machine)|make (me a|a|some) coffee|(brew|make) a cup of coffee|boil [some] water|preheat the oven [to {n} degrees]|feed the (cat|dog|fish)|water the (plants|garden|lawn|flowers)", "Okay, I started it."),
        ("(arm|disarm|activate|deactivate|turn on|turn off|set) the [home|house|security] (alarm|alarm system|security system)|arm the alarm (away|home|for the night)", "Okay, the alarm system has your request."),
        ("(ring|find|call) my phone|where is my phone|play a sound on my phone|i lost my phone", "Okay, it should ring now."),
        ("open the (trash can|mail box)|charge the car|start charging the car|(turn up|turn on) the (water heater|hot water)|set the (water heater|hot water|pool|oven) to {n} degrees", "Okay, done."),
        ("(announce|broadcast|say) [that] (dinner is ready|breakfast is ready|lunch is ready|it is time for bed|we are leaving in {m} minutes|i'm home|the movie starts)|tell (everyone|everybody|the kids) [that] (dinner is ready|it's time to go|it is bedtime)|call everyone to dinner", "Okay, I'll announce it."),
    )  # fmt: skip
    pattern, answer = rng.choice(rows)
    command = say(
        rng,
        pattern,
        t=thing,
        r=the(room(rng)),
        n=words(rng.choice((35, 40, 55, 60, 100, 180, 200, 220))),
        m=words(rng.randint(2, 30)),
    )
    return talk(polite(rng, command), answer)


def coming_and_going(rng: random.Random) -> Dialogue:
    rows = (
        ("i'm (leaving|going out|off)|i am leaving [now|the house]|we are (leaving|going out)|goodbye house|i'm going to work", "Okay, see you later. I'll turn everything off."),
        ("(i'm|i am|we are|we're) (home|back|back home)|honey i'm home|i just got home", "Welcome home!"),
        ("(i'm|i am) going to (bed|sleep)|time (for|to go to) bed|(good night|goodnight) [house|everyone]|let's go to sleep", "Good night. I'll turn the lights off."),
        ("(i'm|i am|we are) (cooking|reading|working|watching a movie|having dinner|studying)|we want to watch a movie|let's watch a movie", "Okay, I'll set the light for that."),
    )  # fmt: skip
    pattern, answer = rng.choice(rows)
    return talk(say(rng, pattern), answer)


def later(rng: random.Random) -> Dialogue:
    state_word, thing = rng.choice(("on", "off")), the(_thing(rng))
    number = rng.choice((1, 2, 3, 5, 10, 15, 20, 30, 45, rng.randint(1, 59)))
    unit = rng.choice(("minute", "minute", "minute", "hour", "second")) + ("" if number == 1 else "s")
    number_words = words(number) if number > 1 or unit != "hour" else "an"
    when = rng.choice(
        (
            f"in {number_words} {unit}",
            f"in {number_words} {unit}",
            "in half an hour",
            "at " + words(rng.randint(5, 11)) + rng.choice((" pm", " am", " o'clock", "")),
            "at sunset",
            "at sunrise",
            "at midnight",
            "when i leave",
            "tonight",
        )
    )
    command = say(
        rng, "(turn|switch) {s} {t} {w}|(turn|switch) {t} {s} {w}|{w} turn {s} {t}", s=state_word, t=thing, w=when
    )
    said = (
        when.replace("o'clock", "o'clock")
        .replace(" pm", " p.m.")
        .replace(" am", " a.m.")
        .replace("i leave", "you leave")
    )
    return talk(
        polite(rng, command),
        f"Okay, I'll turn {spoken(thing)} {state_word} {said}."
        if not said.endswith(".")
        else f"Okay, I'll turn {spoken(thing)} {state_word} {said}",
    )


def two_things(rng: random.Random) -> Dialogue:
    first, second = _thing(rng), _thing(rng)
    a, b = rng.choice(("on", "off")), rng.choice(("on", "off"))
    verb = rng.choice(("open", "close"))
    thing = the(rng.choice(w.COVERS + w.DOORS))
    command = say(
        rng,
        "turn {a} {f} and {s}|turn {a} {f} and turn {b} {s}|turn {f} {a} and {s} {b}|{v} {c} and turn {a} {f}|turn {a} {f} and {v} {c}",
        a=a, b=b, f=the(first), s=the(second), v=verb, c=thing,
    )  # fmt: skip
    return talk(polite(rng, command), "Okay, I'll do both.")


SITUATIONS = (
    (on_off, 6.0), (everything, 1.0), (brightness, 2.5), (colour, 2.5), (cover, 3.0), (lock, 1.2), (climate, 3.0),
    (sensor, 2.0), (state, 1.8), (fan, 0.7), (scene, 1.0), (robot, 2.0), (coming_and_going, 0.6), (later, 1.0),
    (two_things, 0.8),
)  # fmt: skip


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    """One to two exchanges about the house, endlessly."""
    makers, weights = zip(*SITUATIONS, strict=True)
    while True:
        yield rng.choices(makers, weights)[0](rng)
