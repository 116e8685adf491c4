"""The latency ledger of one turn: when each stage was reached, counted from the user's last speech sample. Pure.

It is told to the client with `turn_complete`, written to the log as `turn.complete`, and summed up at GET /metrics;
of a turn that has no answer with `turn_noted` and as `turn.noted`.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Ledger", "Stage"]


class Stage(StrEnum):
    """In the order in which a turn passes them. With speculation some come before ENDPOINT, so the order varies.

    A turn has the stages that it reached: typed words have no TRANSCRIPT, a text reply no sound, and
    FIRST_AUDIO_PLAYED is known only of clients that report what they play.
    """

    SPEECH_END = "speech_end"
    """What the others are counted from."""
    ENDPOINT = "endpoint"
    TRANSCRIPT = "transcript"
    FIRST_TOKEN = "first_token"
    FIRST_CLAUSE = "first_clause"
    FIRST_SPEECH = "first_speech"
    FIRST_AUDIO_SENT = "first_audio_sent"
    FIRST_AUDIO_PLAYED = "first_audio_played"
    STOPPED = "stopped"
    DONE = "done"


class Ledger:
    """`speech_end`: the moment (monotonic seconds) at which the last sample was spoken, or the turn was typed."""

    __slots__ = ("_at", "speech_end")

    def __init__(self, speech_end: float) -> None:
        self.speech_end = speech_end
        self._at: dict[Stage, float] = {}

    def mark(self, stage: Stage, now: float) -> None:
        """The first time counts."""
        self._at.setdefault(stage, now)

    def take(self, other: Ledger, *stages: Stage) -> None:
        """They were reached by what is part of this now. Nothing counts from before the end of speech."""
        for stage in stages:
            if stage in other._at:
                self.mark(stage, max(other._at[stage], self.speech_end))

    def forget(self, *stages: Stage) -> None:
        """They were reached by something that is not wanted any more."""
        for stage in stages:
            self._at.pop(stage, None)

    def played(self, played_s: float, now: float) -> None:
        """The client has played so much of the reply: its first sample sounded that long ago, after it was sent."""
        if played_s > 0:
            self.mark(
                Stage.FIRST_AUDIO_PLAYED, max(now - played_s, self._at.get(Stage.FIRST_AUDIO_SENT, self.speech_end))
            )

    def has(self, stage: Stage) -> bool:
        return stage in self._at

    def milliseconds(self) -> dict[str, float]:
        """Stage -> milliseconds since the end of speech, in the order in which they were reached."""
        ordered = sorted(self._at.items(), key=lambda item: item[1])
        reached = {stage.value: round((at - self.speech_end) * 1000, 1) for stage, at in ordered}
        return {Stage.SPEECH_END.value: 0.0, **reached}

    def answer_ms(self) -> float:
        """End of speech to the first audio sent, or to the end where no audio was; 0 where neither was reached."""
        for stage in (Stage.FIRST_AUDIO_SENT, Stage.DONE, Stage.STOPPED):
            if stage in self._at:
                return round((self._at[stage] - self.speech_end) * 1000, 1)
        return 0.0
