"""What a sound over the answer is judged by: the rules for it, and the words of ours that it may be. Pure."""

from __future__ import annotations

from dataclasses import replace

from voice.turn.bargein import INTERRUPTERS, NOTHING_SAID, QUESTIONS, BargeInRules, Said, is_phrase
from voice.turn.deciding import SLIGHT_S, Deciding
from voice.turn.revision import Overlap

__all__ = ["Weighing"]

CANCELLED_FACTOR = 1.3
"""Over the residue of our own voice, a voice has to last longer."""
UNKNOWN_S = 1.0
"""A voice waits so long for the word whether the microphone hears us. Its words do not shorten that, nor are first
replies held at the first frames: a recogniser may make anything of an echo, and what is held leaves nothing to learn
from. Both were tried; more first replies stopped themselves."""
ECHOES_S = 1.0
"""Our words are heard back no later than this: buffers of the client, and the room."""


class Weighing(Deciding):
    """Changes nothing."""

    def _began_before_us(self, at_s: float) -> bool:
        """A voice is known some frames after it began; in between the first sound of the answer may have left."""
        revision = self._answer.revision
        return revision is not None and revision.spoke_s is not None and at_s < revision.spoke_s

    def _interruptible(self) -> bool:
        return self._policy.barge_in and (not self._gate.acoustic or self._policy.follow_up_s > 0)

    def _may_go_on(self) -> bool:
        """What is being answered was opened by the wake word, and is not closed by one."""
        revision = self._answer.revision
        if revision is None or revision.turn is None:
            return False
        return revision.turn.woken and self._policy.barge_in and self._gate.may_open

    def _is_command(self, phrase: str) -> bool:
        return is_phrase(phrase, (*self._stops, *INTERRUPTERS))

    def _interrupts(self, phrase: str) -> bool:
        """If it was all that was said. What is left of our own voice may sound like anything."""
        meant = self._is_command(phrase) or is_phrase(phrase, QUESTIONS)
        return meant and not self._echo_learning

    def _may_be_found_out(self, sound: Overlap) -> bool:
        """It is not known yet whether this is our own voice, and soon will be."""
        return not self._own.known and not sound.ahead and self._now < sound.heard_at + UNKNOWN_S

    def _may_be_lost(self, sound: Overlap) -> bool:
        """It is not known yet whether another device answers what this goes on with, and soon will be."""
        revision = self._answer.revision
        contested = revision is not None and revision.contested
        return contested and self._now < sound.heard_at + self._policy.rules.deadline_ms / 1000

    def _may_echo(self) -> Said:
        """Our own words that the microphone may be hearing now."""
        reply = self._answer.reply
        if reply is None or (not self._own.heard and not self._words_tell):
            return NOTHING_SAID
        began = self._overlap or self._overheard_sound
        since = reply.playout.position(self._now) - ECHOES_S - (self._audio.s - began.onset_s if began else 0.0)
        return Said(reply.said(0.0), reply.said(since))

    def _comes_late(self, sound: Overlap) -> bool:
        """It was long enough for words, or may be the end of a turn, and the recogniser has not said yet what they
        are. Where the microphone was found to hear us they are most likely ours."""
        worth = self._is_long(sound) or sound.soon
        return worth and sound.waits and (sound.ahead or not self._own.cancelled)

    def _is_long(self, sound: Overlap) -> bool:
        return sound.voiced_s * 1000 >= self._policy.rules.voiced_ms

    def _onset_of(self, sound: Overlap) -> float:
        """Where in the audio it began, or what it goes on with."""
        return min(sound.onset_s, sound.turn.from_s + self._policy.preroll_s)

    def _rules(self, sound: Overlap) -> BargeInRules:
        """Where the microphone hears us, or may, a voice alone may be our own: then only words tell.

        Once our voice is taken out of the signal, what is left of it is short.
        """
        rules = self._policy.rules
        if sound.ahead:
            return replace(rules, words_needed=False)
        if not self._own.heard:
            return replace(rules, words_needed=True) if self._words_tell else rules
        if self._own.cancelled:
            voiced_ms = rules.voiced_ms * CANCELLED_FACTOR
            return replace(rules, voiced_ms=voiced_ms, words_needed=self._echo_learning)
        return replace(rules, words_needed=True)

    @property
    def _words_tell(self) -> bool:
        """Whoever says that there is no echo may be wrong, and the first reply shows it: what is heard over that
        counts at once, but only with words, and not with our own."""
        return self._own.assumed and not self._own.said

    def _verdict_at(self, sound: Overlap) -> float:
        """When time alone may decide: a verdict counts the time from there."""
        rules, since = self._policy.rules, sound.heard_at
        if sound.ended:
            since = max(since, sound.ended_at - rules.patience_ms / 2000)
        soon = (since if sound.over_speech else max(since, sound.again_at)) + rules.patience_ms / 1000 + SLIGHT_S
        return soon if soon > self._now else since + rules.deadline_ms / 1000 + SLIGHT_S
