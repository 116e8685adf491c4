"""The small pure parts around the turn machine: history, ledger, barge-in, gate, patience, audio clock."""

from __future__ import annotations

import pytest

from llm.errors import ContextTooLong
from llm.messages import Message, ToolCall
from voice.ears.audio_time import AudioTime
from voice.measuring.ledger import Ledger, Stage
from voice.session.config import AudioConfig, SessionConfig, TurnConfig, TurnDetection, WakeConfig
from voice.session.outgoing import ErrorOut, WakeWordRequired
from voice.settings import TurnSettings
from voice.turn.back_channels import BACK_CHANNELS
from voice.turn.bargein import QUESTION_WORDS, STOP_WORDS, BargeInRules, Said, Verdict, judge
from voice.turn.endpointing import TurnPolicy
from voice.turn.gate import WAIT_AFTER_WAKE_S, Gate, Request, refusal
from voice.turn.history import History, Item, shorter, without_older_half

RULES = BargeInRules(voiced_ms=384, sure_ms=640)


def talk(*exchanges: tuple[str, str] | tuple[str, str, bool]) -> History:
    """What a user said and heard, in turn."""
    history = History()
    for said, heard, *cut in exchanges:
        history.insert(Item(history.new_id(), Message("user", said)))
        history.insert(Item(history.new_id(), Message("assistant", heard), bool(cut and cut[0])))
    return history


