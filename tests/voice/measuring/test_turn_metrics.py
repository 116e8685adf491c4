"""The figures of turns, read off real conversations on the virtual clock."""

from __future__ import annotations

from models.clock import SystemClock
from models.metrics import Metrics
from tests.voice.conversation import Conversation
from voice.measuring.recent_turns import RecentTurns
from voice.measuring.turn_metrics import TurnMetrics, VoiceMetrics
from voice.session.outgoing import TurnComplete
from voice.turn import events as heard


def _watched(talk: Conversation) -> Metrics:
    """Every step of the conversation is shown to the figures, as a session does."""
    metrics = Metrics()
    watcher, step = TurnMetrics(VoiceMetrics(metrics, RecentTurns(SystemClock())), "s-1"), talk.machine.step

    def watched(event: heard.TurnEvent, now: float):  # type: ignore[no-untyped-def]
        actions = step(event, now)
        watcher.stepped(event, now, actions)
        return actions

    talk.machine.step = watched  # type: ignore[method-assign]
    return metrics


def _figures(metrics: Metrics) -> dict[str, float]:
    lines = metrics.render()[0].decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_a_spoken_turn_counts_once_with_its_stages() -> None:
    talk = Conversation()
    metrics = _watched(talk)
    talk.speak((1.0, 2.0, "what time is it"))
    talk.run(12.0)
    [turn] = talk.told(TurnComplete)
    figures = _figures(metrics)
    assert figures['parley_turns_total{status="completed"}'] == 1
    for stage, ms in turn.latency.items():
        if stage != "speech_end":
            assert figures[f'parley_turn_stage_seconds_sum{{stage="{stage}"}}'] == ms / 1000
    assert figures['parley_voice_tokens_total{direction="out"}'] == turn.tokens_out > 0
    assert figures['parley_speech_requests_total{outcome="ok",part="stt"}'] == 1
    assert figures['parley_speech_requests_total{outcome="ok",part="llm"}'] == 1
    assert figures['parley_speech_request_seconds_count{part="tts"}'] >= 1
    assert "parley_false_interruptions_total 1" not in metrics.render()[0].decode()


def test_a_pause_within_a_sentence_is_work_abandoned_and_no_turn() -> None:
    talk = Conversation()
    metrics = _watched(talk)
    talk.speak((1.0, 2.0, "turn on the lights"), (2.4, 3.4, "in the kitchen"))
    talk.run(14.0)
    figures = _figures(metrics)
    assert figures['parley_turns_total{status="completed"}'] == 1
    assert figures['parley_speech_requests_total{outcome="abandoned",part="llm"}'] == 1


def test_a_cough_is_a_false_interruption_and_a_question_a_true_one() -> None:
    talk = Conversation()
    metrics = _watched(talk)
    talk.at(0.5, heard.Typed("tell me a story"))
    talk.speak((3.0, 3.15, ""))
    talk.speak((4.5, 6.5, "what time is it"))
    talk.run(20.0)
    figures = _figures(metrics)
    assert figures["parley_false_interruptions_total"] == 1
    assert figures['parley_interruptions_total{reason="turn_detected"}'] == 1


def test_a_client_that_reports_gives_the_moment_of_its_first_sample() -> None:
    talk = Conversation()
    talk.at(0.5, heard.Typed("hello"))
    talk.run(1.3)
    talk.at(1.4, heard.PlayedReport("reply-1", 200.0))
    talk.run(12.0)
    latency = talk.told(TurnComplete)[0].latency
    assert latency["speech_end"] == 0.0
    assert latency["first_audio_played"] == 700.0  # 1.4 s less 0.2 s played, after 0.5 s
    assert latency["first_audio_sent"] <= latency["first_audio_played"] <= latency["done"]


def test_the_same_name_is_the_same_figure_and_gauges_are_read_when_asked() -> None:
    metrics, rooms = Metrics(), {"a": 1.0}
    metrics.counter("parley_x_total", "x", ("k",)).labels("v").inc()
    metrics.counter("parley_x_total", "x", ("k",)).labels("v").inc()
    metrics.gauge("parley_rooms", "rooms", lambda: [((name,), value) for name, value in rooms.items()], ("room",))
    rooms["b"] = 2.0
    figures = _figures(metrics)
    assert figures['parley_x_total{k="v"}'] == 2
    assert figures['parley_rooms{room="b"}'] == 2
