"""The states of a conversation and the table of its transitions. Pure data; turn.py holds what each entry does.

Theory
------
One state says where the conversation is:

    ASLEEP    a wake word is needed; what is said is only watched
    IDLE      listening; nobody speaks
    HEARING   the user speaks: an open *turn*
    PAUSE     the user paused: a *revision* of the answer is worked on, unheard; they may go on
    THINKING  the turn is over (confirmed); nothing of the answer has been sent yet
    SPEAKING  the answer is being played
    BRACED    something begins over SPEAKING that may be speech: output is held for the few frames until that is sure
    JUDGING   there was a sound over THINKING or SPEAKING: output is held until it is known what it was
"""

from __future__ import annotations

from enum import Enum

from voice.turn.events import (
    AudioClock,
    Cleared,
    Committed,
    InterruptAsked,
    SpeechBegan,
    SpeechEnded,
    Typed,
    WakeWord,
)

__all__ = ["SHOWN", "TABLE", "State"]


class State(Enum):
    ASLEEP = "asleep"
    IDLE = "idle"
    HEARING = "hearing"
    PAUSE = "pause"
    THINKING = "thinking"
    SPEAKING = "speaking"
    BRACED = "braced"
    JUDGING = "judging"

    __hash__ = object.__hash__
    """Enum's own hashes the name, in Python, at every event."""


SHOWN = {State.PAUSE: "hearing", State.BRACED: "paused", State.JUDGING: "paused"}
"""What a client is told; the others by their own value."""

TABLE: dict[type, dict[State, str]] = {
    # what the user's sounds do; a missing entry means that the state has nothing to do with the event
    SpeechBegan: {
        State.ASLEEP: "_watch",
        State.IDLE: "_open_turn",
        State.PAUSE: "_go_on",
        State.THINKING: "_start_judging",
        State.SPEAKING: "_start_judging",
        State.BRACED: "_start_judging",
        State.JUDGING: "_sound_again",
    },
    SpeechEnded: {
        State.ASLEEP: "_watched_pause",
        State.HEARING: "_pause",
        State.SPEAKING: "_overheard",
        State.JUDGING: "_sound_over",
    },
    AudioClock: {
        State.ASLEEP: "_watch_clock",
        State.IDLE: "_idle_clock",
        State.HEARING: "_hearing_clock",
        State.PAUSE: "_pause_clock",
        State.SPEAKING: "_speaking_clock",
        State.BRACED: "_braced_clock",
        State.JUDGING: "_judging_clock",
    },
    WakeWord: {state: "_wake" for state in State},
    Typed: {state: "_typed" for state in State},
    Committed: {state: "_commit" for state in State},
    InterruptAsked: {
        State.THINKING: "_stop",
        State.SPEAKING: "_stop",
        State.BRACED: "_stop",
        State.JUDGING: "_stop",
    },
    Cleared: {state: "_clear" for state in State},
}
