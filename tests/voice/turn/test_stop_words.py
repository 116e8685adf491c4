"""A hold that is taken back, and words that end a reply: the machine on virtual time."""

from __future__ import annotations

import pytest

from tests.voice.conversation import RATE_HZ, Conversation, Delays
from voice.session.config import AudioConfig, SessionConfig, WakeConfig
from voice.session.outgoing import Interrupted, StateOut, TranscriptOut, TurnComplete
from voice.settings import STOP_PHRASES
from voice.turn import events as heard
from voice.turn.actions import Think, Transcribe
from voice.turn.bargein import is_phrase
from voice.turn.machine import State

STORY = " ".join(["There was a fox and it lived by the sea."] * 6)
WAKE = SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), wake=WakeConfig(True, ("alexa",), "pre"))


def story() -> Conversation:
    talk = Conversation(answer=lambda asked: STORY)
    talk.speak((1.0, 2.0, "tell me a story"))
    return talk


def woken() -> Conversation:
    talk = Conversation(answer=lambda asked: STORY, config=WAKE, audible=frozenset({"alexa"}))
    talk.speak((1.0, 2.5, "tell me a story"))
    talk.at(1.45, heard.WakeWord("alexa", 0.9, 1.0, 1.4))
    return talk


def paused(talk: Conversation) -> list[float]:
    return [time for time, event in talk.said if isinstance(event, StateOut) and event.state == "paused"]


def spot(talk: Conversation, at_s: float, phrase: str) -> None:
    """The recogniser's word on what it was last asked about."""
    talk.run(at_s)
    asked = [action for _, action in talk.actions if isinstance(action, Transcribe)][-1]
    talk.at(at_s, heard.PhraseSpotted(asked.revision, phrase))


class TestHold:
    def test_a_click_holds_for_a_moment_and_no_sample_is_lost(self) -> None:
        calm, clicked = story().run(40.0), story()
        clicked.at(6.01, heard.AudioClock(6.01, True, rising=True))
        clicked.run(40.0)
        assert paused(clicked) == [6.01]
        assert not clicked.told(Interrupted) and clicked.audio_s() == pytest.approx(calm.audio_s())
        assert [asked for _, asked in clicked.actions if isinstance(asked, Transcribe)] == [
            asked for _, asked in calm.actions if isinstance(asked, Transcribe)
        ], "nobody is asked about a click"

    def test_what_clicks_on_and_on_does_not_make_a_reply_stutter(self) -> None:
        calm, talk = story().run(40.0), story()
        for click in range(40):
            talk.at(4.01 + click * 0.128, heard.AudioClock(4.01 + click * 0.128, True, rising=True))
        talk.run(40.0)
        assert 1 <= len(paused(talk)) <= 5
        assert not talk.told(Interrupted) and talk.audio_s() == pytest.approx(calm.audio_s())

    def test_speech_after_the_hold_is_judged_in_the_same_hold(self) -> None:
        talk = story()
        talk.at(6.09, heard.AudioClock(6.09, True, rising=True))
        talk.speak((6.0, 7.0, "how old are you"))
        talk.run(9.0)
        assert paused(talk) == [6.09] and talk.told(Interrupted)

    def test_a_hold_does_not_outlast_a_microphone_that_stops(self) -> None:
        talk = story().run(6.0)
        talk.at(6.01, heard.AudioClock(6.01, True, rising=True))
        talk.run(7.0, microphone_until_s=6.0)
        assert talk.machine.state is State.SPEAKING

    def test_typed_words_interrupt_a_hold_too(self) -> None:
        talk = story()
        talk.at(6.01, heard.AudioClock(6.01, True, rising=True))
        talk.at(6.02, heard.Typed("what time is it"))
        talk.run(9.0)
        assert talk.told(Interrupted) and talk.machine.state is State.SPEAKING

    def test_what_led_to_the_hold_is_part_of_the_turn(self) -> None:
        talk = story()
        talk.speak((6.0, 7.0, "how old are you"))
        talk.run(14.0)
        over = [asked for at, asked in talk.actions if isinstance(asked, Transcribe) and at > 6.0]
        assert over and all(asked.from_s <= 6.0 - 0.3 for asked in over), "from before the onset on"


