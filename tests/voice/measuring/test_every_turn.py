"""Every kind of turn is in the ledger once: told to the client, counted in the metrics, kept for the admin page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from llm.messages import ToolCall
from models.clock import SystemClock
from models.metrics import Metrics
from tests.voice.conversation import RATE_HZ, Conversation
from tests.voice.realtime_talk import RealtimeTalk
from voice.measuring.recent_turns import RecentTurns
from voice.measuring.turn_metrics import TurnMetrics, VoiceMetrics
from voice.session.config import AudioConfig, LlmConfig, SessionConfig, TurnDetection
from voice.session.outgoing import TurnComplete, TurnNoted
from voice.turn import events as heard

CONFIG = SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ))
LAMP = {"type": "function", "function": {"name": "lamp", "parameters": {"type": "object"}}}
STORY = " ".join(f"This is sentence number {number}." for number in range(8))
WRITTEN = ("endpoint", "first_token", "first_clause")
SPOKEN = (*WRITTEN, "first_speech", "first_audio_sent")


def _asked(talk: Conversation) -> Conversation:
    talk.at(1.0, heard.Typed("what time is it"))
    return talk


def _typed() -> Conversation:
    return _asked(Conversation(config=CONFIG))


def _spoken() -> Conversation:
    talk = Conversation(config=CONFIG)
    talk.speak((1.0, 2.0, "what time is it"))
    return talk


def _played() -> Conversation:
    talk = _spoken()
    talk.at(4.0, heard.PlayedReport("reply-1", 200.0))
    return talk


def _text_only() -> Conversation:
    return _asked(Conversation(config=replace(CONFIG, spoken=False)))


def _interrupted() -> Conversation:
    talk = Conversation(lambda asked: STORY, config=CONFIG)
    talk.speak((1.0, 2.0, "tell me a story"))
    talk.at(5.0, heard.InterruptAsked())
    return talk


def _calls() -> Conversation:
    """Nothing but a call, which the client never answers in words of ours."""
    config = replace(CONFIG, llm=LlmConfig(tools=(LAMP,), client_tools="hand_over"))
    talk = Conversation(lambda asked: (ToolCall("call_1", "lamp", "{}"),), config=config)
    return _asked(talk)


def _mind_fails() -> Conversation:
    talk = _typed()
    talk.at(1.05, heard.MindFailed(1, "llm_failed", "The script says so", ""))
    return talk


def _unheard() -> Conversation:
    talk = _spoken()
    talk.failing = 10
    return talk


def _dictated() -> Conversation:
    talk = Conversation(config=replace(CONFIG, transcribe_only=True))
    talk.speak((1.0, 2.0, "dear sir"), (5.0, 6.0, "yours truly"))
    return talk


def _kept() -> Conversation:
    talk = Conversation(config=replace(CONFIG, turn_detection=TurnDetection(create_response=False)))
    talk.speak((1.0, 2.0, "dear sir"))
    return talk


def _dictation_fails() -> Conversation:
    talk = _kept()
    talk.failing = 10
    return talk


def _beside() -> Conversation:
    talk = RealtimeTalk()
    talk.say("response.create", response={"conversation": "none", "output_modalities": ["text"]})
    return talk


KINDS: dict[str, tuple[Callable[[], Conversation], list[str], tuple[str, ...]]] = {
    "typed": (_typed, ["completed"], (*SPOKEN, "done")),
    "spoken": (_spoken, ["completed"], ("transcript", *SPOKEN, "done")),
    "played": (_played, ["completed"], ("transcript", *SPOKEN, "first_audio_played", "done")),
    "text only": (_text_only, ["completed"], ("endpoint", "first_token", "done")),
    "interrupted": (_interrupted, ["cancelled"], ("transcript", *SPOKEN, "stopped")),
    "nothing but a call": (_calls, ["completed"], ("endpoint", "first_token", "done")),
    "the model fails": (_mind_fails, ["failed"], ("endpoint", *SPOKEN[2:], "done")),  # it is said that it did
    "the recogniser fails": (_unheard, ["failed"], ("endpoint", *SPOKEN[2:], "done")),  # this, too
    "dictated": (_dictated, ["transcribed"] * 2, ("endpoint", "transcript", "done")),
    "kept for the client": (_kept, ["transcribed"], ("endpoint", "transcript", "done")),
    "a dictation fails": (_dictation_fails, ["failed"], ("endpoint", "done")),
    "beside the conversation": (_beside, ["completed"], ("first_token", "done")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_turn_is_told_counted_and_kept_with_its_stages(kind: str) -> None:
    begin, outcomes, stages = KINDS[kind]
    talk = begin().run(20.0)
    metrics, recent = Metrics(), RecentTurns(SystemClock())
    watcher = TurnMetrics(VoiceMetrics(metrics, recent), "s-1")
    for now, action in talk.actions:
        watcher.stepped(heard.Tick(), now, [action])
    told = [*talk.told(TurnComplete), *talk.told(TurnNoted)]
    assert [turn.status for turn in told] == outcomes
    for turn in told:
        assert set(turn.latency) == {"speech_end", *stages}
        assert turn.latency["speech_end"] == 0 and all(ms >= 0 for ms in turn.latency.values())
    assert [dict(kept.latency_ms) for kept in reversed(recent.latest())] == [dict(turn.latency) for turn in told]
    assert [kept.status for kept in recent.latest()] == outcomes
    text = metrics.render()[0].decode()
    assert f'parley_turns_total{{status="{outcomes[0]}"}} {float(len(outcomes))}' in text
    for stage in stages:
        assert f'parley_turn_stage_seconds_count{{stage="{stage}"}} {float(len(outcomes))}' in text