class TestHistory:
    def test_the_prompt(self) -> None:
        history = talk(("hi", "Hello."), ("tell me", "Once upon", True), ("stop", "", True))
        contents = [(m.role, m.content) for m in history.messages("Be brief.", "and now", 20)]
        assert contents == [
            ("system", "Be brief."),
            ("user", "hi"),
            ("assistant", "Hello."),
            ("user", "tell me"),
            ("assistant", "Once upon [INTERRUPTED BY USER]"),
            ("user", "stop"),
            ("assistant", "[INTERRUPTED BY USER]"),
            ("user", "and now"),
        ]

    @pytest.mark.parametrize(("limit", "kept"), [(0, 0), (1, 0), (2, 1), (5, 2), (100, 3)])
    def test_it_is_cut_at_an_exchange(self, limit: int, kept: int) -> None:
        history = talk(*((str(n), "a") for n in range(3)))
        assert len(history.messages("", "x", limit)) == 2 * kept + 1

    def test_it_is_cut_in_steps_so_that_the_beginning_of_the_prompt_stays(self) -> None:
        history, firsts = History(keep=40), []
        for number in range(60):
            history.insert(Item(history.new_id(), Message("user", f"q{number}")))
            history.insert(Item(history.new_id(), Message("assistant", "a")))
            messages = history.messages("", "now", 20)
            assert 10 < len(messages) <= 21 or number < 5
            firsts.append(messages[0].content)
        assert len(set(firsts[9:])) == 11, "a new beginning every fifth turn, and not with each"
        assert len(history.messages("", None, 20)) <= 22

    def test_it_is_bounded(self) -> None:
        history = History(keep=2)
        for number in range(5):
            history.insert(Item(history.new_id(), Message("user", str(number))))
        assert [exchange.user for exchange in history.exchanges] == ["3", "4"]
        assert history.new_id() not in {item.id for item in history.items}

    def test_a_prompt_that_is_too_long_loses_its_older_half_again_and_again(self) -> None:
        history = talk(*((f"q{n}", f"a{n}") for n in range(5)))
        messages = history.messages("Be brief.", "now", 20)
        seen = []
        while True:
            try:
                messages = without_older_half(messages)
            except ContextTooLong:
                break
            seen.append([message.content for message in messages])
        assert seen == [
            ["Be brief.", "q3", "a3", "q4", "a4", "now"],
            ["Be brief.", "q4", "a4", "now"],
            ["Be brief.", "now"],
        ]

    def test_one_that_is_still_too_long_loses_what_tools_gave_too_much(self) -> None:
        call = ToolCall("call_1", "crawl", "{}")
        messages: tuple[Message, ...] = (
            *(Message("user", "old"), Message("assistant", "a"), Message("user", "crawl it")),
            *(Message("assistant", "", (call,)), Message("tool", "x" * 90_000, tool_call_id="call_1")),
            Message("tool", "short", tool_call_id="call_2"),
        )
        lengths = []
        with pytest.raises(ContextTooLong):
            while True:
                messages = shorter(messages)
                assert messages[-1].content == "short" and messages[-2].tool_call_id == "call_1"
                lengths.append(len(messages[-2].content))
        assert lengths[0] == 90_000 and lengths == sorted(lengths, reverse=True) and 300 < lengths[-1] < 1000
        assert "cut here" in messages[-2].content and messages[0].content == "crawl it"

    def test_items_are_put_where_the_client_wants_them(self) -> None:
        history = talk(("hi", "Hello."))
        assert history.insert(Item("a", Message("system", "Be kind.")), "root") is None
        assert history.insert(Item("b", Message("user", "well")), "item_1") == "item_1"
        assert history.insert(Item("c", Message("user", "end"))) == "item_2"
        assert [item.id for item in history.items] == ["a", "item_1", "b", "item_2", "c"]
        with pytest.raises(KeyError):
            history.insert(Item("d", Message("user", "x")), "nowhere")
        with pytest.raises(ValueError, match="a"):
            history.insert(Item("a", Message("user", "x")))
        history.delete("b")
        history.cut("item_2", "Hel")
        assert history.get("b") is None and history.get("item_2") == Item("item_2", Message("assistant", "Hel"), True)

    def test_a_restored_history_gives_no_id_twice(self) -> None:
        history = History(talk(("hi", "Hello."), ("and", "Yes.")).items)
        assert history.new_id() == "item_5"

    def test_tool_calls_and_results_are_well_formed_whatever_came_between(self) -> None:
        calls = [ToolCall(f"call_{n}", "clock", "{}") for n in range(3)]
        history = talk(("hi", "Hello."))
        history.insert(Item("q", Message("user", "what time is it in rome and in oslo")))
        for call in calls:
            history.insert(Item(call.id, Message("assistant", "", (call,))))
        history.insert(Item("r1", Message("tool", "12", tool_call_id="call_1")))
        history.insert(Item("more", Message("user", "well?")))
        history.insert(Item("r0", Message("tool", "11", tool_call_id="call_0")))
        history.insert(Item("lost", Message("tool", "?", tool_call_id="nobody")))
        messages = history.messages("", None, 2)
        assert [(m.role, m.content, m.tool_call_id) for m in messages] == [
            ("user", "what time is it in rome and in oslo", None),
            ("assistant", "", None),
            ("tool", "11", "call_0"),
            ("tool", "12", "call_1"),
            ("tool", '{"error": "no result came back"}', "call_2"),
            ("user", "well?", None),
        ]
        assert messages[1].tool_calls == tuple(calls)

    def test_words_and_call_of_one_answer_are_one_message(self) -> None:
        call = ToolCall("call_1", "clock", "{}")
        history = talk(("what time is it", "One moment."))
        history.insert(Item("c", Message("assistant", "", (call,))))
        history.insert(Item("r", Message("tool", "12", tool_call_id="call_1")))
        history.insert(Item("a", Message("assistant", "It is noon.")))
        _, said, result, answer = history.messages("", None, 20)
        assert said == Message("assistant", "One moment.", (call,))
        assert result.content == "12" and answer.content == "It is noon."
        assert history.exchanges[0].assistant == "One moment. It is noon."


