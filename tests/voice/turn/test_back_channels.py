"""What a listener puts in over a reply, as recognisers that write well write it down."""

from __future__ import annotations

import pytest

from tests.voice.conversation import Conversation, Delays
from voice.session.outgoing import Interrupted, TurnComplete
from voice.settings import TurnSettings
from voice.turn.back_channels import begins_murmur, encourages, murmured
from voice.turn.bargein import STOP_WORDS, BargeInRules, Verdict, judge, known_stops

RULES = BargeInRules(384, 640)
STORY = " ".join(["There was a fox and it lived by the sea."] * 6)

CONTINUERS = "Mm-hmm.|Mmhmm.|M-hm.|Um-hum.|Hmmm.|Uh-huh, uh-huh.|Yeaaah.|Ooooh.|Ahh, okay.|Oh, I see.|Mhm, mhm."
REMARKS = (
    "That's right.|That’s true.|Oh, that's really nice.|Very interesting.|So cool.|Wow, that is amazing."
    "|I understand.|Yeah, that makes sense.|Fair enough.|Oh my goodness.|You're right.|How nice.|What a pity.|No way!"
    "|No kidding.|Sounds good.|Excellent.|Perfect.|Okay, yeah, sure.|Okay, I see.|Hmm, interesting."
)
GERMAN = (
    "Ja, das stimmt.|Das ist ja toll.|Sehr schön.|Ach, wirklich?|Ich weiß.|Kein Problem.|Das ergibt Sinn.|Ach so."
)
GO_ON = "Go on.|Yeah, go on.|Keep going.|Please continue.|Okay, go ahead, please.|Mach weiter.|Ja, bitte weiter."
MEANT = (
    "Stop.|Nope.|Nah.|Uh-uh.|Nee.|Okay, stop.|That's enough.|That's not right.|That's wrong.|Right now?"
    "|Good question, but no.|Yeah, but wait.|I don't see.|I know that already.|Is that true?|How?|How so?|What?"
    "|What a question, why?|Go back.|Go on to the next one.|Continue with the second.|Good morning."
    "|Okay, and in Italy?|Tell me more.|That's great, but stop.|Das stimmt nicht.|Das ist falsch.|Und morgen?"
    "|Oh no, stop.|That's it."
)


@pytest.mark.parametrize("text", [*CONTINUERS.split("|"), *REMARKS.split("|"), *GERMAN.split("|")])
def test_a_remark_does_not_stop_us(text: str) -> None:
    assert murmured(text) and encourages(text)
    assert all(judge(RULES, voiced, voiced + 400, True, text) is Verdict.RESUME for voiced in (250, 500, 900))


@pytest.mark.parametrize("text", GO_ON.split("|"))
def test_who_asks_us_to_go_on_does_not_stop_us(text: str) -> None:
    """After the reply it is a request like any other."""
    assert encourages(text) and not murmured(text)
    assert all(judge(RULES, voiced, voiced + 400, True, text) is Verdict.RESUME for voiced in (250, 500, 900))


@pytest.mark.parametrize("text", MEANT.split("|"))
def test_what_only_begins_like_one_is_meant(text: str) -> None:
    assert not encourages(text)
    assert all(judge(RULES, voiced, voiced + 400, True, text) is Verdict.INTERRUPT for voiced in (250, 500, 900))


@pytest.mark.parametrize("text", ["That's", "Oh, that's really", "I", "Okay, that", "Yeah, go", "das ist ja"])
def test_what_may_become_one_is_waited_for(text: str) -> None:
    """A recogniser is asked while the sound goes on, and hears the first half."""
    assert begins_murmur(text)
    assert judge(RULES, 600, 700, False, text) is Verdict.WAIT
    assert judge(RULES, 2 * RULES.sure_ms, 1400, False, text) is Verdict.INTERRUPT
    assert judge(RULES, 600, 700, False, f"{text} wrong") is Verdict.INTERRUPT


def test_no_stop_word_is_a_remark() -> None:
    assert not any(encourages(word) for word in STOP_WORDS)
    assert not any(encourages(phrase) for phrase in known_stops(TurnSettings().stop_words))


def test_nothing_is_no_remark() -> None:
    assert not any(reads(text) for reads in (murmured, encourages, begins_murmur) for text in ("", "...", "42"))


@pytest.mark.parametrize(("said", "stops"), [("That's really interesting.", False), ("That's the wrong one.", True)])
def test_over_a_reply(said: str, stops: bool) -> None:
    """A recogniser that is slower than our patience with a voice of which nothing is known, and spots nothing."""
    talk = Conversation(answer=lambda asked: STORY, delays=Delays(stt=0.15))
    talk.speak((1.0, 2.0, "tell me a story"), (6.0, 6.9, said))
    talk.run(40.0)
    assert bool(talk.told(Interrupted)) is stops
    assert talk.told(TurnComplete)[0].interrupted is stops


@pytest.mark.parametrize(("said", "from_s"), [("perfect", 6.0), ("silence", 6.0)])
def test_the_operators_stop_word_stops_us_whatever_else_it_means(said: str, from_s: float) -> None:
    """However short it is."""
    talk = Conversation(answer=lambda asked: STORY, settings=TurnSettings(stop_words=("perfect", "silence")))
    talk.speak((1.0, 2.0, "tell me a story"), (from_s, from_s + 0.3, said))
    talk.run(20.0)
    assert talk.told(Interrupted)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["tell me a story"]
