"""Turn detectors: how long the silence must last, by what is known of the pause."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.smart_turn import MODEL, WHY_NOT
from tests.voice.conversation import RATE_HZ, Conversation
from voice.errors import NoModel
from voice.session.config import AudioConfig, SessionConfig, TurnDetection
from voice.session.outgoing import SpeechStopped, TurnComplete
from voice.settings import TurnSettings
from voice.turn import events as heard
from voice.turn.actions import ScoreTurn
from voice.turn.endpointing import TurnPolicy, detector_name, detectors
from voice.turn_detection.habits import Habits
from voice.turn_detection.load import load_scorer
from voice.turn_detection.log_mel import log_mel
from voice.turn_detection.smart_turn import SmartTurnScorer
from voice.turn_detection.spec import Patience, Pause
from voice.turn_detection.unfinished import unfinished

PATIENCE = Patience(0.5, 4.0)
CONFIG = SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ))


@pytest.mark.parametrize("name", sorted(detectors()))
@pytest.mark.parametrize("probability", [None, 0.0, 0.4, 0.6, 1.0])
@pytest.mark.parametrize("text", [None, "", "and", "what time is it", "x" * 1000])
def test_no_detector_waits_longer_than_the_deadline(name: str, probability: float | None, text: str | None) -> None:
    habits = Habits()
    for _ in range(100):
        habits.went_on(2.9)
    for patience in (PATIENCE, Patience(0.5, 0.5), Patience(3.0, 8.0)):
        silence_s = detectors()[name].make(patience, habits).silence_s(Pause(text, probability))
        assert 0 < silence_s <= patience.deadline_s


@pytest.mark.parametrize(
    "text",
    [
        "turn on the",
        "I would like a coffee and",
        "What is",
        "what's",
        "remind me to",
        "Tell me about",
        "my number is five five",
        "well, um",
        "a coffee, ",
        "ich möchte",
        "licht an und",
        "can you",
        "the meeting is at",
        "wait...",
        "okay, can you",
        "um, tell me about",
        "hey, turn",
        "Now turn on",
        "yes, set a timer",
        "could I have",
        "what time",
        "what time is",
        "what is the price of",
        "what is the best way to",
        "so what's the capital of",
    ],
)
def test_a_clause_that_cannot_end_there(text: str) -> None:
    assert unfinished(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...?",
        "what time is it",
        "turn on the light",
        "turn it off",
        "log in",
        "what is that?",
        "yes",
        "stop",
        "set a timer for 42",
        "one",
        "my number is five five five one two three four",
        "wie spät ist es",
        "mach das licht an",
        "what is the time",
        "what is bread made of",
        "where do you come from",
        "who am I talking to",
        "what time is my alarm set for",
        "tell me what fog is",
        "do you know where my keys are",
        "what animals do I like",
        "and what happened then",
        "which continent is Chile part of",
        "when did I say it was",
        "okay",
        "set a timer for ten minutes",
        "turn it on",
    ],
)
def test_a_clause_that_may_end_there(text: str) -> None:
    assert not unfinished(text)


class TestAdaptive:
    def silence(self, habits: Habits, text: str | None = "what time is it") -> float:
        return detectors()["adaptive"].make(PATIENCE, habits).silence_s(Pause(text))

    def test_of_a_stranger_it_wants_the_configured_silence(self) -> None:
        assert self.silence(Habits()) == PATIENCE.silence_s

    def test_who_pauses_long_is_given_longer_and_who_does_not_is_answered_sooner(self) -> None:
        slow, quick = Habits(), Habits()
        for _ in range(20):
            slow.went_on(0.8)
            quick.went_on(0.2)
        assert self.silence(slow) > 0.85
        assert self.silence(quick) < 0.45

    def test_who_pauses_for_a_second_is_not_cut_off(self) -> None:
        habits = Habits()
        for _ in range(20):
            habits.went_on(1.1)
        assert 1.1 < self.silence(habits) <= 1.5

    def test_one_long_pause_changes_little(self) -> None:
        habits = Habits()
        habits.went_on(1.5)
        assert self.silence(habits) < 0.6

    def test_it_forgets(self) -> None:
        habits = Habits()
        for _ in range(20):
            habits.went_on(0.9)
        for _ in range(60):
            habits.went_on(0.2)
        assert self.silence(habits) < 0.5

    def test_an_unfinished_clause_is_waited_for(self) -> None:
        assert self.silence(Habits(), "turn on the") >= 1.5
        assert self.silence(Habits(), None) == PATIENCE.silence_s


class TestSmartTurn:
    def silence(self, habits: Habits, probability: float | None, text: str | None = "what time is it") -> float:
        return detectors()["smart_turn"].make(PATIENCE, habits).silence_s(Pause(text, probability))

    def test_who_pauses_between_whole_sentences_is_cut_off_at_first_only(self) -> None:
        """Where it is sure, only pauses count that it took for an end: others say nothing of its word."""
        habits, others = Habits(), Habits()
        assert self.silence(habits, 0.97) < PATIENCE.silence_s
        for _ in range(4):
            habits.went_on(0.6, 0.95)
            others.went_on(0.6, 0.1)
            others.went_on(0.6)
        assert 0.6 < self.silence(habits, 0.97) < 0.8
        assert self.silence(others, 0.97) == self.silence(Habits(), 0.97)
        assert self.silence(others, 0.6) > 0.6

    def test_who_does_not_pause_is_answered_no_sooner(self) -> None:
        quick = Habits()
        for _ in range(40):
            quick.went_on(0.15, 0.97)
        for probability in (None, 0.1, 0.6, 0.97):
            assert self.silence(quick, probability) == self.silence(Habits(), probability)

    def test_what_is_not_over_is_waited_for_whatever_is_known(self) -> None:
        slow = Habits()
        for _ in range(20):
            slow.went_on(1.2)
        for habits in (Habits(), slow):
            assert self.silence(habits, 0.1) >= 1.5
            assert self.silence(habits, 0.97, "a coffee and") >= 1.5


class TestChoice:
    def test_mapping_of_openai_turn_detection(self) -> None:
        server, semantic = TurnDetection(), TurnDetection(type="semantic_vad")
        assert detector_name(server, "auto", scoring=False) == "adaptive"
        assert detector_name(server, "auto", scoring=True) == "smart_turn"
        assert detector_name(server, "fixed", scoring=True) == "fixed"
        assert detector_name(replace(server, silence_duration_ms=300), "auto", scoring=True) == "fixed"
        assert detector_name(semantic, "fixed", scoring=True) == "smart_turn"
        assert detector_name(semantic, "adaptive", scoring=True) == "adaptive"

    @pytest.mark.parametrize(
        ("eagerness", "deadline_s"), [("low", 8.0), ("medium", 4.0), ("auto", 4.0), ("high", 2.0)]
    )
    def test_eagerness_is_the_longest_wait(self, eagerness: str, deadline_s: float) -> None:
        detection = TurnDetection(type="semantic_vad", eagerness=eagerness)  # type: ignore[arg-type]
        policy = TurnPolicy(SessionConfig(turn_detection=detection), TurnSettings())
        assert policy.deadline_s == deadline_s

    def test_a_model_that_is_asked_for_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(NoModel):
            load_scorer(TurnSettings(smart_turn_model=str(tmp_path / "none.onnx")), [])
        assert load_scorer(TurnSettings(detector="adaptive"), [tmp_path]) is None


class TestInTheTurnMachine:
    def test_who_stops_at_and_is_waited_for(self) -> None:
        talk = Conversation(config=CONFIG)
        talk.speak((1.0, 2.0, "a coffee and"), (3.1, 4.0, "a tea"))
        talk.run(14.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.input_transcript == "a coffee and a tea"

    def test_with_a_fixed_silence_that_is_two_turns(self) -> None:
        talk = Conversation(config=CONFIG, settings=TurnSettings(detector="fixed"))
        talk.speak((1.0, 2.0, "a coffee and"), (3.1, 4.0, "a tea"))
        talk.run(14.0)
        assert talk.told(TurnComplete)[0].input_transcript == "a coffee and"

    def test_the_deadline_ends_what_never_finishes(self) -> None:
        talk = Conversation(config=CONFIG, settings=TurnSettings(silence_ms=2000, max_silence_ms=2500))
        talk.speak((1.0, 2.0, "a coffee and"))
        talk.run(30.0)
        assert talk.time_of(SpeechStopped) == pytest.approx(4.5, abs=0.05)

    def test_the_speakers_pauses_are_learned(self) -> None:
        talk = Conversation(config=CONFIG, answer=lambda asked: "Yes.")
        at = 1.0
        for _ in range(30):
            talk.speak((at, at + 0.5, "word"))
            at += 0.5 + 0.2
        talk.run(at + 10)
        assert len(talk.told(TurnComplete)) == 1
        assert talk.time_of(SpeechStopped) - (at - 0.2) < 0.46

    @pytest.mark.parametrize("pause_s", [0.6, 0.8])
    def test_who_is_cut_off_in_their_pauses_soon_is_not(self, pause_s: float) -> None:
        """The answer had begun when they went on: such pauses are the speaker's own, too."""
        talk = Conversation(config=CONFIG)
        for number in range(8):
            at = 1.0 + 12 * number
            talk.speak((at, at + 1, "book a table"), (at + 1 + pause_s, at + 2 + pause_s, "near the station"))
        talk.run(100.0)
        stopped = [event.at_s % 12 for event in talk.told(SpeechStopped)]
        ends = [at_s > 2.5 for at_s in stopped]
        assert 1 <= ends.count(False) <= 4 and False not in ends[-4:], stopped
        requests = [turn.input_transcript for turn in talk.told(TurnComplete)]
        assert requests[-4:] == ["book a table near the station"] * 4

    def test_who_says_stop_at_the_first_word_does_not_pause_so_long(self) -> None:
        talk = Conversation(config=CONFIG)
        for number in range(6):
            at = 1.0 + 12 * number
            talk.speak((at, at + 1, "book a table"), (at + 1.8, at + 2.3, "stop"))
        talk.run(100.0)
        ends = [event.at_s % 12 for event in talk.told(SpeechStopped)][::2]
        assert len(ends) == 6 and all(at_s == pytest.approx(2.0, abs=0.1) for at_s in ends)
        assert {turn.input_transcript for turn in talk.told(TurnComplete)} == {"book a table"}

    def test_who_goes_on_before_a_word_of_the_answer_was_heard_has_said_one_turn(self) -> None:
        talk = Conversation(config=CONFIG)
        talk.speak((1.0, 2.0, "book a table"), (2.6, 3.6, "near the station"))
        talk.run(14.0)
        cut, whole = talk.told(TurnComplete)
        assert cut.interrupted and not cut.heard_transcript
        assert whole.input_transcript == "book a table near the station"
        assert [each.user for each in talk.machine.history.exchanges] == ["book a table near the station"]

    def test_who_has_heard_a_word_of_it_interrupts(self) -> None:
        talk = Conversation(config=CONFIG)
        talk.speak((1.0, 2.0, "book a table"), (3.4, 4.4, "near the station"))
        talk.run(14.0)
        assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["book a table", "near the station"]

    @pytest.mark.parametrize(("probability", "low", "high"), [(0.95, 0.3, 0.42), (0.05, 1.4, 1.6)])
    def test_the_models_word_shortens_and_lengthens(self, probability: float, low: float, high: float) -> None:
        talk = Conversation(config=CONFIG, scoring=True)
        talk.probability = lambda: probability
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(14.0)
        assert any(isinstance(action, ScoreTurn) for _, action in talk.actions)
        assert low <= talk.time_of(SpeechStopped) - 2.0 <= high

    def test_who_was_cut_off_by_the_models_word_is_not_cut_off_for_ever(self) -> None:
        """Each first sentence sounds whole, and the second one follows after 0.6 s."""
        talk = Conversation(config=CONFIG, scoring=True)
        talk.probability = lambda: 0.97
        for number in range(10):
            at = 1.0 + 14 * number
            talk.speak((at, at + 1, f"book table {number}"), (at + 1.6, at + 2.6, "near the station"))
        talk.run(145.0)
        ends = [event.at_s % 14 - 1 for event in talk.told(SpeechStopped)]
        assert ends[0] == pytest.approx(1.0, abs=0.1) and all(end > 2.5 for end in ends[-4:])

    def test_a_model_that_does_not_answer_holds_up_nothing(self) -> None:
        talk = Conversation(config=CONFIG, scoring=True)
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(14.0)
        assert talk.time_of(SpeechStopped) == pytest.approx(2.5, abs=0.05)

    def test_a_score_of_a_turn_that_went_on_is_dropped(self) -> None:
        talk = Conversation(config=CONFIG)
        talk.at(2.05, heard.TurnScored(999, 0.0))
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(14.0)
        assert talk.time_of(SpeechStopped) == pytest.approx(2.5, abs=0.05)


