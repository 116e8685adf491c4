"""The invariants of a conversation over random walks of events, likely and unlikely, stale results included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm.messages import Message, ToolCall
from voice.mouth.reply_options import ReplyOptions
from voice.session.config import AudioConfig, LlmConfig, SessionConfig, TurnConfig, TurnDetection, WakeConfig
from voice.session.outgoing import (
    AudioOut,
    ItemAdded,
    ItemDeleted,
    ItemTruncated,
    ReplyStarted,
    TextOut,
    ToolCallOut,
    TurnCommitted,
    TurnComplete,
)
from voice.settings import TurnSettings
from voice.turn import events as heard
from voice.turn.actions import (
    Abandon,
    Action,
    Contest,
    Listen,
    RunTool,
    Speak,
    StopListening,
    Tell,
    Think,
    Transcribe,
)
from voice.turn.machine import State, TurnMachine

RATE_HZ = 8_000
LAMP = {"type": "function", "name": "lamp"}
CLOCK = {"type": "function", "function": {"name": "clock"}}
CONFIGS = (
    SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ)),
    SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), turn_detection=TurnDetection(type="none")),
    SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ, allow_interrupt=False)),
    SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), wake=WakeConfig(True, ("alexa",), "pre")),
    SessionConfig(
        audio=AudioConfig(sample_rate=RATE_HZ),
        wake=WakeConfig(True, ("alexa",), "mid"),
        turn=TurnConfig(follow_up_s=3.0),
    ),
    SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), wake=WakeConfig(True, ("alexa",), "post")),
    SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), wake=WakeConfig(True, ("computer",), "pre")),
    SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), turn_detection=TurnDetection(create_response=False)),
    SessionConfig(
        audio=AudioConfig(sample_rate=RATE_HZ), turn_detection=TurnDetection(type="none", create_response=False)
    ),
    SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), spoken=False),
    SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), transcribe_only=True),
    SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), llm=LlmConfig(tools=(LAMP,))),
    SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), llm=LlmConfig(tools=(LAMP,), client_tools="hand_over")),
)
WORDS = ("", "stop", "yeah", "alexa", "computer tell me", "what time is it", "alexa light on", "light on alexa")
TEXTS = ("Fine. ", "Well, it is late, I think. ", "one ", "3.14 ", "\n", "and then, ")

STEPS = st.one_of(
    st.tuples(st.just("listen"), st.integers(1, 40), st.booleans()),
    st.tuples(st.sampled_from(["began", "ended", "wake", "interrupt", "clear", "commit", "tick"])),
    st.tuples(st.sampled_from(["lost", "taken over", "handed over"])),
    st.tuples(st.just("typed"), st.sampled_from(WORDS)),
    st.tuples(st.just("serve"), st.integers(0, 30), st.sampled_from(WORDS), st.integers(0, 9)),
    st.tuples(st.just("stale"), st.integers(0, 30), st.sampled_from(WORDS), st.integers(0, 9)),
    st.tuples(st.just("played"), st.integers(0, 4000)),
    st.tuples(st.just("config"), st.sampled_from(CONFIGS)),
    st.tuples(st.just("respond"), st.booleans(), st.sampled_from([None, True, False])),
    st.tuples(st.just("cancel"), st.integers(0, 6)),
    st.tuples(st.just("truncate"), st.integers(1, 6), st.integers(0, 4000)),
    st.tuples(st.just("add"), st.sampled_from(["user", "system", "assistant", "tool"]), st.integers(0, 8)),
    st.tuples(st.just("result"), st.integers(1, 9)),
    st.tuples(st.just("delete"), st.integers(1, 20)),
    st.tuples(st.just("partial"), st.integers(1, 30), st.sampled_from(WORDS)),
)
FORESEEN = st.one_of(
    STEPS,
    st.tuples(st.just("look"), st.sampled_from(WORDS)),
    st.tuples(st.just("look"), st.just(WORDS[5])),
    st.tuples(st.just("serve"), st.integers(0, 3), st.just(WORDS[5]), st.integers(0, 9)),
    st.tuples(st.just("listen"), st.integers(1, 20), st.booleans()),
)
"""With a recogniser whose partial words are often those of its transcript."""

FORESEEN_ONCE = (
    ("listen", 3, True),
    ("began",),
    ("listen", 10, True),
    ("look", WORDS[5]),
    ("look", WORDS[5]),
    ("listen", 4, False),
    ("serve", 0, WORDS[5], 1),
    ("ended",),
    ("listen", 12, False),
    ("interrupt",),
)
"""A first turn, whose words were known before its transcript."""


class Walk:
    """Drives a machine, answers what it asks for in any order, and checks the invariants after every step."""

    def __init__(self, config: SessionConfig) -> None:
        self.machine = TurnMachine(
            config,
            TurnSettings(max_turn_s=8.0),
            audible=frozenset({"alexa"}),
            system_prompt="Be brief.",
            server_tools={"clock": CLOCK},
        )
        self.called: list[str] = []
        self.now, self.audio_s = 100.0, 0.0
        self.asked: list[Transcribe | Think | Speak | Contest] = []
        self.listening: set[int] = set()
        self.text: dict[str, str] = {}
        self.reply_of: dict[int, str] = {}
        self.made_s: dict[int, float] = {}
        self.sent_s: dict[str, float] = {}
        self.ended: set[str] = set()
        self.minds: set[int] = set()
        """The numbers under which the model writes a reply of the conversation."""
        self.closed = self.failed = False
        self.unheard = False
        """The recogniser has failed: that may be said instead of an answer."""
        self.started: dict[str, ReplyStarted] = {}
        self.wished: set[str] = set()
        self.promised: set[str] = set()
        self.items: list[str] = []

    def step(self, event: heard.TurnEvent) -> None:
        actions = self.machine.step(event, self.now)
        assert not (self.closed and actions), "nothing after the end"
        for action in actions:
            self.check(action)
        wakes = self.machine.wakes_at
        assert wakes is None or wakes == wakes  # not NaN
        if self.machine.state in (State.IDLE, State.ASLEEP) and not self.closed:
            assert len(self.listening) <= len(self.promised), "a recogniser stream outlives its turn"
        assert self.closed or self.items == [item.id for item in self.machine.history.items], "the client's view"

    def check(self, action: Action) -> None:
        match action:
            case Listen(turn=turn, from_s=from_s):
                assert turn not in self.listening and 0 <= from_s <= self.audio_s + 0.5
                self.listening.add(turn)
            case StopListening(turn=turn):
                self.listening.discard(turn)
            case Transcribe():
                assert action.until_s is None or action.until_s >= action.from_s
                self.asked.append(action)
            case Contest():
                self.asked.append(action)
            case Think(messages=messages, revision=revision):
                well_formed(messages)
                self.asked.append(action)
                if not action.out_of_band:
                    assert self.minds <= {revision}, "the model is asked for one answer at a time"
                    self.minds.add(revision)
            case Abandon(revision=revision):
                self.minds.discard(revision)
            case RunTool(call_id=call_id):
                assert self.started.keys() - self.ended, "no tool runs for a turn that is not confirmed"
                assert call_id not in self.called
                self.called.append(call_id)
            case Tell(event=ToolCallOut(call_id=call_id, reply=reply)):
                assert reply in self.started and reply not in self.ended
                if self.started[reply].item:
                    assert call_id not in self.called
                    self.called.append(call_id)
            case Speak(text=text):
                assert text.strip()
                self.asked.append(action)
            case Tell(event=TextOut(reply=reply, text=text)):
                self.alive(reply)
                assert self.started[reply].spoken or not self.sent_s.get(reply)
                self.text[reply] = self.text.get(reply, "") + text
            case Tell(event=AudioOut(reply=reply, pcm=pcm)):
                self.alive(reply)
                self.sent_s[reply] = self.sent_s.get(reply, 0.0) + len(pcm) / RATE_HZ
                assert self.sent_s[reply] <= sum(self.made_s.values()) + 1e-6, "sent more than was made"
            case Tell(event=TurnComplete() as turn):
                if turn.reply:
                    assert turn.reply not in self.ended, "a reply ends once"
                    self.ended.add(turn.reply)
                assert self.failed or turn.output_transcript.startswith(turn.heard_transcript)
                spoken = bool(turn.reply) and self.started[turn.reply].spoken
                if not spoken:
                    assert turn.heard_transcript == self.text.get(turn.reply, "").strip(), "read is heard"
                elif self.sent_s.get(turn.reply) and turn.status == "completed" and not self.failed:
                    assert turn.heard_transcript == turn.output_transcript
                if spoken and not self.sent_s.get(turn.reply):
                    assert not turn.heard_transcript, "nothing was played"
                assert turn.input_transcript or turn.key in self.wished or self.unheard
            case Tell(event=ReplyStarted() as started):
                assert started.reply not in self.started | self.text | self.sent_s, "a reply starts once, and first"
                self.started[started.reply] = started
            case Tell(event=TurnCommitted(item=item, previous=previous)):
                assert item not in self.items
                under_way = {started.item for reply, started in self.started.items() if reply not in self.ended}
                assert previous is None or previous in {*self.items, *self.promised, *under_way}
                self.promised.add(item)
            case Tell(event=ItemAdded(item=item, previous=previous)):
                assert item.id not in self.items
                self.promised.discard(item.id)
                self.items.insert(0 if previous is None else self.items.index(previous) + 1, item.id)
            case Tell(event=ItemDeleted(item=item)):
                replies = {started.item for started in self.started.values()}
                assert item in {*self.items, *self.promised, *replies}, "what is deleted was there"
                self.promised.discard(item)
                self.items = [name for name in self.items if name != item]
            case Tell(event=ItemTruncated(item=item, text=text)):
                kept = self.machine.history.get(item)
                assert kept is None or kept.message.content == text
            case _:
                return

    def alive(self, reply: str) -> None:
        assert reply not in self.ended, "nothing of a reply after its end"
        assert reply in self.started, "a reply is announced"
        others = {name for name in self.text | self.sent_s if name not in self.ended and name != reply}
        asides = {name for name in others | {reply} if not self.started[name].item}
        assert len(others - asides) + (reply not in asides) <= 1 and len(asides) <= 5, "at most one reply lives"

    def take(self, step: tuple) -> None:
        match step:
            case ("listen", frames, voiced):
                for _ in range(frames):
                    self.audio_s += 0.032
                    self.now += 0.032
                    self.step(heard.AudioClock(self.audio_s, voiced))
                    wakes = self.machine.wakes_at
                    if wakes is not None and wakes <= self.now:
                        self.step(heard.Tick())
            case ("began",):
                self.step(heard.SpeechBegan(max(0.0, self.audio_s - 0.096)))
            case ("ended",):
                self.step(heard.SpeechEnded(max(0.0, self.audio_s - 0.16)))
            case ("wake",):
                self.step(heard.WakeWord("alexa", 0.9, max(0.0, self.audio_s - 0.7), max(0.0, self.audio_s - 0.1)))
            case ("lost",):
                self.step(heard.WordLost("alexa", max(0.0, self.audio_s - 0.7), max(0.0, self.audio_s - 0.1)))
            case ("taken over",):
                self.step(heard.TakenOver())
            case ("handed over",):
                self.step(heard.HandedOver())
            case ("interrupt",):
                self.step(heard.InterruptAsked())
            case ("clear",):
                self.step(heard.Cleared(self.audio_s))
            case ("commit",):
                self.step(heard.Committed(self.audio_s + 0.02))
            case ("tick",):
                self.now = max(self.now, self.machine.wakes_at or 0.0)
                self.step(heard.Tick())
            case ("typed", words):
                self.step(heard.Typed(words))
            case ("played", ms):
                live = [name for name in self.sent_s if name not in self.ended] or ["reply-0"]
                self.step(heard.PlayedReport(live[-1], float(ms)))
            case ("respond", remembered, spoken):
                self.wished.add(key := f"key-{len(self.wished)}")
                options = ReplyOptions(key, remembered=remembered, spoken=spoken)
                self.step(heard.Respond(options))
            case ("cancel", number):
                self.step(heard.CancelResponse(f"reply-{number}" if number else None))
            case ("truncate", number, ms):
                self.step(heard.Truncate(f"reply-{number}", float(ms)))
            case ("add", role, number):
                message = Message(role, "so", tool_call_id="nobody" if role == "tool" else None)
                self.step(
                    heard.AddMessage(
                        message, f"item_{number}" if number % 3 else "", f"item_{number}" if number % 2 else None
                    )
                )
            case ("result", number):
                name = self.called[-number] if number <= len(self.called) else "call_nobody"
                self.step(heard.ToolResult(name, "so it is"))
            case ("delete", number):
                self.step(heard.DeleteItem(f"item_{number}"))
            case ("config", config):
                self.step(heard.ConfigChanged(config))
            case ("partial", turn, words):
                self.step(heard.PartialTranscript(turn, words))
            case ("look", words) if self.listening:
                self.step(heard.PartialTranscript(max(self.listening), words))
            case ("serve", index, words, how) if self.asked:
                self.serve(self.asked.pop(index % len(self.asked)), words, how)
            case ("stale", index, words, how) if self.asked:
                self.serve(self.asked[index % len(self.asked)], words, how)
            case _:
                return

    def serve(self, action: Transcribe | Think | Speak | Contest, words: str, how: int) -> None:
        self.now += 0.01
        number = action.revision
        match action:
            case Transcribe():
                failed = heard.TranscriptFailed(number, "stt_failed", "dead", "")
                self.unheard = self.unheard or how == 0
                self.step(failed if how == 0 else heard.TranscriptReady(number, words))
            case Contest():
                self.step(heard.ContestDecided(number, how % 3 > 0))
            case Think():
                for text in TEXTS[: how + 1]:
                    self.step(heard.TokensArrived(number, text))
                if how % 3 == 0:
                    self.failed = True
                    self.minds.discard(number)
                    self.step(heard.MindFailed(number, "worker_died", "dead", ""))
                elif how % 3 == 1:
                    self.minds.discard(number)
                    self.step(heard.MindFinished(number, 10, how))
                elif how > 2:
                    self.minds.discard(number)
                    calls = (
                        ToolCall("call_1", "clock", "{}"),
                        ToolCall("", "lamp", "{}"),
                        ToolCall("x", "none", "{"),
                    )
                    self.step(heard.MindFinished(number, 10, how, "tool_calls", calls[: how - 4]))
            case Speak(clause=clause):
                pcm = np.ones(how * 900, np.int16)
                self.made_s[len(self.made_s)] = len(pcm) / RATE_HZ
                if how == 1:
                    self.failed = True
                    self.step(heard.ClauseFailed(number, clause, "tts_failed", "dead", ""))
                self.step(heard.ClauseAudio(number, clause, pcm, RATE_HZ, is_last=how % 2 == 0))


def well_formed(messages: tuple[Message, ...]) -> None:
    """Every call is followed by its result, and every result has its call: chat templates fail otherwise."""
    open_calls: list[str] = []
    for message in messages:
        if message.role == "tool":
            assert message.tool_call_id == open_calls.pop(0), "a result stands behind its call"
            continue
        assert not open_calls, "a call without a result"
        open_calls = [call.id for call in message.tool_calls]
        assert all(open_calls) and len(set(open_calls)) == len(open_calls)
    assert not open_calls


@pytest.mark.parametrize("config", range(len(CONFIGS)))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, max_size=60))
def test_the_invariants_hold_on_random_walks(config: int, steps: list[tuple]) -> None:
    walk = Walk(CONFIGS[config])
    for step in steps:
        walk.take(step)
    walk.step(heard.InterruptAsked())
    asides = {reply for reply, started in walk.started.items() if not started.item}
    for reply in walk.started.keys() - asides:
        assert reply in walk.ended, "every reply that starts ends"
    walk.step(heard.Closed())
    walk.closed = True
    walk.step(heard.Typed("anybody there"))


@pytest.mark.parametrize("config", range(len(CONFIGS)))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(FORESEEN, max_size=60))
def test_the_invariants_hold_where_answers_are_drafted(config: int, steps: list[tuple]) -> None:
    walk = Walk(CONFIGS[0])
    for step in FORESEEN_ONCE:
        walk.take(step)
    for step in (("config", CONFIGS[config]), *steps):
        walk.take(step)
    walk.step(heard.InterruptAsked())
    walk.step(heard.Closed())


def test_a_drafted_answer_is_what_these_walks_try() -> None:
    walk = Walk(CONFIGS[0])
    for step in (*FORESEEN_ONCE, ("listen", 3, True), ("began",), ("listen", 20, True)):
        walk.take(step)
    walk.asked.clear()
    walk.take(("look", WORDS[5]))
    walk.take(("look", WORDS[5]))
    assert [type(asked) for asked in walk.asked] == [Think], "nobody has asked for a transcript"


def test_an_interruption_while_devices_contest_a_phrase_ends_the_recogniser() -> None:
    walk = Walk(CONFIGS[6])
    for step in (("listen", 10, True), ("began",), ("listen", 20, True), ("commit",), ("serve", 0, WORDS[4], 1)):
        walk.take(step)
    assert any(isinstance(asked, Contest) for asked in walk.asked) and walk.listening
    walk.step(heard.InterruptAsked())
    assert not walk.listening


@pytest.mark.parametrize("words", [(("serve", 0, "", 0),), (("serve", 0, "what time is it", 1), ("delete", 1))])
def test_what_a_user_said_is_deleted_once_where_they_go_on_before_an_answer(words: tuple) -> None:
    """Its words were not made out, or the client has deleted it."""
    walk = Walk(CONFIGS[0])
    for step in (("began",), ("listen", 20, True), ("commit",), *words, ("listen", 17, True), ("began",)):
        walk.take(step)
    walk.step(heard.InterruptAsked())


@pytest.mark.parametrize("last", [("wake",), ("lost",)])
def test_a_wake_word_that_is_known_after_a_clear_closes_no_request(last: tuple) -> None:
    walk = Walk(CONFIGS[5])
    for step in (("began",), ("listen", 32, False), ("clear",), last, ("taken over",)):
        walk.take(step)
    assert not walk.asked


def test_a_client_that_says_it_played_more_than_can_be_is_told_what_is_kept() -> None:
    walk = Walk(CONFIGS[0])
    for step in (("typed", "what time is it"), ("serve", 0, "", 4), ("serve", 0, "", 6), ("serve", 0, "", 7)):
        walk.take(step)
    for step in (("listen", 39, False), ("truncate", 1, 1526)):
        walk.take(step)
