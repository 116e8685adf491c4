"""A short sound over a reply that may be a word: the reply goes on, and stops when it was one. On virtual time."""

from __future__ import annotations

import pytest

from tests.voice.conversation import Conversation, Delays
from tests.voice.turn.test_stop_words import STORY, paused, spot, story
from voice.ears.level_drop import LevelDrop
from voice.session.outgoing import Interrupted, StateOut, TurnComplete
from voice.turn import events as heard
from voice.turn.actions import Abandon, Listen, StopListening, Think, Transcribe
from voice.turn.machine import State


def speaking(talk: Conversation) -> list[float]:
    return [time for time, event in talk.said if isinstance(event, StateOut) and event.state == "speaking"]


def doubtful(words: str, until_s: float = 6.3, *, stt_s: float = 0.4) -> Conversation:
    """The recogniser that spots phrases says that it is none of them; the words come later."""
    talk = story()
    talk.speak((6.0, until_s, words))
    talk.run(5.9)
    talk.delays = Delays(stt=stt_s)
    spot(talk, until_s + 0.1, "")
    return talk


class TestDoubts:
    def test_the_reply_goes_on_before_the_words_are_known(self) -> None:
        talk = doubtful("")
        talk.run(6.45)
        assert talk.machine.state is State.SPEAKING
        calm = story().run(40.0)
        talk.run(40.0)
        assert len(paused(talk)) == 1 and not talk.told(Interrupted)
        assert talk.audio_s() == pytest.approx(calm.audio_s())
        assert not [asked for at, asked in talk.actions if isinstance(asked, Think) and at > 6.0]

    @pytest.mark.parametrize("stt_s", [0.3, 0.6, 0.8])
    @pytest.mark.parametrize("length_s", [0.1, 0.2, 0.3])
    def test_a_cough_after_a_cough_is_no_sentence(self, stt_s: float, length_s: float) -> None:
        talk = doubtful("", 6.45, stt_s=stt_s)
        talk.speak((6.65, 6.65 + length_s, ""))
        talk.run(12.0)
        assert not talk.told(Interrupted)

    @pytest.mark.parametrize("words", ["stop", "wait", "why is that"])
    def test_late_words_stop_it(self, words: str) -> None:
        talk = doubtful(words, 6.5)
        talk.run(6.72)
        assert talk.machine.state is State.SPEAKING and not talk.told(Interrupted)
        talk.run(9.0)
        assert talk.told(Interrupted)
        assert talk.told(TurnComplete)[0].interrupted
        thinks = [action for _, action in talk.actions if isinstance(action, Think)]
        assert (thinks[-1].messages[-1].content == words) == (words != "stop")

    @pytest.mark.parametrize("words", ["yeah", "hello", "in minute him play"])
    def test_a_murmur_a_misheard_word_and_more_words_than_there_was_time_for_do_not(self, words: str) -> None:
        assert not doubtful(words).run(9.0).told(Interrupted)

    def test_what_is_long_is_waited_for(self) -> None:
        talk = doubtful("turn on the light in the kitchen", 6.7)
        talk.run(7.3)
        assert talk.told(Interrupted) and len(paused(talk)) == 1 and len(speaking(talk)) == 1

    def test_what_goes_on_is_judged_again_whole(self) -> None:
        talk = story()
        talk.speak((6.0, 6.3, "but"), (6.42, 7.4, "what about the dog"))
        spot(talk, 6.4, "")
        talk.run(9.5)
        assert talk.told(Interrupted)
        thinks = [action for _, action in talk.actions if isinstance(action, Think)]
        assert thinks[-1].messages[-1].content == "but what about the dog"

    def test_a_question_at_the_end_of_a_reply_is_not_lost(self) -> None:
        whole = story().run(60.0)
        ends = next(time for time, event in whole.said if isinstance(event, TurnComplete))
        talk = story()
        talk.speak((ends - 0.45, ends - 0.1, "why is that"))
        talk.run(ends - 0.5)
        talk.delays = Delays(stt=1.0)
        spot(talk, ends + 0.03, "")
        talk.run(ends + 4.0)
        thinks = [action for _, action in talk.actions if isinstance(action, Think)]
        assert thinks[-1].messages[-1].content == "why is that"

    @pytest.mark.parametrize("failing", [0, 1])
    def test_nobody_listens_on_when_all_is_said(self, failing: int) -> None:
        talk = story()
        talk.speak((6.0, 6.3, "hello"))
        talk.run(5.9)
        talk.failing, talk.delays = failing and 9, Delays(stt=0.4)
        spot(talk, 6.4, "")
        talk.run(9.0)
        begun = {action.turn for _, action in talk.actions if isinstance(action, Listen)}
        ended = {action.turn for _, action in talk.actions if isinstance(action, StopListening)}
        assert begun == ended and not talk.told(Interrupted)

    def test_a_new_sound_takes_its_place(self) -> None:
        talk = doubtful("hello", stt_s=2.0)
        talk.speak((7.0, 7.9, "what time is it"))
        talk.run(7.6)
        talk.delays = Delays()
        talk.run(12.0)
        thinks = [action for _, action in talk.actions if isinstance(action, Think)]
        assert talk.told(Interrupted) and thinks[-1].messages[-1].content == "what time is it"
        asked = {action.revision for _, action in talk.actions if isinstance(action, Transcribe)}
        assert asked >= {action.revision for _, action in talk.actions if isinstance(action, Abandon)} - {0}

    def test_a_question_that_is_spotted_whole_interrupts(self) -> None:
        talk = story()
        talk.speak((6.0, 6.3, ""))
        spot(talk, 6.4, "why")
        talk.run(6.45)
        assert talk.told(Interrupted)


