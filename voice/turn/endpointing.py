"""How patient a session is: the client's wishes over the server's settings, as plain numbers. Pure.

OpenAI's turn_detection object maps onto a detector (voice/turn_detection) and its patience here:

    server_vad with silence_duration_ms     that silence, fixed
    server_vad                              the detector of the settings
    semantic_vad                            a detector that understands; `eagerness` scales its patience, and is the
                                            longest it waits: 8, 4, 2 s, as OpenAI documents it
    null                                    manual: the end of turns is left to the client
"""

from __future__ import annotations

from functools import cache

from models.registry import discover
from voice.session.config import SessionConfig, TurnDetection
from voice.settings import TurnSettings
from voice.turn.bargein import BargeInRules, known_stops
from voice.turn_detection.habits import Habits
from voice.turn_detection.spec import Detector, DetectorSpec, Patience

__all__ = [
    "ALONE_S",
    "ECHO_S",
    "POST_PATIENCE_S",
    "SLACK_S",
    "SETTLED_S",
    "STALL_S",
    "TurnPolicy",
    "detector_name",
    "detectors",
]

STALL_S = 1.5
"""No audio for this long in mid-speech: the microphone stopped, the user has finished."""
SLACK_S = 0.25
"""Audio may be this late before `now` takes over from the audio clock."""
POST_PATIENCE_S = 2.0
"""With the wake word at the end, the request may be this long ago."""
ALONE_S = 0.2
"""Speech that ended this soon after the wake word was the wake word."""
ECHO_S = 1.0
"""After a reply its echo may be heard for so long: buffers of the client, and the room."""
SETTLED_S = 1.5
"""So long the echo canceller learns; until then what it leaves of our voice may sound like one."""
EAGERNESS_FACTOR = {"high": 0.6, "medium": 1.0, "auto": 1.0, "low": 2.0}
EAGERNESS_DEADLINE_S = {"high": 2.0, "medium": 4.0, "auto": 4.0, "low": 8.0}


@cache
def detectors() -> dict[str, DetectorSpec]:
    """The parts of voice/turn_detection by name."""
    return discover("voice.turn_detection")


def detector_name(detection: TurnDetection, asked: str, *, scoring: bool) -> str:
    """Which detector a session uses. `asked`: by the settings; `scoring`: the model of smart_turn is loaded."""
    best = "smart_turn" if scoring else "adaptive"
    if detection.type == "server_vad":
        if detection.silence_duration_ms is not None:
            return "fixed"
        return best if asked == "auto" else asked
    return best if asked in ("auto", "fixed") else asked


class TurnPolicy:
    """Read-only; made anew when the configuration changes. Times in seconds."""

    __slots__ = (
        "answers",
        "barge_in",
        "deadline_s",
        "detector",
        "follow_up_s",
        "guess_s",
        "listening",
        "max_turn_s",
        "pause_s",
        "preroll_s",
        "reaches_back",
        "rules",
        "scores",
        "silence_s",
    )

    def __init__(
        self, config: SessionConfig, settings: TurnSettings, habits: Habits | None = None, *, scoring: bool = False
    ) -> None:
        """`habits`: of this speaker. `scoring`: somebody answers ScoreTurn."""
        detection, turn = config.turn_detection, config.turn
        self.listening = detection.type != "none"
        """Turns end by silence, not only by the client's word."""
        self.answers = config.answers
        """A turn that is over is answered."""
        silence_ms: float = settings.silence_ms
        if detection.type == "semantic_vad":
            silence_ms *= EAGERNESS_FACTOR[detection.eagerness]
        elif detection.silence_duration_ms is not None:
            silence_ms = detection.silence_duration_ms
        self.silence_s = silence_ms / 1000
        deadline_s = settings.max_silence_ms / 1000
        if detection.type == "semantic_vad":
            deadline_s = EAGERNESS_DEADLINE_S[detection.eagerness]
        self.deadline_s = max(deadline_s, self.silence_s)
        """No turn outlasts more silence than this."""
        name = detector_name(detection, settings.detector, scoring=scoring)
        patience = Patience(self.silence_s, self.deadline_s)
        self.detector: Detector = detectors()[name].make(patience, Habits() if habits is None else habits)
        self.scores = scoring and detectors()[name].load is not None
        """Every pause is to be listened to by the detector's model."""
        self.pause_s = min(settings.pause_ms / 1000, self.silence_s)
        self.guess_s = min(settings.guess_ms / 1000, self.pause_s) if settings.speculate else self.pause_s
        """Silence after which the first answer of a turn is begun."""
        padding_ms = detection.prefix_padding_ms
        self.preroll_s = (settings.preroll_ms if padding_ms is None else padding_ms) / 1000
        self.reaches_back = padding_ms is None
        """A soft beginning before that is kept, too: the client did not say how much it wants."""
        self.max_turn_s = settings.max_turn_s
        self.follow_up_s = settings.follow_up_s if turn.follow_up_s is None else turn.follow_up_s
        self.barge_in = (
            config.audio.allow_interrupt and turn.barge_in and detection.interrupt_response and self.listening
        )
        """Speech over a reply may interrupt it."""
        sure_ms = max(settings.barge_in_ms, settings.barge_in_sure_ms)
        stops = known_stops(settings.stop_words)
        self.rules = BargeInRules(settings.barge_in_ms, sure_ms, stops=stops, words_needed=turn.echo == "speaker")
