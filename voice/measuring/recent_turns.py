"""The last turns of all sessions with their ledgers, for somebody who wants to see where the time goes.

Bounded, in memory, and without a word of what was said. Over the whole life of the server the same figures are the
histograms of turn_metrics.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from llm.measuring.statistics import quantile
from models.clock import Clock
from voice.measuring.ledger import Stage
from voice.session.outgoing import TurnComplete, TurnNoted

__all__ = ["FIRST_SOUND", "KEPT", "RecentTurns", "Spread", "TurnFigures"]

KEPT = 200
FIRST_SOUND = "first_sound"
"""Beside the stages of the ledger: when the answer began to sound, by the client's word or else by ours."""


@dataclass(frozen=True, slots=True)
class TurnFigures:
    """`latency_ms`: the ledger, milliseconds since the user's last speech sample for each stage that was reached."""

    number: int
    """Counts the turns since the server began, from 1."""
    ended_at: datetime
    session: str
    reply: str
    status: str
    reason: str
    interrupted: bool
    tokens_in: int
    tokens_out: int
    latency_ms: Mapping[str, float]

    @property
    def first_sound_ms(self) -> float | None:
        sent = self.latency_ms.get(Stage.FIRST_AUDIO_SENT)
        return self.latency_ms.get(Stage.FIRST_AUDIO_PLAYED, sent)


@dataclass(frozen=True, slots=True)
class Spread:
    turns: int
    median_ms: float
    p95_ms: float


class RecentTurns:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turns: deque[TurnFigures] = deque(maxlen=KEPT)
        self.count = 0
        """Turns since the server began, those included that are no longer here."""

    def add(self, session: str, turn: TurnComplete) -> None:
        self.count += 1
        self._turns.append(
            TurnFigures(
                self.count,
                self._clock.wall(),
                session,
                turn.reply,
                turn.status,
                turn.reason,
                turn.interrupted,
                turn.tokens_in,
                turn.tokens_out,
                dict(turn.latency),
            )
        )

    def add_noted(self, session: str, turn: TurnNoted) -> None:
        """One that had no answer."""
        self.count += 1
        figures = ("", turn.status, turn.reason, False, 0, 0, dict(turn.latency))
        self._turns.append(TurnFigures(self.count, self._clock.wall(), session, *figures))

    def latest(self, most: int = KEPT) -> tuple[TurnFigures, ...]:
        """The latest first."""
        return tuple(self._turns)[::-1][: max(0, most)]

    def spreads(self) -> dict[str, Spread]:
        """By stage, and for FIRST_SOUND, of the turns that are here and reached it."""
        reached: dict[str, list[float]] = {}
        for turn in self._turns:
            for stage, ms in turn.latency_ms.items():
                if stage != Stage.SPEECH_END:
                    reached.setdefault(stage, []).append(ms)
            if (sound_ms := turn.first_sound_ms) is not None:
                reached.setdefault(FIRST_SOUND, []).append(sound_ms)
        return {
            stage: Spread(len(times), round(median(times), 1), round(quantile(times, 0.95), 1))
            for stage, times in reached.items()
        }