class TestHush:
    def test_what_has_died_away_is_asked_about_before_the_detector_says_so(self) -> None:
        talk = Conversation(answer=lambda asked: STORY)
        talk.speak((1.0, 2.0, "tell me a story"), (6.0, 6.5, "stop"))
        talk.run(6.3)
        for frame in range(3):
            at_s = 6.3 + 0.001 * frame
            talk.at(at_s, heard.AudioClock(talk.heard_s + 0.032 * (frame + 1), True, hushed=True))
        talk.run(6.31)
        asked = [at for at, action in talk.actions if isinstance(action, Transcribe) and at > 6.0]
        assert 6.3 <= asked[-1] <= 6.31

    def test_fifteen_decibels_below_the_loudest_of_speech(self) -> None:
        level_drop = LevelDrop()
        assert not level_drop.step(20.0, False) and not level_drop.step(60.0, True)
        assert not level_drop.step(46.0, True) and level_drop.step(43.0, True)
        assert not level_drop.step(20.0, False), "no speech, no end of it"
        assert not level_drop.step(30.0, True), "what was loud before counts no more"

    def test_a_voice_is_gone_where_it_is_far_quieter_for_longer_than_a_closure(self) -> None:
        level_drop, gone = LevelDrop(), []
        for level_db in (60.0, 30.0, 30.0, 58.0, 30.0, 28.0, 31.0, 30.0, 40.0):
            level_drop.step(level_db, True)
            gone.append(level_drop.gone)
        assert gone == [False] * 6 + [True, True, False]
        level_drop.step(30.0, True)
        level_drop.step(20.0, False)
        level_drop.step(20.0, True)
        assert not level_drop.gone, "of an earlier sound"


@pytest.mark.parametrize("stt_s", [0.1, 0.6, 3.0])
@pytest.mark.parametrize("gap_s", [0.3, 0.5])
def test_a_sentence_after_two_short_words_is_heard_whole(stt_s: float, gap_s: float) -> None:
    """The reply may go on at its first sound, for there was nothing before it, but no longer than that."""
    talk = story()
    second_s = 6.16 + gap_s
    third_s = second_s + 0.16 + gap_s
    talk.speak((6.0, 6.16, "bip"), (second_s, second_s + 0.16, "bop"), (third_s, third_s + 1.8, "call me a taxi"))
    talk.run(5.9)
    talk.delays = Delays(stt=stt_s)
    talk.run(60.0)
    assert talk.told(Interrupted) and "call me a taxi" in talk.told(TurnComplete)[-1].input_transcript


def test_coughs_hold_a_reply_for_no_longer_than_one_sound_may() -> None:
    talk = story()
    talk.speak(*((6.0 + 0.45 * number, 6.15 + 0.45 * number, "") for number in range(12)))
    talk.run(5.9)
    talk.delays = Delays(stt=5.0)
    talk.run(7.3)
    assert speaking(talk)[-1] > 6.0 and not talk.told(Interrupted)
