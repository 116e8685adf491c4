"""How patient a session is: the client's wishes over the server's settings, as plain numbers. Pure.

OpenAI's turn_detection object maps onto the fixed silence here; None (manual) leaves the end of turns to the client.
"""

from __future__ import annotations

from voice.bargein import BargeInRules
from voice.session_config import SessionConfig
from voice.settings import TurnSettings

__all__ = ["ALONE_S", "POST_PATIENCE_S", "SLACK_S", "STALL_S", "Manners"]

STALL_S = 1.5
"""No audio for this long in mid-speech: the microphone stopped, the user has finished."""
SLACK_S = 0.25
"""Audio may be this late before `now` takes over from the audio clock."""
POST_PATIENCE_S = 2.0
"""With the wake word at the end, the request may be this long ago."""
ALONE_S = 0.2
"""Speech that ended this soon after the wake word was the wake word."""
EAGERNESS_FACTOR = {"high": 0.6, "medium": 1.0, "auto": 1.0, "low": 2.0}
"""semantic_vad without a turn model: the user's eagerness scales the fixed silence."""


class Manners:
    """Read-only; made anew when the configuration changes. Times in seconds."""

    __slots__ = (
        "answers",
        "barge_in",
        "follow_up_s",
        "listening",
        "max_turn_s",
        "pause_s",
        "preroll_s",
        "rules",
        "silence_s",
    )

    def __init__(self, config: SessionConfig, settings: TurnSettings) -> None:
        detection, turn = config.turn_detection, config.turn
        self.listening = detection.type != "none"
        """Turns end by silence, not only by the client's word."""
        self.answers = detection.create_response and not config.transcribe_only
        """A turn that is over is answered."""
        silence_ms: float = settings.silence_ms
        if detection.type == "semantic_vad":
            silence_ms *= EAGERNESS_FACTOR[detection.eagerness]
        elif detection.silence_duration_ms is not None:
            silence_ms = detection.silence_duration_ms
        self.silence_s = silence_ms / 1000
        self.pause_s = min(settings.pause_ms / 1000, self.silence_s)
        padding_ms = detection.prefix_padding_ms
        self.preroll_s = (settings.preroll_ms if padding_ms is None else padding_ms) / 1000
        self.max_turn_s = settings.max_turn_s
        self.follow_up_s = settings.follow_up_s if turn.follow_up_s is None else turn.follow_up_s
        self.barge_in = (
            config.audio.allow_interrupt and turn.barge_in and detection.interrupt_response and self.listening
        )
        """Speech over a reply may interrupt it."""
        self.rules = BargeInRules(
            settings.barge_in_ms, settings.barge_in_verdict_ms, words_needed=turn.echo == "speaker"
        )
