"""The wake word's gate: who may speak to the model now, and what of their words is the request. Pure.

Modes (protocols.md, section 1): *pre*, the word opens the utterance; *post*, it closes it; *mid*, it may stand
anywhere in it. Where every word has an acoustic model the gate sleeps until one is heard; where one has not, every
utterance is transcribed and the words are looked for in the text.
"""

from __future__ import annotations

from dataclasses import dataclass

from voice.session.config import WakeConfig
from voice.session.outgoing import ErrorOut, WakeWordRequired
from voice.turn.wake_text import cut

__all__ = ["Gate", "Request", "refusal"]

WAIT_AFTER_WAKE_S = 8.0
"""The wake word alone keeps the gate open this long."""


@dataclass(frozen=True, slots=True)
class Request:
    """`text` for the model; empty with `problem` None: nothing was said, `problem` says why it may not pass.

    `word`: the wake word that was found in the words.
    """

    text: str
    problem: str | None = None
    """None, "wake_word_required" or "empty_request"."""
    word: str = ""


class Gate:
    """`audible` are the wake words that the ears have models for. Times are audio seconds."""

    __slots__ = ("_acoustic", "_config", "_open_until", "called", "waiting")

    def __init__(self, config: WakeConfig, audible: frozenset[str]) -> None:
        self._config = config
        known = {_key(word) for word in audible}
        self._acoustic = bool(config.words) and all(_key(word) in known for word in config.words)
        self._open_until = -1.0
        self.waiting = False
        """The wake word was heard and nothing yet after it."""
        self.called = False
        """It was opened by the wake word, and not by the end of a reply."""

    @property
    def enabled(self) -> bool:
        return self._config.enabled and bool(self._config.words)

    @property
    def acoustic(self) -> bool:
        """The ears decide; otherwise the transcript does."""
        return self.enabled and self._acoustic

    @property
    def mode(self) -> str:
        return self._config.mode

    @property
    def opens(self) -> bool:
        """A wake word is asked for and comes before the request."""
        return self.enabled and self._config.mode == "pre"

    @property
    def closes(self) -> bool:
        """A wake word is looked for in the transcript and comes after the request, perhaps after a pause."""
        return self.enabled and not self._acoustic and self._config.mode == "post"

    @property
    def may_open(self) -> bool:
        """A wake word is asked for and may come before the request."""
        return self.enabled and self._config.mode != "post"

    def shut(self, at_s: float) -> bool:
        """Nothing spoken now may pass without the wake word being heard first."""
        return self.acoustic and at_s >= self._open_until

    def is_open(self, at_s: float) -> bool:
        """What is spoken now passes: the wake word was just heard, or a reply has just ended."""
        return self.enabled and at_s < self._open_until

    def follow_up(self, at_s: float, seconds: float) -> None:
        """A reply is over: the user may go on without the wake word for a while."""
        self._open_until = at_s + seconds if seconds > 0 else -1.0
        self.waiting = self.called = False

    def woken_alone(self, at_s: float, *, told: bool = False) -> None:
        """The request may follow. `told`: the client knows already that there was none."""
        self._open_until = at_s + WAIT_AFTER_WAKE_S
        self.waiting, self.called = not told, True

    def close(self) -> None:
        """Another device answers: nothing passes here without the wake word."""
        self._open_until = -1.0
        self.waiting = self.called = False

    def expired(self, at_s: float) -> bool:
        """The wake word was heard, and then nothing for too long. True once."""
        if self.waiting and at_s >= self._open_until:
            self.waiting = False
            return True
        return False

    def lapsed(self, at_s: float) -> bool:
        """The same, and whether the client knows or not. True once."""
        if self.called and at_s >= self._open_until:
            self.called = False
            return True
        return False

    def admit(self, text: str, *, woken: bool, typed: bool, at_s: float) -> Request:
        """What of `text` goes to the model.

        1. no wake word asked for: everything
        2. the ears heard the word, or none is needed: its text is cut out where the recogniser wrote it down
        3. the follow-up window is open (speech only): everything
        4. else the word must stand in the text where the mode wants it
        """
        text = text.strip()
        if not self.enabled:
            return Request(text)  # 1
        found = cut(text, self._config.words, self._config.mode)
        word = self._word(text) if found.found else ""
        if woken:
            # what the ears heard was contested then
            return Request(found.request if found.found else text, word="" if self._acoustic else word)  # 2
        if not typed and at_s < self._open_until:
            return Request(found.request if found.found else text, word=word)  # 3
        if not found.found:
            return Request("", "wake_word_required" if text else None)  # 4
        return Request(found.request, None if found.request else "empty_request", word)

    def _word(self, text: str) -> str:
        words, mode = self._config.words, self._config.mode
        return next((word for word in words if cut(text, (word,), mode).found), "")


def refusal(request: Request, *, asked: bool) -> ErrorOut | WakeWordRequired | None:
    """What the client is told of words that do not pass; None: it was noise. `asked`: it said that this is a turn."""
    if request.problem == "wake_word_required":
        return WakeWordRequired("Say the wake word to talk to me")
    if request.problem is not None:
        return ErrorOut(request.problem, "There is nothing but the wake word", "say what you want with it")
    if asked:
        return ErrorOut("empty_request", "No words were heard in this turn", "speak closer, or send a transcript")
    return None


def _key(word: str) -> str:
    return " ".join(word.lower().replace("_", " ").replace("-", " ").split())