class TestLedger:
    def test_milliseconds_since_the_end_of_speech_in_order(self) -> None:
        ledger = Ledger(10.0)
        ledger.mark(Stage.ENDPOINT, 10.5)
        ledger.mark(Stage.TRANSCRIPT, 10.2)
        ledger.mark(Stage.TRANSCRIPT, 10.9)
        reached = [("speech_end", 0.0), ("transcript", 200.0), ("endpoint", 500.0)]
        assert list(ledger.milliseconds().items()) == reached

    def test_the_answer_is_the_first_audio_else_the_end(self) -> None:
        ledger = Ledger(10.0)
        assert ledger.answer_ms() == 0.0
        ledger.mark(Stage.DONE, 12.0)
        assert ledger.answer_ms() == 2000.0
        ledger.mark(Stage.FIRST_AUDIO_SENT, 10.7)
        assert ledger.answer_ms() == 700.0


class TestBargeIn:
    @pytest.mark.parametrize(
        ("voiced", "elapsed", "ended", "text", "verdict"),
        [
            (100, 100, False, None, Verdict.WAIT),
            (100, 300, True, None, Verdict.WAIT),
            (100, 300, True, "", Verdict.RESUME),
            (100, 1000, False, None, Verdict.RESUME),
            (400, 420, False, None, Verdict.WAIT),
            (640, 660, False, None, Verdict.INTERRUPT),
            (640, 660, False, "", Verdict.WAIT),
            (1280, 1400, False, "", Verdict.INTERRUPT),
            (400, 420, False, "turn the light", Verdict.INTERRUPT),
            (200, 1200, True, None, Verdict.RESUME),
            (500, 1200, True, None, Verdict.INTERRUPT),
            (500, 3000, False, "", Verdict.RESUME),
            (60, 300, True, "thank you", Verdict.RESUME),
            (200, 300, True, "why", Verdict.INTERRUPT),
            (400, 420, False, "yeah", Verdict.WAIT),
            (400, 420, True, "yeah okay", Verdict.RESUME),
            (520, 540, False, "yeah", Verdict.WAIT),
            (1300, 1400, False, "yeah yeah okay", Verdict.INTERRUPT),
            (200, 250, False, "stop", Verdict.INTERRUPT),
            (200, 400, True, "Stop!", Verdict.INTERRUPT),
            (250, 450, True, "what time", Verdict.INTERRUPT),
            (250, 450, True, "the", Verdict.RESUME),
        ],
    )
    def test_verdicts(self, voiced: float, elapsed: float, ended: bool, text: str | None, verdict: Verdict) -> None:
        assert judge(RULES, voiced, elapsed, ended, text) is verdict

    def test_our_own_words_are_no_interruption(self) -> None:
        words = "There was a fox, and it lived by the sea."
        said = Said(words, words)
        assert judge(RULES, 500, 520, False, "lived by the see", said) is Verdict.WAIT
        assert judge(RULES, 500, 700, True, "lived by the sea", said) is Verdict.RESUME
        assert judge(RULES, 500, 520, False, "what about the bear", said) is Verdict.INTERRUPT
        words_needed = BargeInRules(384, 640, words_needed=True)
        assert judge(words_needed, 500, 520, False, None, said) is Verdict.WAIT
        assert judge(words_needed, 500, 520, False, "stop", said) is Verdict.INTERRUPT

    def test_no_word_is_both(self) -> None:
        assert not BACK_CHANNELS & (STOP_WORDS | QUESTION_WORDS)


