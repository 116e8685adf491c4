"""Small talk: what people say about themselves and their day, and a short friendly reaction."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.phrases import asked, say

WEIGHT = 1.2

_TALK: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "(i'm|i am|i feel) (bored|so bored)",
        ("How about a joke, a riddle or a story?", "Shall I tell you a joke or a story?"),
    ),
    (
        "(i'm|i am|i feel) [so|very] (tired|sleepy)",
        ("Then take a break if you can.", "Sounds like you need some rest."),
    ),
    (
        "(i'm|i am|i feel) [so|very] (hungry|thirsty)",
        ("Then it's time for a snack.", "Maybe the kitchen has something nice."),
    ),
    (
        "(i'm|i am|i feel) [so|very] (happy|glad|excited) [today]",
        ("That's great to hear!", "How nice! What happened?"),
    ),
    (
        "(i'm|i am|i feel) [so|very] (sad|lonely|down|unhappy) [today]",
        ("I'm sorry to hear that. I'm here if you want to talk.",),
    ),
    ("(i'm|i am|i feel) [so|very] (angry|mad|annoyed)", ("I'm sorry. Take a deep breath, it may help.",)),
    ("(i'm|i am|i feel) [so|very] (nervous|scared|afraid|worried)", ("Take a deep breath. You can do it.",)),
    ("(i'm|i am) (going to bed|off to bed) [now]", ("Good night! Sleep well.",)),
    ("(i'm|i am) (at home|home|back|back home)", ("Welcome back!", "Welcome home!")),
    ("(i'm|i am) going (to work|to school|out|shopping|for a walk)", ("Have a good time!", "See you later!")),
    ("(i'm|i am) (cooking|making) (dinner|lunch|soup|pasta)", ("Sounds delicious. Shall I set a timer?",)),
    ("(i'm|i am) (reading|writing) a (book|letter)", ("That sounds nice. Enjoy it!",)),
    (
        "(i'm|i am) learning (english|german|french|to cook|the guitar|the piano)",
        ("Great! Practice a little every day.",),
    ),
    ("(it's|it is) my birthday [today]", ("Happy birthday!", "Happy birthday to you!")),
    ("i (passed|finished) my (exam|test|work)", ("Congratulations!", "Well done!")),
    ("i (failed|lost) (my exam|the game|my job)", ("I'm sorry to hear that.",)),
    ("i (got|have) a new (job|car|dog|cat|phone|house|bike)", ("Congratulations! That's exciting.",)),
    ("i have a (meeting|test|date|party|exam) [today|tomorrow]", ("Good luck!", "I hope it goes well.")),
    (
        "i (like|love|enjoy) (music|books|movies|games|football|cooking|dancing|singing|swimming|hiking)",
        ("Nice! What do you like about it?",),
    ),
    (
        "i (hate|don't like) (mondays|rain|cleaning|homework|spiders|traffic)",
        ("I understand. You're not the only one.",),
    ),
    ("(i can't|i cannot) sleep", ("Try to think of something calm. A story may help.",)),
    ("i (need|want) a (break|holiday|vacation|coffee)", ("You have earned it.",)),
    (
        "(let's|let us) (talk|chat)|(talk to me|chat with me|say something|tell me something)",
        ("Gladly! What would you like to talk about?",),
    ),
    ("(let's|let us) play a game", ("Okay! I know riddles, or I can pick a number.",)),
    (
        "tell me something interesting|tell me a fun fact|tell me a fact|do you know a fun fact|surprise me",
        (
            "An octopus has three hearts.",
            "Honey can stay good for thousands of years.",
            "A day on Venus is longer than its year.",
            "Bananas are berries, but strawberries are not.",
            "The Eiffel Tower grows a little in summer, because iron gets longer when it is warm.",
            "A group of flamingos is called a flamboyance.",
            "Light from the sun takes about eight minutes to reach us.",
            "Sharks are older than trees.",
        ),
    ),
    (
        "(what's up|what is up|what's new|what is new|what are you doing|what are you up to|how was your day|what did you do today)",
        ("Not much. I'm here and ready to help.", "I'm listening to you."),
    ),
    (
        "(merry christmas|happy new year|happy easter|happy halloween|happy birthday)",
        ("Thank you! The same to you.",),
    ),
    ("(good luck|have fun|have a nice day|take care|sleep well)", ("Thank you! You too.",)),
    ("(welcome|welcome home|nice to meet you|pleased to meet you)", ("Nice to meet you too.", "Thank you!")),
    ("(i'm|i am|i was) (joking|just kidding|kidding|only joking)", ("Good one!",)),
    ("(sorry|i'm sorry|my mistake|excuse me|oops)", ("No problem.", "That's all right.")),
    ("(really|are you sure|are you serious|is that true|seriously)", ("I think so, but I can be wrong.",)),
    (
        "(wow|amazing|cool|interesting|that's interesting|i see|ah okay|good to know|alright|okay|all right|i didn't know that)",
        ("Anything else I can do?", "What else can I do for you?"),
    ),
    ("(why|how come|but why|why not|and why)", ("I don't know why, sorry.",)),
    ("(who cares|whatever|i don't care|so what)", ("Okay. Let me know if you need something.",)),
    (
        "(wait|wait a second|wait a moment|one moment|hold on|just a second|hang on)",
        ("Okay, I'll wait.", "Take your time."),
    ),
    ("(i have|i've got) a question|(can|may) i ask you something", ("Sure, go ahead.", "Of course. What is it?")),
    (
        "(listen|hey listen|listen to me|attention|excuse me parley|parley|hey parley are you there)",
        ("Yes? I'm listening.", "I'm listening."),
    ),
    (
        "(do you love me|will you marry me|are you my friend|can we be friends|do you want to be my friend)",
        ("I'm only a program, but I'm glad to be here for you.",),
    ),
    (
        "(give me|tell me|do you have) (a|some|any) (tip|advice) [for today]",
        ("Drink enough water, and take a short walk.",),
    ),
    ("(say|tell me) something (nice|kind)", ("You are doing better than you think.",)),
    ("what (should|can) i (do|do today)|what can we do", ("How about a short walk or a good book?",)),
    (
        "what (should|can) i (eat|cook|have for dinner|have for lunch|make for dinner)",
        (
            "How about pasta with tomato sauce?",
            "A soup with bread is simple and good.",
            "How about rice with vegetables?",
        ),
    ),
    ("(motivate me|cheer me on|i can't do it|i can't do this)", ("You can do it. Take one small step first.",)),
)


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    while True:
        turns: list[str] = []
        for pattern, answers in rng.sample(_TALK, rng.choice((1, 1, 1, 2, 2, 3))):
            line = say(rng, f"({pattern})")
            turns += [asked(rng, line) if len(line.split()) > 2 and rng.random() < 0.3 else line, rng.choice(answers)]
        yield talk(*turns)
