"""What the turns of all sessions cost and how long they took: counters and histograms, and a log line per turn.

Everything is read off what the turn machine heard and did, so the figures cannot disagree with the conversation. No
word that anybody said gets here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from models.metrics import Metrics
from voice.measuring.recent_turns import RecentTurns
from voice.port import Pcm
from voice.session.outgoing import ErrorOut, Interrupted, ServerEvent, StateOut, TurnComplete, TurnNoted, WakeOut
from voice.turn.actions import Abandon, Action, Speak, Tell, Think, Transcribe
from voice.turn.events import (
    ClauseAudio,
    ClauseFailed,
    MindFailed,
    MindFinished,
    TokensArrived,
    TranscriptFailed,
    TranscriptReady,
    TurnEvent,
)

__all__ = ["TurnMetrics", "VoiceMetrics"]

log = structlog.get_logger(__name__)


class VoiceMetrics:
    """The figures of all sessions. Watch one session with `TurnMetrics(this, name)`."""

    def __init__(self, metrics: Metrics, recent: RecentTurns) -> None:
        self.recent = recent
        counter, histogram = metrics.counter, metrics.histogram
        self.stages = histogram(
            "parley_turn_stage_seconds", "From the user's last speech sample to a stage of the turn", ("stage",)
        )
        self.turns = counter("parley_turns_total", "Turns that are over", ("status",))
        self.interruptions = counter("parley_interruptions_total", "Replies cut off, by reason", ("reason",))
        self.resumes = counter(
            "parley_false_interruptions_total",
            "Sounds over a reply that were nothing: it went on from the very sample",
        )
        self.wakes = counter("parley_wakes_total", "Wake words heard", ("word",))
        self.errors = counter("parley_session_errors_total", "Errors told to voice clients", ("code",))
        self.requests = counter(
            "parley_speech_requests_total",
            "Requests of voice sessions to recogniser, model and voice; abandoned: the user went on",
            ("part", "outcome"),
        )
        self.durations = histogram(
            "parley_speech_request_seconds", "Duration of such a request that was not abandoned", ("part",)
        )
        self.first = histogram(
            "parley_speech_first_seconds", "From such a request to the first token or sample of its answer", ("part",)
        )
        self.tokens = counter("parley_voice_tokens_total", "Tokens of confirmed voice turns", ("direction",))


@dataclass(slots=True)
class _Request:
    part: str
    began: float
    first: bool = False


class TurnMetrics:
    """A `Watcher` of one session; `name` identifies it in the log."""

    def __init__(self, metrics: VoiceMetrics, name: str) -> None:
        self._metrics, self._name = metrics, name
        self._running: dict[tuple[str, int, int], _Request] = {}
        """By part, revision and clause. Bounded: a revision that ends is always abandoned."""
        self._paused = False

    def stepped(self, event: TurnEvent, now: float, actions: Sequence[Action]) -> None:
        match event:
            case TranscriptReady():
                self._done(("stt", event.revision, 0), now, "ok")
            case TranscriptFailed():
                self._done(("stt", event.revision, 0), now, "failed")
            case TokensArrived():
                self._began(("llm", event.revision, 0), now)
            case MindFinished():
                self._done(("llm", event.revision, 0), now, "ok")
            case MindFailed():
                self._done(("llm", event.revision, 0), now, "failed")
            case ClauseAudio():
                key = ("tts", event.revision, event.clause)
                if len(event.pcm):
                    self._began(key, now)
                if event.is_last:
                    self._done(key, now, "ok")
            case ClauseFailed():
                self._done(("tts", event.revision, event.clause), now, "failed")
        for action in actions:
            match action:
                case Transcribe():
                    self._running["stt", action.revision, 0] = _Request("stt", now)
                case Think():
                    self._running["llm", action.revision, 0] = _Request("llm", now)
                case Speak():
                    self._running["tts", action.revision, action.clause] = _Request("tts", now)
                case Abandon(revision=revision):
                    for key in [key for key in self._running if key[1] == revision]:
                        self._done(key, now, "abandoned")
                case Tell(event=told):
                    self._told(told)

    def heard(self, pcm: Pcm) -> None:
        return

    def refused(self, code: str) -> None:
        self._metrics.errors.labels(code).inc()

    def ended(self, now: float) -> None:
        for key in list(self._running):
            self._done(key, now, "abandoned")

    def _began(self, key: tuple[str, int, int], now: float) -> None:
        request = self._running.get(key)
        if request is not None and not request.first:
            request.first = True
            self._metrics.first.labels(request.part).observe(now - request.began)

    def _done(self, key: tuple[str, int, int], now: float, outcome: str) -> None:
        request = self._running.pop(key, None)
        if request is None:
            return  # of a revision that was abandoned
        self._metrics.requests.labels(request.part, outcome).inc()
        if outcome != "abandoned":
            self._metrics.durations.labels(request.part).observe(now - request.began)

    def _told(self, event: ServerEvent) -> None:
        match event:
            case TurnComplete():
                self._turn_over(event)
            case TurnNoted():
                self._noted(event)
            case Interrupted():
                self._paused = False
            case StateOut(state="paused"):
                self._paused = True
            case StateOut(state=state):
                if self._paused and state in ("speaking", "thinking"):
                    self._metrics.resumes.inc()
                self._paused = False
            case WakeOut():
                self._metrics.wakes.labels(event.word).inc()
            case ErrorOut():
                self._metrics.errors.labels(event.code).inc()

    def _turn_over(self, turn: TurnComplete) -> None:
        self._metrics.recent.add(self._name, turn)
        self._metrics.turns.labels(turn.status).inc()
        if turn.interrupted:
            self._metrics.interruptions.labels(turn.reason or "turn_detected").inc()
        self._metrics.tokens.labels("in").inc(turn.tokens_in)
        self._metrics.tokens.labels("out").inc(turn.tokens_out)
        self._stages(turn.latency)
        log.info(
            "turn.complete",
            session=self._name,
            reply=turn.reply,
            status=turn.status,
            reason=turn.reason,
            interrupted=turn.interrupted,
            tokens_in=turn.tokens_in,
            tokens_out=turn.tokens_out,
            **{f"{stage}_ms": ms for stage, ms in turn.latency.items()},
        )

    def _noted(self, turn: TurnNoted) -> None:
        """A turn without an answer: no reply, no tokens."""
        self._metrics.recent.add_noted(self._name, turn)
        self._metrics.turns.labels(turn.status).inc()
        self._stages(turn.latency)
        stages = {f"{stage}_ms": ms for stage, ms in turn.latency.items()}
        log.info("turn.noted", session=self._name, status=turn.status, reason=turn.reason, **stages)

    def _stages(self, latency: Mapping[str, float]) -> None:
        for stage, ms in latency.items():
            if stage != "speech_end":
                self._metrics.stages.labels(stage).observe(max(0.0, ms) / 1000)
