"""The latency ledger of one turn: when each stage was reached, counted from the user's last speech sample. Pure."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Ledger", "Stage"]


class Stage(StrEnum):
    """In the order in which a turn passes them. With speculation some come before ENDPOINT, so the order varies."""

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

    def has(self, stage: Stage) -> bool:
        return stage in self._at

    def milliseconds(self) -> dict[str, float]:
        """Stage -> milliseconds since the end of speech, in the order in which they were reached."""
        ordered = sorted(self._at.items(), key=lambda item: item[1])
        return {stage.value: round((at - self.speech_end) * 1000, 1) for stage, at in ordered}

    def answer_ms(self) -> float:
        """End of speech to the first audio sent, or to the end where no audio was; 0 where neither was reached."""
        for stage in (Stage.FIRST_AUDIO_SENT, Stage.DONE, Stage.STOPPED):
            if stage in self._at:
                return round((self._at[stage] - self.speech_end) * 1000, 1)
        return 0.0