class TestStopWords:
    def test_alone_over_a_reply_it_is_not_answered(self) -> None:
        talk = story()
        talk.speak((6.0, 6.5, "stop it"))
        talk.run(14.0)
        assert len(talk.told(TurnComplete)) == 1 and talk.told(TurnComplete)[0].interrupted
        assert talk.machine.state is State.IDLE
        assert [item.message.role for item in talk.machine.history.items] == ["user", "assistant"]

    @pytest.mark.parametrize("spots", [True, False], ids=["spotted", "transcribed"])
    def test_nobody_seems_to_think_about_it(self, spots: bool) -> None:
        """What was heard is told at once, and the state is listening, however long the recogniser takes."""
        talk = story()
        talk.speak((6.0, 6.5, "stop it"))
        talk.run(6.62)
        if spots:
            asked = [action for _, action in talk.actions if isinstance(action, Transcribe)][-1]
            talk.at(6.63, heard.PhraseSpotted(asked.revision, "stop it"))
        talk.run(6.9)
        assert talk.told(Interrupted)
        talk.delays = Delays(stt=1.5)
        talk.run(14.0)
        since = [event.state for at, event in talk.said if at > 6.0 and isinstance(event, StateOut)]
        assert since == ["paused", "hearing", "idle"]
        told = [event for _, event in talk.said if isinstance(event, TranscriptOut)][1:]
        assert {event.text for event in told} == {"stop it"}
        assert [(event.is_final, event.is_request) for event in told] == [(False, False), (True, False)]

    def test_a_request_that_begins_with_it_is_thought_about(self) -> None:
        talk = story()
        talk.speak((6.0, 6.5, "stop it"), (6.72, 7.6, "and tell me the time"))
        talk.run(9.0)
        since = [event.state for at, event in talk.said if at > 6.0 and isinstance(event, StateOut)]
        assert since[-2:] == ["thinking", "speaking"]
        assert [event.text for event in talk.told(TranscriptOut) if event.is_final][
            -1
        ] == "stop it and tell me the time"

    def test_with_more_words_it_is(self) -> None:
        talk = story()
        talk.speak((6.0, 7.2, "stop it and tell me the time"))
        talk.run(9.0)
        thinks = [action for _, action in talk.actions if isinstance(action, Think)]
        assert thinks[-1].messages[-1].content == "stop it and tell me the time"

    def test_with_a_wake_word_it_ends_the_reply_and_nothing_else_does(self) -> None:
        talk = woken()
        talk.speak((6.0, 6.4, "stop"))
        talk.run(8.0)
        assert talk.told(Interrupted) and talk.machine.state is State.ASLEEP
        other = woken()
        other.speak((6.0, 6.9, "the bus will never stop here"))
        other.run(8.0)
        assert not other.told(Interrupted) and not paused(other)

    def test_what_was_spotted_counts_when_it_is_over_or_heard_twice(self) -> None:
        def talk_with(*phrases: tuple[float, str]) -> Conversation:
            talk = story()
            talk.speak((6.0, 7.0, ""))
            talk.run(6.3)
            for at, phrase in phrases:
                asked = [action for _, action in talk.actions if isinstance(action, Transcribe)][-1]
                talk.at(at, heard.PhraseSpotted(asked.revision, phrase))
                talk.run(at + 0.01)
            return talk

        assert not talk_with((6.31, "no")).told(Interrupted)
        assert talk_with((6.31, "no"), (6.32, "no")).told(Interrupted)
        assert not talk_with((6.31, "yeah"), (6.32, "yeah")).told(Interrupted)

    def test_a_question_that_is_heard_twice_is_not_waited_out(self) -> None:
        def talk_with(*phrases: str) -> Conversation:
            talk = story()
            talk.speak((6.0, 7.0, ""))
            for number, phrase in enumerate(phrases):
                spot(talk, 6.31 + number * 0.01, phrase)
                talk.run(6.315 + number * 0.01)
            return talk

        assert talk_with("but why", "why is that").told(Interrupted)
        assert talk_with("what", "wait").told(Interrupted)
        assert not talk_with("", "but why").told(Interrupted)
        assert not talk_with("but why", "", "oh wow").told(Interrupted)
        assert not talk_with("cool", "cool").told(Interrupted)

    @pytest.mark.parametrize(
        ("phrase", "words", "both"),
        [
            ("what time is it", "what time", True),
            ("what is it", "what's", True),
            ("stop that", "stop it", True),
            ("how much", "how nice", False),
            ("what", "what a", False),
            ("what is it", "wow", False),
            ("oh wow", "but why", False),
            ("", "but why", False),
        ],
    )
    def test_a_phrase_whose_words_say_the_same_is_not_waited_out(self, phrase: str, words: str, both: bool) -> None:
        talk = story()
        talk.speak((6.0, 7.0, ""))
        talk.run(5.9)
        talk.delays = Delays(stt=2.0)
        spot(talk, 6.3, phrase)
        talk.run(6.32)
        assert not talk.told(Interrupted)
        asked = [action for _, action in talk.actions if isinstance(action, Transcribe)][-1]
        talk.at(6.33, heard.TranscriptReady(asked.revision, words))
        talk.run(6.34)
        assert bool(talk.told(Interrupted)) == both

    def test_the_half_of_a_word_counts_where_the_whole_was_not_understood(self) -> None:
        """Three recordings of a man who says "pause" into a noisy microphone were lost that way."""

        def talk_with(half: str, whole: str, words: str) -> Conversation:
            talk = story()
            talk.speak((6.0, 6.4, words))
            talk.run(6.3)
            for at, phrase in ((6.31, half), (6.5, whole)):
                talk.run(at)
                asked = [action for _, action in talk.actions if isinstance(action, Transcribe)][-1]
                talk.at(at, heard.PhraseSpotted(asked.revision, phrase))
                talk.run(at + 0.01)
            return talk.run(7.5)

        assert talk_with("pause", "", "").told(Interrupted)
        assert not talk_with("no", "oh wow", "").told(Interrupted), "it was something else, and understood"
        assert not talk_with("", "", "").told(Interrupted)

    def test_what_is_left_of_our_own_voice_is_no_stop_word_while_the_canceller_learns(self) -> None:
        def talk_with(*, echo: bool) -> Conversation:
            talk = story()
            if echo:
                talk.at(5.5, heard.EchoHeard("present"))
            talk.speak((6.0, 6.25, ""))
            talk.run(6.36)
            asked = [action for _, action in talk.actions if isinstance(action, Transcribe)][-1]
            talk.at(6.37, heard.PhraseSpotted(asked.revision, "stop"))
            return talk.run(6.9)

        assert talk_with(echo=False).told(Interrupted)
        assert not talk_with(echo=True).told(Interrupted)

    def test_a_murmur_goes_on_only_when_all_of_it_was_heard(self) -> None:
        """ "Okay. Stop!": the first word alone must not let the reply go on."""
        talk = story()
        talk.speak((6.0, 6.42, ""))
        for at, phrase in ((6.31, "okay"), (6.5, "okay stop")):
            talk.run(at)
            asked = [action for _, action in talk.actions if isinstance(action, Transcribe)][-1]
            talk.at(at, heard.PhraseSpotted(asked.revision, phrase))
            talk.run(at + 0.04)
            assert bool(talk.told(Interrupted)) == (phrase == "okay stop")

    def test_a_murmur_goes_on_before_the_silence_is_a_pause(self) -> None:
        talk = story()
        talk.speak((6.0, 6.4, "yeah"))
        spot(talk, 6.47, "yeah")
        talk.run(6.5)
        assert talk.machine.state is State.SPEAKING and not talk.told(Interrupted)
        talk.run(9.0)
        assert len(paused(talk)) == 1 and not talk.told(Interrupted)

    def test_so_it_does_where_nothing_spots_phrases(self) -> None:
        talk = story()
        talk.speak((6.0, 6.4, "yeah"))
        talk.run(6.53)
        assert talk.machine.state is State.SPEAKING and not talk.told(Interrupted)
        talk.run(9.0)
        assert len(paused(talk)) == 1 and not talk.told(Interrupted)

    def test_a_murmur_that_is_heard_twice_is_spoken_over_though_it_lasts(self) -> None:
        calm, talk = story().run(40.0), story()
        talk.speak((6.0, 6.75, ""))
        spot(talk, 6.25, "mm")
        talk.run(6.26)
        assert len(paused(talk)) == 1 and talk.machine.shown == "paused", "it may be the beginning of anything"
        spot(talk, 6.4, "mm-hm")
        talk.run(6.42)
        assert talk.machine.shown == "speaking" and talk.machine.state is State.JUDGING
        spot(talk, 6.6, "mm-hm")
        spot(talk, 6.83, "mm-hm")
        talk.run(40.0)
        assert len(paused(talk)) == 1 and not talk.told(Interrupted)
        assert talk.audio_s() == pytest.approx(calm.audio_s())

    @pytest.mark.parametrize("becomes", ["wait", ""])
    def test_what_it_becomes_stops_us_as_soon_as_it_did(self, becomes: str) -> None:
        talk = story()
        talk.speak((6.0, 7.5, "yeah but wait a minute"))
        talk.run(5.9)
        talk.delays = Delays(stt=2.0)
        spot(talk, 6.25, "yeah")
        spot(talk, 6.4, "yeah")
        talk.run(6.45)
        assert talk.machine.shown == "speaking" and not talk.told(Interrupted)
        spot(talk, 6.58, becomes)
        talk.run(6.59)
        assert talk.told(Interrupted) and len(paused(talk)) == 1
        talk.delays = Delays()
        talk.run(10.0)
        thinks = [action for _, action in talk.actions if isinstance(action, Think)]
        assert thinks[-1].messages[-1].content == "yeah but wait a minute"

    def test_a_reply_that_ends_while_a_murmur_is_spoken_over_is_whole(self) -> None:
        whole = story().run(60.0)
        ends = next(time for time, event in whole.said if isinstance(event, TurnComplete))
        talk = story()
        talk.speak((ends - 0.6, ends + 0.3, ""))
        spot(talk, ends - 0.35, "mm")
        spot(talk, ends - 0.2, "mm-hm")
        spot(talk, ends + 0.38, "mm-hm")
        talk.run(ends + 3.0)
        (turn,) = talk.told(TurnComplete)
        assert not turn.interrupted and talk.machine.state is State.IDLE
        assert talk.audio_s() == pytest.approx(whole.audio_s())

    def test_no_murmur_is_spoken_over_where_we_hear_ourselves(self) -> None:
        talk = story()
        talk.at(5.5, heard.EchoHeard("present"))
        talk.speak((6.0, 6.75, ""))
        spot(talk, 6.25, "mm")
        spot(talk, 6.4, "mm-hm")
        talk.run(6.45)
        assert talk.machine.shown == "paused"

    def test_a_murmur_that_was_the_beginning_of_something_is_judged_again_whole(self) -> None:
        talk = story()
        talk.speak((6.0, 6.4, "yeah"), (6.5, 7.4, "but what about the dog"))
        spot(talk, 6.47, "yeah")
        talk.run(9.5)
        assert len(paused(talk)) == 2 and talk.told(Interrupted)
        thinks = [action for _, action in talk.actions if isinstance(action, Think)]
        assert thinks[-1].messages[-1].content == "yeah but what about the dog"

    def test_a_murmur_of_two_parts_is_one(self) -> None:
        """What it goes on with is no second sound, and the gap in it is no voice."""
        talk = story()
        talk.speak((6.0, 6.3, ""), (6.44, 6.75, ""))
        spot(talk, 6.38, "mm-hm")
        talk.run(6.7)
        asked = [action for _, action in talk.actions if isinstance(action, Transcribe)]
        assert len(paused(talk)) == 2 and len(asked) >= 3
        spot(talk, 6.83, "mm-hm")
        talk.run(9.0)
        assert len(paused(talk)) == 2 and not talk.told(Interrupted)

    def test_what_a_murmur_becomes_is_heard_though_the_reply_ends_under_it(self) -> None:
        whole = story().run(60.0)
        ends = next(time for time, event in whole.said if isinstance(event, TurnComplete))
        talk = story()
        talk.speak((ends - 0.45, ends - 0.05, "yeah"), (ends + 0.05, ends + 1.4, "and where did it live"))
        spot(talk, ends + 0.02, "yeah")
        talk.run(ends + 4.0)
        thinks = [action for _, action in talk.actions if isinstance(action, Think)]
        assert thinks[-1].messages[-1].content == "yeah and where did it live"

    def test_it_is_asked_in_the_silence_after_a_word_and_not_again(self) -> None:
        talk = story()
        talk.speak((6.0, 6.4, "yeah"))
        talk.run(8.0)
        asked = [at for at, action in talk.actions if isinstance(action, Transcribe) and at > 6.0]
        assert 6.4 < asked[-1] < 6.4 + 0.128, "before the pause is one"
        assert not talk.told(Interrupted)

    def test_an_ask_in_a_lull_does_not_put_off_the_next_one(self) -> None:
        talk = story()
        talk.speak((6.0, 6.12, ""), (6.24, 7.0, ""))
        talk.run(5.9)
        talk.delays = Delays(stt=0.02)
        talk.run(6.9)
        lull, again = [at for at, action in talk.actions if isinstance(action, Transcribe) and at > 6.0][:2]
        assert 6.12 < lull < 6.24, "before the recogniser would be asked first"
        assert again < 6.4, "with 0.2 s of voice, as without a lull"

    @pytest.mark.parametrize("text", ["Stop!", "stop, stop", "please stop", "That's enough.", "cancel"])
    def test_is_phrase(self, text: str) -> None:
        assert is_phrase(text, STOP_PHRASES)

    @pytest.mark.parametrize("text", ["", "stop the music", "don't stop", "please", "unstoppable"])
    def test_is_no_phrase(self, text: str) -> None:
        assert not is_phrase(text, STOP_PHRASES)