class TestFeatures:
    def test_shape_and_range_for_any_length(self) -> None:
        for samples in (0, 1, 400, 16_000, 128_000, 200_000):
            pcm = (np.sin(np.arange(samples) * 0.05) * 8000).astype(np.int16)
            features = log_mel(pcm)
            assert features.shape == (80, 800) and features.dtype == np.float32
            assert np.isfinite(features).all()

    def test_only_the_last_eight_seconds_count(self) -> None:
        rng = np.random.default_rng(1)
        pcm = rng.integers(-5000, 5000, 160_000).astype(np.int16)
        assert np.array_equal(log_mel(pcm), log_mel(pcm[-128_000:]))

    def test_a_tone_lies_in_its_band(self) -> None:
        """1 kHz is 15 mel; 80 bands up to 45.2 mel have their centres 0.559 mel apart."""
        pcm = (np.sin(2 * np.pi * 1000 * np.arange(128_000) / 16_000) * 8000).astype(np.int16)
        assert abs(int(np.argmax(log_mel(pcm)[:, 400])) - round(15 / 0.5587 - 1)) <= 1

    @pytest.mark.skipif(MODEL is None, reason=WHY_NOT)
    def test_the_model_hears(self, testdata: Path) -> None:
        import wave

        assert MODEL is not None
        scorer = SmartTurnScorer(MODEL)
        with wave.open(str(testdata / "speech/commands_human/rs_what_time_is_it.wav")) as file:
            pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        assert scorer.score(pcm) > 0.8