class TestTurnPolicy:
    def test_the_clients_wish_goes_before_the_servers_setting(self) -> None:
        config = SessionConfig(
            turn_detection=TurnDetection(silence_duration_ms=900, prefix_padding_ms=100),
            turn=TurnConfig(follow_up_s=3.0),
        )
        policy = TurnPolicy(config, TurnSettings())
        assert (policy.silence_s, policy.preroll_s, policy.follow_up_s) == (0.9, 0.1, 3.0)

    def test_eagerness_scales_the_silence(self) -> None:
        def silence(eagerness: str) -> float:
            detection = TurnDetection("semantic_vad", eagerness=eagerness)  # type: ignore[arg-type]
            return TurnPolicy(SessionConfig(turn_detection=detection), TurnSettings()).silence_s

        assert silence("high") < silence("medium") == silence("auto") < silence("low")

    def test_manual_is_not_interrupted_by_sound(self) -> None:
        policy = TurnPolicy(SessionConfig(turn_detection=TurnDetection("none")), TurnSettings())
        assert not policy.listening and not policy.barge_in

    def test_barge_in_needs_leave(self) -> None:
        assert not TurnPolicy(SessionConfig(audio=AudioConfig(allow_interrupt=False)), TurnSettings()).barge_in
        assert not TurnPolicy(SessionConfig(turn=TurnConfig(barge_in=False)), TurnSettings()).barge_in


class TestGate:
    def gate(self, *words: str, mode: str = "pre") -> Gate:
        return Gate(WakeConfig(True, words or ("hey jarvis",), mode), frozenset({"Hey_Jarvis", "alexa"}))  # type: ignore[arg-type]

    def test_without_wake_words_everything_passes(self) -> None:
        gate = Gate(WakeConfig(), frozenset())
        assert not gate.shut(0.0)
        assert gate.admit(" hello ", woken=False, typed=False, at_s=0.0) == Request("hello")

    def test_it_is_acoustic_only_where_every_word_can_be_heard(self) -> None:
        assert self.gate("hey-jarvis", "Alexa").acoustic
        assert not self.gate("alexa", "computer").acoustic

    def test_the_word_opens_it_for_a_while(self) -> None:
        gate = self.gate()
        assert gate.shut(5.0)
        gate.woken_alone(5.0)
        assert gate.is_open(5.0 + WAIT_AFTER_WAKE_S - 0.1) and not gate.expired(6.0)
        assert gate.expired(5.0 + WAIT_AFTER_WAKE_S) and not gate.expired(99.0)

    def test_a_follow_up_opens_it_and_none_shuts_it(self) -> None:
        gate = self.gate()
        gate.follow_up(5.0, 3.0)
        assert gate.is_open(7.9) and gate.shut(8.0)
        gate.follow_up(5.0, 0.0)
        assert gate.shut(5.0)

    def test_what_of_the_text_is_the_request(self) -> None:
        gate = self.gate()
        assert gate.admit("hey jarvis lights on", woken=True, typed=False, at_s=0.0).text == "lights on"
        assert gate.admit("lights on", woken=True, typed=False, at_s=0.0).text == "lights on"
        assert gate.admit("lights on", woken=False, typed=False, at_s=0.0).problem == "wake_word_required"
        assert gate.admit("hey jarvis", woken=False, typed=True, at_s=0.0).problem == "empty_request"
        assert gate.admit("", woken=False, typed=False, at_s=0.0) == Request("")

    def test_an_open_gate_is_for_speech_not_for_typing(self) -> None:
        gate = self.gate()
        gate.follow_up(0.0, 9.0)
        assert gate.admit("lights on", woken=False, typed=False, at_s=1.0) == Request("lights on")
        assert gate.admit("lights on", woken=False, typed=True, at_s=1.0).problem == "wake_word_required"

    def test_refusals(self) -> None:
        assert isinstance(refusal(Request("", "wake_word_required"), asked=False), WakeWordRequired)
        assert isinstance(refusal(Request("", "empty_request"), asked=False), ErrorOut)
        assert isinstance(refusal(Request(""), asked=True), ErrorOut)
        assert refusal(Request(""), asked=False) is None


def test_the_audio_clock_knows_when_a_sample_was_spoken() -> None:
    audio = AudioTime()
    assert audio.when(1.0, 50.0) == 50.0 and audio.late_at(1.0) is None
    audio.hear(10.0, 100.0)
    assert audio.when(9.0, 100.5) == 99.0
    assert audio.when(11.0, 100.5) == 100.5
    assert audio.late_at(0.5) == 100.5
