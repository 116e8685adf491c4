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
        State.ASLEEP: "watch",
        State.IDLE: "open_turn",
        State.PAUSE: "go_on",
        State.THINKING: "start_judging",
        State.SPEAKING: "start_judging",
        State.BRACED: "start_judging",
        State.JUDGING: "sound_again",
    },
    SpeechEnded: {
        State.ASLEEP: "watched_pause",
        State.HEARING: "pause",
        State.THINKING: "overheard",
        State.SPEAKING: "overheard",
        State.JUDGING: "sound_over",
    },
    AudioClock: {
        State.ASLEEP: "watch_clock",
        State.IDLE: "idle_clock",
        State.HEARING: "hearing_clock",
        State.PAUSE: "pause_clock",
        State.SPEAKING: "speaking_clock",
        State.BRACED: "braced_clock",
        State.JUDGING: "judging_clock",
    },
    WakeWord: {state: "wake" for state in State},
    Typed: {state: "typed" for state in State},
    Committed: {state: "commit" for state in State},
    InterruptAsked: {
        State.THINKING: "stop",
        State.SPEAKING: "stop",
        State.BRACED: "stop",
        State.JUDGING: "stop",
    },
    Cleared: {state: "clear" for state in State},
}
