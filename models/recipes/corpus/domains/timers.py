"""Timers, alarms and the stopwatch: set, pause, go on, cancel, ask.

How long is left cannot be known here (no clock in the dialogue), so such questions are answered with what
was set, or with "I have no timer running".
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.number_words import words
from models.recipes.corpus.phrases import asked, polite, say

WEIGHT = 2.5

NAMES = (
    "pizza|pasta|egg|eggs|tea|laundry|cake|bread|chicken|rice|coffee|oven|homework|nap|workout|potatoes|cookies|"
    "soup|roast|washing|break|meditation|dinner|turkey|steak|noodles|lasagna|muffins|plank|reading|shower|dough"
).split("|")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def duration(rng: random.Random) -> str:
    """A length of time in words: "ten minutes", "one hour and thirty minutes", "an hour and a half"."""
    roll = rng.random()
    if roll < 0.55:
        number = rng.choice((1, 2, 3, 4, 5, 5, 10, 10, 15, 20, 25, 30, 40, 45, 50, 60, 90, rng.randint(1, 99)))
        return plural(number, "minute")
    if roll < 0.65:
        return plural(rng.choice((5, 10, 15, 20, 30, 40, 45, 60, 90, rng.randint(1, 120))), "second")
    if roll < 0.75:
        return plural(rng.choice((1, 2, 3, 4, 6, 8, 12, 24, rng.randint(1, 30))), "hour")
    if roll < 0.83:
        return rng.choice(
            (
                "half an hour",
                "an hour and a half",
                "a quarter of an hour",
                "half a minute",
                "one and a half hours",
                "three quarters of an hour",
                "an hour",
                "a minute",
                "a minute and a half",
                "one and a half minutes",
            )
        )
    if roll < 0.87:
        return f"{words(rng.randint(2, 9))} and a half {rng.choice(('minutes', 'hours'))}"
    joint = rng.choice((" and ", " and ", " "))
    if roll < 0.94:
        return plural(rng.randint(1, 12), "hour") + joint + plural(rng.choice((5, 10, 15, 20, 30, 45)), "minute")
    return plural(rng.randint(1, 20), "minute") + joint + plural(rng.choice((10, 15, 20, 30, 45)), "second")


def plural(number: int, unit: str) -> str:
    return f"{words(number)} {unit}{'' if number == 1 else 's'}"


def moment(rng: random.Random) -> tuple[str, str]:
    """A time of day as heard and as answered: ("half past six", "half past six")."""
    hour = rng.randint(1, 12)
    roll = rng.random()
    if roll < 0.1:
        single = rng.choice(("noon", "midnight"))
        return single, single
    minute = rng.choice(("", "", " thirty", " fifteen", " forty five", f" {words(rng.randint(10, 59))}", " oh five"))
    if roll < 0.3:
        spoken = say(
            rng,
            "(half|quarter|a quarter|ten|twenty|five) past {h}|(quarter|a quarter|ten|five) to {h}",
            h=words(hour),
        )
        return spoken, spoken
    part, written = rng.choice(
        (
            (" am", " a.m."),
            (" pm", " p.m."),
            ("", ""),
            (" in the morning", " in the morning"),
            (" in the evening", " in the evening"),
            (" in the afternoon", " in the afternoon"),
            (" o'clock", " o'clock"),
            (" tonight", " tonight"),
        )
    )
    if "o'clock" in part:
        minute = ""
    return f"{words(hour)}{minute}{part}", f"{words(hour)}{minute}{written}"


def _end(text: str) -> str:
    return text if text.endswith(".") else text + "."


def timer(rng: random.Random) -> Dialogue:
    length, name = duration(rng), rng.choice(NAMES)
    if rng.random() < 0.3:
        one = length[:-1] if length.endswith("s") and " and " not in length else length
        command = say(
            rng,
            "set a {d} {n} timer|start a {d} timer for [the] {n}|set a {n} timer for {l}|(set|start|create|add) a timer"
            " (named|called|for) [the] {n} for {l}|{n} timer {l}|{n} timer for {l}|(set|start) a {l} timer (named|called) {n}",
            d=one, n=name, l=length,
        )  # fmt: skip
        turns = [polite(rng, command) if " timer " in command[3:] else command, f"Okay, {length} for the {name}."]
        name += " "
    else:
        one = length[:-1] if length.endswith("s") and " and " not in length else length
        command = say(
            rng,
            "set [a|the|my] timer for {l}|set a timer for {l}|start a timer for {l}|(set|start) a {d} timer|timer {l}|timer for {l}|{l} timer"
            "|{d} timer|set a {l} timer|(start|begin) a {l} countdown|countdown {l}|count down {l}|wake me [up] in {l}|remind me in {l}"
            "|set [a] timer (to|of) {l}|give me {l}|(set|start|put) [another|a new|a second] timer for {l}|put {l} on the clock|new timer {l}",
            l=length, d=one,
        )  # fmt: skip
        turns = [
            command
            if rng.random() < 0.8 or command.split()[0] not in ("set", "start", "wake", "give")
            else polite(rng, command),
            f"Okay, {length} from now.",
        ]
        name = ""
    if rng.random() < 0.35:
        turns += _more(rng, length, name)
    return talk(*turns)


def _more(rng: random.Random, length: str, name: str) -> list[str]:
    second = duration(rng)
    rows = (
        ("(add|give me) {l} [more] [to (it|the {n}timer|that)]|make (it|that) {l} longer|{l} more", "Okay, {l} more."),
        ("(cancel|stop|delete|remove) (it|that|the timer|the {n}timer|my timer)|never mind|forget it", "Okay, I cancelled it."),
        ("(pause|hold) (it|the timer|the {n}timer)", "Okay, it is paused."),
        ("(make it|no|change it to|actually|i meant) {l}", "Okay, {l}."),
        ("(how (much time|long) is (left|it set for))|what did i set|for how long did i set it", "You set {o}."),
        ("and (another|a second) (one|timer) for {l}|and one for {l}|and another for {l}", "Okay, and another one for {l}."),
    )  # fmt: skip
    user, answer = rng.choice(rows)
    return [say(rng, user, l=second, n=name), say(rng, answer, l=second, o=length)]


def control(rng: random.Random) -> Dialogue:
    n = rng.choice((*NAMES, *("",) * 25))
    n = n and n + " "
    rows = (
        ("(cancel|stop|delete|remove|clear|end|kill) (the|my) {n}timer|cancel (all|all the|all my|every) timers|turn off the {n}timer|(cancel|stop) the {l} timer|stop [the] (timers|all timers)|cancel timer|stop timer", "Okay, it is cancelled."),
        ("(pause|hold|freeze|halt) (the|my) {n}timer|pause the {l} timer|pause timer", "Okay, it is paused."),
        ("(resume|continue|unpause|restart|start) (the|my) {n}timer [again]|continue timer|resume timer|restart the {l} timer", "Okay, it goes on."),
        ("(add|put) {l} (to|on) (the|my) {n}timer|(increase|extend) (the|my) {n}timer by {l}|add {l} more to the {n}timer", "Okay, I added {l}."),
        ("(remove|take|subtract) {l} (from|off) (the|my) {n}timer|(decrease|reduce|shorten) (the|my) {n}timer by {l}", "Okay, I took off {l}."),
        ("how (much time|long|much|many minutes) (is|are) left [on (the|my) {n}timer]|(check|show) (the|my) {n}timer[s]|what is the status of (the|my) {n}timer|when (is|does) (the|my) {n}timer (done|over|end|ring|go off)|how long [is left] on the {n}timer|{n}timer status|is the {n}timer [still] running|which timers are running|how many timers are (running|set)|do i have [any] timers", "I have no timer running."),
        ("(start|stop|reset|pause) (the|a) stopwatch|stopwatch", "Okay."),
        ("(stop|silence|shut up|be quiet|stop ringing|turn off the alarm|stop the alarm|dismiss|that's enough|stop it|quiet|stop beeping)", "Okay."),
        ("(snooze|snooze the alarm|snooze for {l}|five more minutes|let me sleep|ten more minutes)", "Okay, I'll wake you again soon."),
    )  # fmt: skip
    pattern, answer = rng.choice(rows)
    pattern = pattern.replace("{n}timer[s]", "({n}timer|timers)")
    text = say(rng, pattern, n=n, l=duration(rng))
    if "{l}" in answer:
        length = duration(rng)
        return talk(say(rng, pattern, n=n, l=length), say(rng, answer, l=length))
    return talk(asked(rng, text) if "no timer" in answer else text, answer)


def alarm(rng: random.Random) -> Dialogue:
    heard, written = moment(rng)
    day = rng.choice(
        (
            "",
            "",
            "",
            " tomorrow",
            " every day",
            " on weekdays",
            f" on {rng.choice(DAYS)}",
            " tomorrow morning",
            f" every {rng.choice(DAYS)}",
        )
    )
    roll = rng.random()
    if roll < 0.65:
        command = say(
            rng,
            "set an alarm for {t}|wake me [up] at {t}|set (the|my) alarm (to|for|at) {t}|alarm (at|for) {t}|i need to (get|wake) up at {t}|create an alarm for {t}"
            "|get me up at {t}|set an alarm at {t}|add an alarm for {t}",
            t=heard + day,
        )  # fmt: skip
        spoken_day = " ".join(word.capitalize() if word in DAYS else word for word in day.split())
        turns = [command, _end(f"Okay, the alarm is set for {written}{' ' * bool(day)}{spoken_day}")]
        if rng.random() < 0.2:
            other, other_written = moment(rng)
            turns += [
                say(rng, "(make it|no|change it to|better) {t}", t=other),
                _end(f"Okay, the alarm is set for {other_written}"),
            ]
        return talk(*turns)
    rows = (
        ("(cancel|delete|turn off|remove|stop|disable) (my|the|all|all my) [{t}|morning] (alarm|alarms)|cancel the alarm for {t}", "Okay, it is off."),
        ("(what|which) alarms (do i have|are set)|when is my [next] alarm|do i have an alarm (set|tomorrow|for {t})|is my alarm (on|set)|what time is my alarm [set for]", "I know of no alarm."),
        ("(change|move) my alarm to {t}", "Okay, I moved it."),
    )  # fmt: skip
    pattern, answer = rng.choice(rows)
    return talk(say(rng, pattern, t=heard), answer)


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    """Timers mostly, then timer control, then alarms; endless."""
    while True:
        yield rng.choices((timer, control, alarm), (5.0, 3.0, 2.0))[0](rng)
