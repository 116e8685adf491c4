"""The turn machine alone: what it wants done and says, for what it hears, on a virtual clock.

Why this file is long: one machine's states, told in the order in which a conversation meets them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.voice.conversation import RATE_HZ, Conversation, Delays
from voice.session.config import AudioConfig, SessionConfig, TurnConfig, TurnDetection, WakeConfig
from voice.session.outgoing import (
    AudioOut,
    ErrorOut,
    Interrupted,
    SpeechStarted,
    SpeechStopped,
    StateOut,
    TextOut,
    TranscriptOut,
    TurnCommitted,
    TurnComplete,
    WakeOut,
    WakeWordRequired,
)
from voice.settings import TurnSettings
from voice.turn import events as heard
from voice.turn.actions import Abandon, Listen, Speak, StopListening, Think, Transcribe
from voice.turn.machine import State

AUDIO = AudioConfig(sample_rate=RATE_HZ)
MANUAL = SessionConfig(audio=AUDIO, turn_detection=TurnDetection(type="none"))
LONG = " ".join(
    f"Once there was a {animal}, and it lived by the sea with its {animal} friends."
    for animal in ("cat", "dog", "hen", "fox", "bear", "owl")
)


def waking(mode: str = "pre", words: tuple[str, ...] = ("alexa",), **turn: float) -> SessionConfig:
    return SessionConfig(audio=AUDIO, wake=WakeConfig(True, words, mode), turn=TurnConfig(**turn))  # type: ignore[arg-type]


class TestOneTurn:
    def test_a_question_is_answered_once(self) -> None:
        talk = Conversation()
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(12.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.input_transcript == "what time is it"
        assert turn.output_transcript == turn.heard_transcript == talk.answer("what time is it")
        assert not turn.interrupted
        assert (turn.tokens_in, turn.tokens_out) == (40, len(turn.output_transcript.split()))
        assert "".join(event.text for event in talk.told(TextOut)).strip() == turn.output_transcript
        assert talk.told(TextOut)[-1].is_final
        assert talk.machine.state is State.IDLE

    def test_the_audio_of_the_turn_begins_before_the_onset(self) -> None:
        talk = Conversation()
        talk.speak((1.0, 2.0, "hello"))
        talk.run(8.0)
        (listen,) = [action for _, action in talk.actions if isinstance(action, Listen)]
        assert listen.from_s == pytest.approx(1.0 - talk.settings.preroll_ms / 1000)

    def test_the_answer_is_ready_when_the_silence_is_over(self) -> None:
        """STT, first token and first clause take 330 ms and hide in the 500 ms of silence."""
        talk = Conversation(delays=Delays(stt=0.1, first_token=0.1, token=0.005, tts=0.05))
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(12.0)
        endpoint = talk.time_of(SpeechStopped)
        assert 2.5 <= endpoint <= 2.54
        assert talk.time_of(AudioOut) == endpoint

    def test_nothing_of_it_is_told_before(self) -> None:
        talk = Conversation(delays=Delays(stt=0.01, first_token=0.01, token=0.001, tts=0.01))
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(2.45)
        assert [type(event) for _, event in talk.said] == [SpeechStarted, StateOut]
        assert any(isinstance(action, Speak) for _, action in talk.actions)

    def test_without_speculation_the_model_waits_for_the_endpoint(self) -> None:
        talk = Conversation(settings=TurnSettings(speculate=False))
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(12.0)
        thought = next(time for time, action in talk.actions if isinstance(action, Think))
        assert thought >= 2.5
        assert len(talk.told(TurnComplete)) == 1

    def test_latency_is_counted_from_the_last_speech_sample(self) -> None:
        talk = Conversation(delays=Delays(stt=0.01, first_token=0.01, token=0.001, tts=0.01))
        talk.speak((1.0, 2.0, "hello"))
        talk.run(12.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.latency["endpoint"] == pytest.approx(500, abs=40)
        assert turn.latency_ms == pytest.approx((talk.time_of(AudioOut) - 2.0) * 1000, abs=1)
        assert turn.latency["transcript"] < turn.latency["first_token"] <= turn.latency["first_clause"]

    def test_audio_is_paced_with_a_bounded_lead(self) -> None:
        talk = Conversation(answer=lambda asked: LONG)
        talk.speak((1.0, 2.0, "tell me a story"))
        talk.run(60.0)
        begun = talk.time_of(AudioOut)
        sent = 0.0
        for time, event in talk.said:
            if isinstance(event, AudioOut):
                sent += len(event.pcm) / event.rate_hz
                assert sent <= time - begun + talk.settings.lead_ms / 1000 + 0.01
        (turn,) = talk.told(TurnComplete)
        assert turn.heard_transcript == LONG

    def test_each_piece_of_audio_names_its_clause(self) -> None:
        talk = Conversation(answer=lambda asked: "Well, this is one. And this is the other one, which is longer.")
        talk.speak((1.0, 2.0, "hello"))
        talk.run(20.0)
        pieces = [piece for piece in talk.told(AudioOut) if len(piece.pcm)]
        begun = [piece.text for piece in pieces if piece.starts_clause]
        assert begun == list(dict.fromkeys(piece.text for piece in pieces))
        assert talk.told(AudioOut)[-1].is_last

    def test_the_history_reaches_the_next_prompt(self) -> None:
        talk = Conversation(answer=lambda asked: "Fine.")
        talk.speak((1.0, 2.0, "how are you"), (6.0, 7.0, "and now"))
        talk.run(12.0)
        prompts = [action.messages for _, action in talk.actions if isinstance(action, Think)]
        assert [message.content for message in prompts[-1]] == ["Be brief.", "how are you", "Fine.", "and now"]


class TestPauses:
    def test_a_pause_in_a_sentence_loses_no_words_and_answers_once(self) -> None:
        talk = Conversation()
        talk.speak((1.0, 2.0, "set a timer"), (2.35, 3.0, "for five minutes"))
        talk.run(14.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.input_transcript == "set a timer for five minutes"
        dropped = [action for _, action in talk.actions if isinstance(action, Abandon)]
        assert len(dropped) == 2, "the first revision, and the finished one's tidying up"

    def test_speech_that_goes_on_just_after_the_endpoint_reopens_the_turn(self) -> None:
        """The answer had not begun to sound: the user was not answering it."""
        talk = Conversation(delays=Delays(stt=0.3, first_token=0.5))
        talk.speak((1.0, 2.0, "set a timer"), (2.6, 3.4, "for five minutes"))
        talk.run(14.0)
        final = talk.told(TurnComplete)[-1]
        assert final.input_transcript == "set a timer for five minutes"
        assert not final.interrupted
        assert [exchange.user for exchange in talk.machine.history.exchanges] == ["set a timer for five minutes"]

    def test_an_onset_at_the_very_endpoint_is_not_lost(self) -> None:
        for gap_ms in range(400, 700, 8):
            talk = Conversation(delays=Delays(stt=0.3, first_token=0.5))
            begin = 2.0 + gap_ms / 1000
            talk.speak((1.0, 2.0, "one two"), (begin, begin + 0.8, "three four"))
            talk.run(14.0)
            users = " ".join(exchange.user for exchange in talk.machine.history.exchanges)
            assert users == "one two three four", f"gap of {gap_ms} ms"

    def test_a_microphone_that_stops_ends_the_turn(self) -> None:
        talk = Conversation()
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(12.0, microphone_until_s=2.2)
        assert talk.told(TurnComplete)[0].input_transcript == "what time is it"

    def test_a_microphone_that_stops_in_the_middle_of_a_word_ends_the_turn(self) -> None:
        talk = Conversation()
        talk.at(1.1, heard.SpeechBegan(1.0))
        talk._speech.append((1.0, 9.0, "what time is it"))
        talk.run(12.0, microphone_until_s=2.0)
        assert talk.told(TurnComplete)[0].input_transcript == "what time is it"

    def test_a_turn_has_an_absolute_end(self) -> None:
        talk = Conversation(settings=TurnSettings(max_turn_s=5.0))
        talk.speak((1.0, 30.0, "bla bla"))
        talk.run(8.0)
        assert 5.6 <= talk.time_of(SpeechStopped) <= 6.1

    def test_noise_without_words_is_no_turn(self) -> None:
        talk = Conversation()
        talk.speak((1.0, 1.5, ""))
        talk.run(8.0)
        assert not talk.told(TurnComplete) and not talk.told(ErrorOut)
        (told,) = talk.told(TranscriptOut)
        assert told.text == "" and told.is_final, "the client is told that no words were made out"
        assert talk.machine.state is State.IDLE


class TestInterruption:
    def story(self, **change: object) -> Conversation:
        talk = Conversation(answer=lambda asked: LONG if "story" in asked else "Okay.", **change)  # type: ignore[arg-type]
        talk.speak((1.0, 2.0, "tell me a story"))
        return talk

    def test_speech_stops_the_reply_and_is_the_next_turn(self) -> None:
        talk = self.story()
        talk.speak((6.0, 7.0, "how old are you"))
        talk.run(14.0)
        first, second = talk.told(TurnComplete)
        assert first.interrupted and not second.interrupted
        assert second.input_transcript == "how old are you"
        assert first.output_transcript.startswith(first.heard_transcript)
        assert 0 < len(first.heard_transcript) < len(first.output_transcript)
        assert talk.told(Interrupted)[0].partial_output == first.heard_transcript

    def test_an_interruption_without_words_is_no_wake_word_matter(self) -> None:
        """A long noise stops the reply; nobody asked for a wake word, so nobody hears of one afterwards."""
        talk = self.story()
        talk.speak((6.0, 7.5, ""))
        talk.run(30.0)
        assert [turn.interrupted for turn in talk.told(TurnComplete)] == [True]
        assert talk.told(TranscriptOut)[-1].text == ""
        assert not talk.told(ErrorOut)
        assert talk.machine.state is State.IDLE

    def test_output_is_held_at_the_onset_and_stops_when_words_are_known(self) -> None:
        talk = self.story()
        talk.speak((6.0, 7.0, "how old are you"))
        talk.run(14.0)
        late = [time for time, event in talk.said if isinstance(event, AudioOut) and event.reply == "reply-1"]
        assert max(late) <= 6.1
        assert talk.time_of(Interrupted) <= 6.55

    def test_a_cough_is_not_an_interruption_and_not_a_sample_is_lost(self) -> None:
        calm, disturbed = self.story(), self.story()
        disturbed.speak((6.0, 6.2, ""))
        calm.run(60.0)
        disturbed.run(60.0)
        assert [turn.interrupted for turn in disturbed.told(TurnComplete)] == [False]
        assert disturbed.audio_s() == pytest.approx(calm.audio_s())
        assert [event.state for event in disturbed.told(StateOut)].count("paused") == 1

    @pytest.mark.parametrize("word", ["yeah", "mm-hm", "okay", "right"])
    def test_a_back_channel_does_not_stop_the_reply(self, word: str) -> None:
        talk = self.story()
        talk.speak((6.0, 6.3, word))
        talk.run(60.0)
        assert [turn.interrupted for turn in talk.told(TurnComplete)] == [False]

    @pytest.mark.parametrize("word", ["stop", "wait", "no"])
    def test_a_short_stop_word_does(self, word: str) -> None:
        talk = self.story()
        talk.speak((6.0, 6.3, word))
        talk.run(60.0)
        assert talk.told(TurnComplete)[0].interrupted

    def test_the_heard_part_is_marked_in_the_next_prompt(self) -> None:
        talk = self.story()
        talk.speak((6.0, 7.0, "how old are you"))
        talk.run(14.0)
        prompt = [action.messages for _, action in talk.actions if isinstance(action, Think)][-1]
        heard_text = talk.told(TurnComplete)[0].heard_transcript
        assert prompt[2].content == f"{heard_text} [INTERRUPTED BY USER]"

    def test_the_client_can_interrupt(self) -> None:
        talk = self.story()
        talk.at(6.0, heard.InterruptAsked())
        talk.run(14.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.interrupted
        assert not [time for time, event in talk.said if isinstance(event, AudioOut) and time > 6.0]
        assert talk.machine.state is State.IDLE

    def test_an_interrupt_with_nothing_running_changes_nothing(self) -> None:
        talk = Conversation()
        talk.at(1.0, heard.InterruptAsked())
        talk.run(2.0)
        assert not talk.said

    def test_typed_text_interrupts_too(self) -> None:
        talk = self.story()
        talk.at(6.0, heard.Typed("never mind"))
        talk.run(14.0)
        first, second = talk.told(TurnComplete)
        assert first.interrupted and second.input_transcript == "never mind"

    def test_our_own_words_from_the_loudspeaker_do_not_stop_us(self) -> None:
        config = SessionConfig(audio=AUDIO, turn=TurnConfig(echo="speaker"))
        talk = self.story(config=config)
        talk.speak((6.0, 6.7, "and it lived by the sea"))
        talk.run(60.0)
        assert [turn.interrupted for turn in talk.told(TurnComplete)] == [False]
        other = self.story(config=config)
        other.speak((6.0, 6.7, "what time is it"))
        other.run(60.0)
        assert other.told(TurnComplete)[0].interrupted

    def test_barge_in_can_be_switched_off(self) -> None:
        config = SessionConfig(audio=replace(AUDIO, allow_interrupt=False))
        talk = self.story(config=config)
        talk.speak((6.0, 7.0, "how old are you"))
        talk.run(60.0)
        assert [turn.interrupted for turn in talk.told(TurnComplete)] == [False, False], "it is answered afterwards"

    def test_speech_that_could_not_interrupt_is_heard_when_the_reply_is_over(self) -> None:
        config = SessionConfig(audio=replace(AUDIO, allow_interrupt=False))
        talk = Conversation(answer=lambda asked: "Fine, thank you very much.", config=config)
        talk.speak((1.0, 2.0, "how are you"), (3.0, 6.0, "and what is the capital of france"))
        talk.run(16.0)
        assert [turn.input_transcript for turn in talk.told(TurnComplete)][-1] == "and what is the capital of france"

    def test_a_reporting_client_corrects_what_was_heard(self) -> None:
        slow = self.story()
        for tenth in range(1, 36):
            slow.at(2.6 + tenth / 10, heard.PlayedReport("reply-1", max(0.0, tenth - 20) * 100))
        slow.at(6.2, heard.InterruptAsked())
        slow.run(8.0)
        prompt = self.story()
        prompt.at(6.2, heard.InterruptAsked())
        prompt.run(8.0)
        lag = len(prompt.told(Interrupted)[0].partial_output) - len(slow.told(Interrupted)[0].partial_output)
        assert lag >= 1.5 * 15

    def test_nothing_of_a_cancelled_reply_is_sent_after_its_end(self) -> None:
        talk = self.story()
        talk.speak((6.0, 7.0, "how old are you"))
        talk.run(30.0)
        end = talk.time_of(TurnComplete)
        assert not [
            e for t, e in talk.said if t > end and isinstance(e, (AudioOut, TextOut)) and e.reply == "reply-1"
        ]


class TestManual:
    def test_silence_does_not_end_a_turn_but_a_commit_does(self) -> None:
        talk = Conversation(config=MANUAL)
        talk.speak((1.0, 2.0, "one"), (4.0, 5.0, "two"))
        talk.at(6.0, heard.Committed(6.0))
        talk.run(14.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.input_transcript == "one two"

    def test_a_commit_takes_audio_that_the_vad_did_not_notice(self) -> None:
        talk = Conversation(config=MANUAL)
        talk._speech.append((1.0, 1.05, "psst"))
        talk._speech.append((1.1, 2.0, "quiet words"))
        talk.at(3.0, heard.Committed(3.0))
        talk.run(9.0)
        assert talk.told(TurnComplete)[0].input_transcript.endswith("quiet words")

    def test_audio_is_used_once(self) -> None:
        talk = Conversation(config=MANUAL, answer=lambda asked: "Yes.")
        talk.speak((1.0, 2.0, "one"), (6.0, 7.0, "two"))
        talk.at(2.5, heard.Committed(2.5))
        talk.at(7.5, heard.Committed(7.5))
        talk.run(14.0)
        assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["one", "two"]

    @pytest.mark.parametrize("switched_s", [4.0, 2.1])
    def test_what_was_said_before_the_switch_to_turn_detection_ends_by_its_silence(self, switched_s: float) -> None:
        talk = Conversation(config=MANUAL)
        talk.speak((1.0, 2.0, "one"))
        talk.at(switched_s, heard.ConfigChanged(SessionConfig(audio=AUDIO)))
        talk.run(9.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.input_transcript == "one"
        assert talk.time_of(SpeechStopped) == pytest.approx(max(2.5, switched_s), abs=0.1)

    def test_who_speaks_on_through_the_switch_to_turn_detection_is_heard_to_the_end(self) -> None:
        talk = Conversation(config=MANUAL)
        talk.speak((1.0, 4.0, "one and two"))
        talk.at(2.0, heard.ConfigChanged(SessionConfig(audio=AUDIO)))
        talk.at(2.13, heard.SpeechBegan(2.03))  # the ears begin anew
        talk.run(12.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.input_transcript == "one and two" and talk.time_of(SpeechStopped) > 4.4
        assert len(talk.told(SpeechStarted)) == len(talk.told(SpeechStopped)) == 1

    def test_a_commit_without_audio_or_words_is_an_error(self) -> None:
        talk = Conversation(config=MANUAL)
        talk.at(0.05, heard.Committed(0.05))
        talk.at(3.0, heard.Committed(3.0))
        talk.run(6.0)
        assert [event.code for event in talk.told(ErrorOut)] == ["empty_audio", "empty_request"]

    def test_clear_forgets_the_turn(self) -> None:
        talk = Conversation(config=MANUAL)
        talk.speak((1.0, 2.0, "one"), (3.0, 4.0, "two"))
        talk.at(2.5, heard.Cleared(2.5))
        talk.at(4.5, heard.Committed(4.5))
        talk.run(9.0)
        assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["two"]

    def test_a_commit_ends_an_automatic_turn_at_once(self) -> None:
        talk = Conversation()
        talk.speak((1.0, 2.0, "one"))
        talk.at(2.05, heard.Committed(2.05))
        talk.run(9.0)
        assert talk.time_of(SpeechStopped) == 2.05
        assert len(talk.told(TurnComplete)) == 1

    def test_a_late_commit_of_a_client_with_its_own_endpointing_does_no_harm(self) -> None:
        talk = Conversation()
        talk.speak((1.0, 2.0, "one"))
        talk.at(2.9, heard.Committed(2.9))
        talk.run(12.0)
        assert [turn.interrupted for turn in talk.told(TurnComplete)] == [False]

    def test_a_recording_sent_faster_than_time_is_one_turn(self) -> None:
        """All audio and the commit arrive at once; the ears catch up afterwards."""
        talk = Conversation()
        talk._speech.append((0.3, 2.0, "what time is it"))
        talk.at(0.01, heard.Committed(2.5))
        talk.at(0.02, heard.SpeechBegan(0.3))
        talk.at(0.03, heard.SpeechEnded(2.0))
        talk.at(0.04, heard.AudioClock(2.5, False))
        talk._words = lambda from_s, until_s: "what time is it"  # type: ignore[method-assign]
        talk.run(12.0, microphone_until_s=0.0)
        assert [turn.interrupted for turn in talk.told(TurnComplete)] == [False]


class TestWakeWords:
    alexa = frozenset({"alexa"})

    def test_asleep_nothing_is_transcribed(self) -> None:
        talk = Conversation(config=waking(), audible=self.alexa)
        talk.speak((1.0, 2.0, "what time is it"))
        talk.run(8.0)
        assert not [action for _, action in talk.actions if isinstance(action, (Transcribe, Listen, Think))]
        assert len(talk.told(WakeWordRequired)) == 1
        assert talk.machine.state is State.ASLEEP

    def test_pre_drops_what_came_before(self) -> None:
        talk = Conversation(config=waking(), audible=self.alexa)
        talk.speak((1.0, 1.8, "bla"), (1.8, 2.3, "alexa"), (2.3, 3.0, "turn on the light"))
        talk.at(2.45, heard.WakeWord("alexa", 0.9, 1.8, 2.3))
        talk.run(10.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.input_transcript == "turn on the light"
        assert talk.told(WakeOut)[0].word == "alexa"
        assert talk.machine.state is State.ASLEEP

    def test_pre_waits_for_the_request_after_a_pause(self) -> None:
        talk = Conversation(config=waking(), audible=self.alexa)
        talk.speak((1.0, 1.6, "alexa"), (3.5, 4.5, "turn on the light"))
        talk.at(1.7, heard.WakeWord("alexa", 0.9, 1.0, 1.6))
        talk.run(12.0)
        assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["turn on the light"]

    def test_a_wake_word_that_is_known_late_still_opens(self) -> None:
        talk = Conversation(config=waking(), audible=self.alexa)
        talk.speak((1.0, 1.6, "alexa"), (1.65, 2.2, "turn on the light"))
        talk.at(2.5, heard.WakeWord("alexa", 0.9, 1.0, 1.6))
        talk.run(12.0)
        assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["turn on the light"]

    def test_the_wake_word_alone_is_told_after_a_while(self) -> None:
        talk = Conversation(config=waking(), audible=self.alexa)
        talk.speak((1.0, 1.6, "alexa"))
        talk.at(1.7, heard.WakeWord("alexa", 0.9, 1.0, 1.6))
        talk.run(12.0)
        assert [event.code for event in talk.told(ErrorOut)] == ["empty_request"]
        assert talk.machine.state is State.ASLEEP

    def test_post_takes_what_came_before(self) -> None:
        talk = Conversation(config=waking("post"), audible=self.alexa)
        talk.speak((1.0, 2.0, "turn on the light"), (2.1, 2.6, "alexa"))
        talk.at(2.7, heard.WakeWord("alexa", 0.9, 2.1, 2.6))
        talk.run(10.0)
        assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["turn on the light"]

    @pytest.mark.parametrize("words", [("alexa",), ("computer",)], ids=["heard", "in the transcript"])
    @pytest.mark.parametrize("pause_s", [0.1, 0.8, 1.6])
    def test_post_takes_what_came_before_a_pause(self, pause_s: float, words: tuple[str, ...]) -> None:
        talk = Conversation(config=waking("post", words=words), audible=self.alexa)
        talk.speak((1.0, 2.0, "turn on the light"), (2.0 + pause_s, 2.6 + pause_s, words[0]))
        if words == ("alexa",):
            talk.at(2.7 + pause_s, heard.WakeWord("alexa", 0.9, 2.0 + pause_s, 2.6 + pause_s))
        talk.run(10.0)
        assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["turn on the light"]
        assert not talk.told(WakeWordRequired) and not talk.told(ErrorOut)

    def test_post_in_the_transcript_is_answered_as_soon_as_it_is_there_and_refused_without_it(self) -> None:
        talk = Conversation(config=waking("post", words=("computer",)), audible=self.alexa)
        talk.speak((1.0, 2.0, "turn on the light"), (2.0, 2.6, "computer"), (20.0, 21.0, "turn it off"))
        talk.run(26.0)
        assert len(talk.told(TurnComplete)) == len(talk.told(WakeWordRequired)) == 1
        assert talk.time_of(TurnCommitted) == pytest.approx(2.6 + 0.5, abs=0.05)

    def test_post_with_nothing_before_is_an_error(self) -> None:
        talk = Conversation(config=waking("post"), audible=self.alexa)
        talk.speak((2.1, 2.6, "alexa"))
        talk.at(2.7, heard.WakeWord("alexa", 0.9, 2.1, 2.6))
        talk.run(10.0)
        assert [event.code for event in talk.told(ErrorOut)] == ["empty_request"]
        assert not talk.told(TurnComplete)

    @pytest.mark.parametrize("pause_s", [1.0, 4.0])
    def test_mid_said_alone_waits_for_the_request(self, pause_s: float) -> None:
        talk = Conversation(config=waking("mid"), audible=self.alexa)
        talk.speak((1.0, 1.6, "alexa"), (1.6 + pause_s, 2.6 + pause_s, "turn on the light"))
        talk.at(1.7, heard.WakeWord("alexa", 0.9, 1.0, 1.6))
        talk.run(14.0)
        assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["turn on the light"]
        assert not talk.told(ErrorOut)

    @pytest.mark.parametrize("stt_s", [0.1, 1.0, 2.5])
    @pytest.mark.parametrize("pause_s", [0.7, 1.2, 2.0])
    def test_mid_said_alone_loses_nothing_of_the_request_while_its_words_are_awaited(
        self, pause_s: float, stt_s: float
    ) -> None:
        talk = Conversation(config=waking("mid"), audible=self.alexa, delays=Delays(stt=stt_s))
        talk.speak((1.0, 1.6, ""), (1.6 + pause_s, 2.2 + pause_s, "turn on the light"))
        talk.at(1.7, heard.WakeWord("alexa", 0.9, 1.0, 1.6))
        talk.run(16.0)
        assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["turn on the light"]
        assert not talk.told(ErrorOut)

    def test_mid_said_alone_is_told_after_a_while(self) -> None:
        talk = Conversation(config=waking("mid"), audible=self.alexa)
        talk.speak((1.0, 1.6, "alexa"), (12.0, 13.0, "turn on the light"))
        talk.at(1.7, heard.WakeWord("alexa", 0.9, 1.0, 1.6))
        talk.run(20.0)
        assert [event.code for event in talk.told(ErrorOut)] == ["empty_request"]
        assert not talk.told(TurnComplete)

    def test_a_phrase_said_alone_is_told_at_once_and_the_request_may_follow(self) -> None:
        talk = Conversation(config=waking(words=("computer",)), audible=self.alexa)
        talk.speak((1.0, 1.6, "computer"), (4.0, 5.0, "what time is it"), (25.0, 26.0, "what time is it"))
        talk.run(30.0)
        assert [event.code for event in talk.told(ErrorOut)] == ["empty_request"]
        assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["what time is it"]
        assert len(talk.told(WakeWordRequired)) == 1

    def test_mid_cuts_the_word_out(self) -> None:
        talk = Conversation(config=waking("mid"), audible=self.alexa)
        talk.speak((1.0, 2.0, "turn on alexa the light"))
        talk.at(1.7, heard.WakeWord("alexa", 0.9, 1.3, 1.6))
        talk.run(10.0)
        assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["turn on the light"]

    def test_mid_works_when_the_word_is_known_after_the_speech(self) -> None:
        talk = Conversation(config=waking("mid"), audible=self.alexa)
        talk.speak((1.0, 2.0, "turn on the light alexa"))
        talk.at(2.2, heard.WakeWord("alexa", 0.9, 1.7, 2.0))
        talk.run(10.0)
        assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["turn on the light"]

    def test_a_word_without_a_model_is_looked_for_in_the_text(self) -> None:
        talk = Conversation(config=waking(words=("computer",)), audible=self.alexa)
        talk.speak((1.0, 2.0, "what time is it"), (5.0, 6.0, "computer what time is it"))
        talk.run(14.0)
        assert len(talk.told(WakeWordRequired)) == 1
        assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["what time is it"]

    def test_the_wake_word_interrupts_a_reply_and_speech_alone_does_not(self) -> None:
        talk = Conversation(config=waking(), audible=self.alexa, answer=lambda asked: LONG)
        talk.speak(
            (1.0, 1.6, "alexa"), (1.6, 2.5, "tell me a story"), (7.0, 8.0, "bla bla"), (11.0, 12.5, "alexa stop")
        )
        talk.at(1.7, heard.WakeWord("alexa", 0.9, 1.0, 1.6))
        talk.at(11.6, heard.WakeWord("alexa", 0.9, 11.0, 11.5))
        talk.run(13.5)
        assert talk.told(TurnComplete)[0].interrupted
        assert talk.time_of(TurnComplete) == pytest.approx(11.6)

    def test_after_a_reply_the_follow_up_window_is_open(self) -> None:
        talk = Conversation(config=waking(follow_up_s=5.0), audible=self.alexa, answer=lambda asked: "Done.")
        talk.speak((1.0, 1.6, "alexa"), (1.6, 2.5, "light on"), (5.0, 6.0, "and off"), (20.0, 21.0, "and on"))
        talk.at(1.7, heard.WakeWord("alexa", 0.9, 1.0, 1.6))
        talk.run(26.0)
        assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["light on", "and off"]

    def test_typed_words_need_it_too(self) -> None:
        talk = Conversation(config=waking(), audible=self.alexa)
        talk.at(1.0, heard.Typed("what time is it"))
        talk.at(2.0, heard.Typed("alexa what time is it"))
        talk.at(3.0, heard.Typed("alexa"))
        talk.run(9.0)
        assert len(talk.told(WakeWordRequired)) == 1
        assert talk.told(TurnComplete)[0].input_transcript == "what time is it"
        assert [event.code for event in talk.told(ErrorOut)] == ["empty_request"]


class TestFaults:
    def test_a_recogniser_that_fails_is_told_and_the_next_turn_works(self) -> None:
        talk = Conversation()
        talk.speak((1.0, 2.0, "one"), (6.0, 7.0, "two"))
        talk.run(2.0)
        talk.failing = 3
        talk.run(14.0)
        assert [event.code for event in talk.told(ErrorOut)] == ["stt_failed"]
        assert talk.told(TurnComplete)[-1].input_transcript == "two"

    def test_a_model_that_fails_ends_the_turn_after_what_it_wrote(self) -> None:
        talk = Conversation(delays=Delays(first_token=9.0))
        talk.at(1.0, heard.Typed("hello"))
        talk.at(1.1, heard.TokensArrived(1, "I think, "))
        talk.at(1.2, heard.MindFailed(1, "worker_died", "dead", "again"))
        talk.run(6.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.output_transcript == "I think,"
        assert [event.code for event in talk.told(ErrorOut)] == ["worker_died"]

    def test_a_speculation_that_fails_is_tried_again_when_confirmed(self) -> None:
        talk = Conversation(delays=Delays(stt=0.05))
        talk.speak((1.0, 2.0, "hello"))
        talk.at(2.25, heard.MindFailed(2, "worker_died", "dead", "again"))
        talk.run(9.0)
        assert not talk.told(ErrorOut)
        assert len([action for _, action in talk.actions if isinstance(action, Think)]) == 2

    def test_a_reply_that_is_cut_off_is_charged_for_what_it_used(self) -> None:
        talk = Conversation(delays=Delays(first_token=9.0))
        talk.at(1.0, heard.Typed("hello"))
        talk.at(1.1, heard.TokensArrived(1, "I think, "))
        talk.at(1.2, heard.UsageKnown(1, 321, 4))
        talk.at(2.0, heard.InterruptAsked())
        talk.run(3.0)
        (turn,) = talk.told(TurnComplete)
        assert (turn.tokens_in, turn.tokens_out) == (321, 4)

    def test_a_voice_that_fails_leaves_the_text(self) -> None:
        talk = Conversation(delays=Delays(tts=99.0), answer=lambda asked: "Fine.")
        talk.at(1.0, heard.Typed("hello"))
        talk.at(2.0, heard.ClauseFailed(1, 0, "tts_failed", "dead", "again"))
        talk.run(6.0)
        (turn,) = talk.told(TurnComplete)
        assert turn.output_transcript == "Fine." and not turn.heard_transcript
        assert (turn.status, turn.reason) == ("failed", "tts_failed")
        assert [event.code for event in talk.told(ErrorOut)] == ["tts_failed"]

    def test_a_voice_that_fails_in_the_pause_is_told_once_it_is_confirmed(self) -> None:
        talk = Conversation(delays=Delays(stt=0.05, first_token=0.02, tts=99.0), answer=lambda asked: "Fine.")
        talk.speak((1.0, 2.0, "hello"))
        talk.at(2.4, heard.ClauseFailed(2, 0, "bad_input", "no such voice", "use default"))
        talk.run(8.0)
        (error,) = talk.told(ErrorOut)
        (turn,) = talk.told(TurnComplete)
        assert (error.code, error.hint) == ("bad_input", "use default")
        assert (turn.status, turn.reason) == ("failed", "bad_input")

    def test_a_voice_that_fails_at_every_clause_is_told_once_a_turn(self) -> None:
        talk = Conversation(delays=Delays(tts=99.0), answer=lambda asked: LONG)
        for number, at in ((1, 1.0), (2, 20.0)):
            talk.at(at, heard.Typed("hello"))
            for clause in range(8):
                talk.at(at + 2.0 + clause, heard.ClauseFailed(number, clause, "bad_input", "no such voice", ""))
        talk.run(40.0)
        assert [error.code for error in talk.told(ErrorOut)] == ["bad_input", "bad_input"]
        assert [turn.status for turn in talk.told(TurnComplete)] == ["failed", "failed"]

    def test_a_reply_that_hangs_is_given_up(self) -> None:
        talk = Conversation(delays=Delays(first_token=999.0))
        talk.at(1.0, heard.Typed("hello"))
        talk.run(90.0)
        assert [event.code for event in talk.told(ErrorOut)] == ["reply_timeout"]
        assert len(talk.told(TurnComplete)) == 1
        assert talk.machine.state is State.IDLE

    def test_a_client_that_is_gone_ends_everything_and_keeps_what_it_heard(self) -> None:
        talk = Conversation(answer=lambda asked: LONG)
        talk.speak((1.0, 2.0, "tell me a story"))
        talk.at(6.0, heard.Closed())
        talk.run(9.0)
        (exchange,) = talk.machine.history.exchanges
        assert exchange.interrupted and 0 < len(exchange.assistant) < len(LONG)
        assert not [time for time, _ in talk.said if time > 6.0]
        assert talk.machine.wakes_at is None or not talk.machine.step(heard.Tick(), 99.0)

    def test_late_results_of_dead_revisions_change_nothing(self) -> None:
        talk = Conversation()
        talk.run(1.0)
        before = talk.machine.state
        for event in (
            heard.TranscriptReady(77, "ghost"),
            heard.TokensArrived(77, "ghost"),
            heard.MindFinished(77, 1, 1),
            heard.ClauseAudio(77, 0, np.zeros(8, np.int16), RATE_HZ),
            heard.PartialTranscript(77, "ghost"),
            heard.PlayedReport("reply-9", 100),
        ):
            assert talk.machine.step(event, 1.0) == []
        assert talk.machine.state is before


def test_a_changed_configuration_counts_from_the_next_turn_on() -> None:
    talk = Conversation(audible=frozenset({"alexa"}))
    talk.at(1.0, heard.ConfigChanged(waking()))
    talk.run(2.0)
    assert talk.machine.state is State.ASLEEP
    talk.at(2.1, heard.ConfigChanged(SessionConfig(audio=AUDIO)))
    talk.run(3.0)
    assert talk.machine.state is State.IDLE


def test_partial_transcripts_are_told_once_each() -> None:
    talk = Conversation()
    talk.speak((1.0, 3.0, "what time is it"))
    talk.run(1.2)
    (listen,) = [action for _, action in talk.actions if isinstance(action, Listen)]
    for at, text in ((1.5, "what"), (1.8, "what"), (2.1, "what time")):
        talk.at(at, heard.PartialTranscript(listen.turn, text))
    talk.run(2.9)
    assert [event.text for event in talk.told(TranscriptOut)] == ["what", "what time"]


def test_every_stream_that_was_opened_is_closed() -> None:
    talk = Conversation(answer=lambda asked: LONG)
    talk.speak((1.0, 2.0, "one"), (6.0, 6.2, ""), (8.0, 9.0, "two"), (12.0, 13.0, "three"))
    talk.at(16.0, heard.InterruptAsked())
    talk.run(20.0)
    opened = {action.turn for _, action in talk.actions if isinstance(action, Listen)}
    closed = {action.turn for _, action in talk.actions if isinstance(action, StopListening)}
    assert opened == closed


def test_an_hour_of_silence_asks_for_nothing() -> None:
    talk = Conversation()
    talk.run(3600.0)
    assert not talk.said and not talk.actions
    assert talk.machine.wakes_at is None
