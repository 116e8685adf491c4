"""The nouns of a turn that is under way: what the user says, one attempt to answer it, a sound over the answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from llm.messages import Message
from voice.measuring.ledger import Ledger, Stage
from voice.mouth.reply import Reply
from voice.mouth.reply_options import DEFAULT_OPTIONS, ReplyOptions
from voice.session.config import SessionConfig, VoiceConfig
from voice.session.outgoing import ErrorOut
from voice.turn.back_channels import murmured
from voice.turn.bargein import (
    QUESTION_WORDS,
    STOP_WORDS,
    SYLLABLES_MS,
    BargeInRules,
    Said,
    Verdict,
    judge,
    opens_as_interruption,
    sounds_like_us,
)
from voice.turn.nearness import Loudness
from voice.turn.slowness import Slowness
from voice.turn.tool_rounds import Rounds

__all__ = ["Overlap", "Revision", "Turn"]


PATIENT = 1.5
"""Times the voice of an interruption: so long a word on what it is is waited for, if one is to come."""
LULL_S = 0.06
"""Two frames without a voice: the end of a word, or the closure of a "p". The recogniser is asked then."""
OVER_S = 0.09
"""Three of them: more than most closures. What the recogniser said is acted on."""
DIGITS = 6
"""Of a voice's seconds. A sum of frame lengths may be a little less than it should be; a mark that it just reaches
would be missed by a frame."""
WORD_S = 0.15
"""Nobody says more words than one in this, or half of a last one: they were misheard."""


@dataclass(slots=True)
class Turn:
    """Something that the user is saying, from `from_s` of the session's audio on.

    `woken`: it needs no wake word (any more). `told`: the client knows that speech started. `item` is what it will
    be in the conversation. `voiced_s` is where its voice was heard last, `loud_s` where it was as loud as before,
    `faint_s` where there was any of it.
    """

    number: int
    from_s: float
    item: str
    woken: bool = False
    called: bool = False
    """The ears heard its wake word, or another device has handed it over: no other device answers it."""
    told: bool = False
    partial: str = ""
    read: str = ""
    """The words of it that the model was given to read ahead, and when."""
    read_at: float = 0.0
    voiced_s: float = 0.0
    loud_s: float = 0.0
    faint_s: float = 0.0
    supposed: str = ""
    """The request that its partial words make, where they may be all of it..."""
    drafts: int = 0
    """... and how often an answer to such words was begun while the voice went on."""
    guesses: int = 0
    """Answers that were begun before there was a pause, and dropped because it was none."""
    known: str = ""
    """It had been taken to be over with these words, before the user went on..."""
    request: str = ""
    """... and this was asked of the model."""
    went_on_s: float | None = None
    """Where in the audio they did."""
    over_s: float | None = None
    """Where in the audio it had been taken to be over, and the words up to there are awaited."""
    over_reply: bool = False
    """It interrupted a reply that was being heard."""
    missed: bool = False
    """It was said over a reply that it could not interrupt."""
    loudness: Loudness = field(default_factory=Loudness)
    near_s: float | None = None
    """Where in the audio somebody near was heard last, where there are others."""
    spotted: str = ""
    """By what its first sound was recognised: one of the phrases of an interruption."""


@dataclass(slots=True)
class Revision:
    """An attempt to answer a turn. `turn` is None for typed words; `until_s` None means up to what was received.

    `text` is the transcript, `request` what of it goes to the model (the wake word cut out); "" where the client
    asked for an answer without saying anything. `user_item` and `item` are the two sides of the conversation.
    `quiet_s` is where in the audio the
    user fell silent, `over` the probability that the turn was over, by its sound.
    Until it is `confirmed` nothing of it may be told, remembered or charged.
    """

    number: int
    turn: Turn | None
    until_s: float | None
    ledger: Ledger
    progress_at: float
    drafted: int = 0
    """The number under which its answer was asked for, where that was before its words were known."""
    text: str | None = None
    language: str | None = None
    """Of the transcript, by the recogniser's word."""
    over: float | None = None
    quiet_s: float | None = None
    spoke_s: float | None = None
    """Where in the audio we were when the first sound of the answer left."""
    request: str = ""
    user_item: str = ""
    user_after: str | None = None
    """The item that the user's words were said behind; "root": none. None: they come last."""
    item: str = ""
    options: ReplyOptions = DEFAULT_OPTIONS
    voice: VoiceConfig = VoiceConfig()
    """What its reply is spoken with, from its first word to its last."""
    confirmed: bool = False
    unheard: bool = False
    """The recogniser failed before the turn was over: it is asked once more then."""
    heads: dict[int, str | None] = field(default_factory=dict)
    """The earlier pieces of a turn that was too long for one transcript, by the number each was asked for under."""
    tail: str | None = None
    """The transcript of its last piece, while an earlier one is awaited."""
    contested: bool = False
    """Whether another device of the user answers it is being decided."""
    won: bool = False
    """No other device of the user answers its wake word."""
    answering: bool = False
    after: str | None = None
    """The item that the next one of this reply stands behind."""
    calls_after: str | None = None
    """The one that the calls of this round stand behind."""
    reply: Reply | None = None
    stirred_at: float = 0.0
    """When something of it came last; `progress_at` counts signs of life too."""
    slow: Slowness = field(default_factory=Slowness)
    prompt_tokens: int = 0
    completion_tokens: int | None = None
    spent: tuple[int, int] = (0, 0)
    """Prompt and completion tokens of the round that the model is writing, as far as they are known."""
    finish: str = "stop"
    failure: str = ""
    voice_error: ErrorOut | None = None
    """What the voice said last of a clause that it could not speak. The client is told once the reply is released."""
    messages: tuple[Message, ...] = ()
    made_for: tuple[SessionConfig, int] | None = None
    """The configuration that its answer was begun with, and the `changes` of the history by then."""
    rounds: Rounds = field(default_factory=Rounds)

    def heard(self, text: str | None) -> bool:
        """The recogniser's word on the last piece; None: none yet. True: `text` is that of all pieces now."""
        self.tail = self.tail if text is None else text
        pieces = [*self.heads.values(), self.tail]
        if None in pieces:
            return False
        self.text = " ".join(piece for piece in pieces if piece)
        return True

    @property
    def numbers(self) -> tuple[int, ...]:
        """Under which something is done for it."""
        return (self.number, self.drafted) if self.drafted else (self.number,)

    def take(self, draft: Revision) -> None:
        """The answer that was begun as `draft` is its own: all that came of it, and what comes yet."""
        self.drafted, self.reply, self.voice = draft.number, draft.reply, draft.voice
        self.messages, self.made_for = draft.messages, draft.made_for
        self.prompt_tokens, self.completion_tokens, self.spent = (
            draft.prompt_tokens,
            draft.completion_tokens,
            draft.spent,
        )
        self.finish, self.failure, self.voice_error = draft.finish, draft.failure, draft.voice_error
        self.rounds, self.slow.life = draft.rounds, draft.slow.life
        self.ledger.take(draft.ledger, Stage.FIRST_TOKEN, Stage.FIRST_CLAUSE, Stage.FIRST_SPEECH)

    def drop_answer(self, number: int) -> None:
        """What was prepared is not wanted: none of its words, calls, costs and failures are its successor's, which is
        asked for under `number`."""
        self.number, self.drafted, self.reply, self.made_for = number, 0, None, None
        self.prompt_tokens, self.completion_tokens, self.spent = 0, None, (0, 0)
        self.finish, self.failure, self.voice_error = "stop", "", None
        self.rounds, self.slow.life = Rounds(), None
        self.ledger.forget(Stage.FIRST_TOKEN, Stage.FIRST_CLAUSE, Stage.FIRST_SPEECH)

    def stir(self, now: float) -> None:
        """Something of it has come."""
        self.progress_at = self.stirred_at = now

    @property
    def awaits_words(self) -> bool:
        """It is over, and the recogniser has not said what it was."""
        return self.confirmed and not self.answering and self.turn is not None and self.text is None

    @property
    def written(self) -> bool:
        """The model has nothing more to say: what is left is to be played, or done by the client."""
        return self.reply is not None and (self.reply.mind_done or self.rounds.handed_over)

    @property
    def kept(self) -> bool:
        """It is part of the conversation."""
        return self.options.remembered


@dataclass(slots=True)
class Overlap:
    """A sound over our own speech while it is judged. `turn` is the user's next turn if it proves to be one.

    `over_speech`: something of the answer had been sent when it was noticed, `ahead`: nothing had when it began, so
    it is neither our own voice nor meant for what we say: the user was not done.
    """

    turn: Turn
    over_speech: bool
    onset_s: float
    heard_at: float
    last_s: float
    ahead: bool = False
    soon: bool = False
    """It began when hardly anything of the answer to a spoken turn was heard: it may be the last word of that."""
    revision: int = 0
    again_s: float = 0.0
    """Where in the audio it came again after a gap, and when that was heard."""
    again_at: float = 0.0
    voiced_s: float = 0.0
    before_s: float = 0.0
    """Of this, the voice of the sound before it, of which the recogniser had not said yet what it was."""
    asked: int = 0
    asked_s: float = 0.0
    """Its voice when the recogniser was last asked."""
    ended: bool = False
    ended_at: float = 0.0
    text: str | None = None
    spotted: str = ""
    """Of the phrases that the recogniser spots, the one that the sound was when it was last asked."""
    interrupts: bool = False
    """What was spotted last interrupts, if it was all..."""
    commands: bool = False
    """... and this is an interruption for sure, whatever follows."""
    hint: str = ""
    """What the half of it was, where that interrupts."""
    spots: bool = False
    """The recogniser tells short phrases apart, for it mishears them: its words count in longer sounds only."""
    waits: bool = False
    """The recogniser has been asked and has not answered yet."""
    voice_s: float = 0.0
    """Where its voice was heard last."""
    whole: bool = False
    """The recogniser was asked in the silence after it: what it says is about all of the sound."""
    worded: bool = False
    """The recogniser has made out words in some of it."""
    fresh_text: bool = False
    fresh_spot: bool = False
    """It has answered that."""
    since_s: float = 0.0
    """Its voice since it was let go."""
    spoken_over: bool = False
    """The reply goes on while it is still judged: it was a back-channel each of the last two times."""

    def ask(self) -> None:
        """The recogniser is being asked, now."""
        self.waits, self.asked, self.asked_s = True, self.asked + 1, self.voiced_s
        self.whole = self.ended or self.last_s - self.voice_s >= LULL_S
        self.fresh_text = self.fresh_spot = False

    def go_on_from(self, before: Overlap) -> None:
        """It is `before`, which was taken to be over: no voice in its gap, and the recogniser is the same."""
        self.voiced_s, self.before_s = before.voiced_s, before.before_s
        self.last_s, self.spots = before.last_s, before.spots

    def over(self, now: float) -> None:
        """What was made of the half of it counts no more. Where nothing spots phrases, "mm" of "mm-hm" does."""
        self.ended, self.ended_at = True, now
        if not (self.whole and self.fresh_spot):
            self.spotted = ""
        if not (self.whole and self.fresh_text or (self.text and murmured(self.text) and not self.spots)):
            self.text = None

    def told(self, text: str) -> None:
        """The recogniser's word."""
        self.text, self.waits, self.fresh_text = text, False, True
        self.worded = self.worded or bool(text)

    def spots_phrase(self, phrase: str) -> str:
        """The recogniser's word on short phrases, "" for none. Gives what it said before."""
        before, self.spotted, self.spots, self.fresh_spot = self.spotted, phrase, True, True
        return before

    def hear(self, at_s: float, voiced: bool) -> None:
        """The ears have come to `at_s`, and the last frame was part of the sound, or was not. An onset is known late,
        so the first step counts all since the onset."""
        if voiced:
            self.voiced_s = round(self.voiced_s + max(0.0, at_s - self.last_s), DIGITS)
            self.voice_s, self.whole = at_s, False
        self.last_s = at_s

    @property
    def quiet(self) -> bool:
        """It has fallen silent, perhaps for good, and the recogniser has not been asked about it."""
        return self.voiced_s > 0 and self.last_s - self.voice_s >= LULL_S and not self.whole

    @property
    def judged_whole(self) -> bool:
        """There is silence after it, perhaps for good, and what spots phrases has heard all of it."""
        return self._fell_silent and self.whole and self.fresh_spot

    @property
    def _fell_silent(self) -> bool:
        return self.ended or self.last_s - self.voice_s >= OVER_S

    @property
    def murmured(self) -> bool:
        """It was a back-channel and there is silence after it, perhaps for good. Where nothing spots phrases, words
        of the half of it count."""
        if self.spots:
            return self.judged_whole and murmured(self.spotted)
        return self._fell_silent and murmured(self.text or "")

    def in_doubt(self, rules: BargeInRules) -> bool:
        """A short sound and nothing that interrupts, as far as what spots phrases can tell; words may yet prove it
        wrong."""
        short = self.voiced_s * 1000 < rules.sure_ms
        return self.spots and self.judged_whole and not self.spotted and not self.fresh_text and short

    def verdict(self, rules: BargeInRules, audio_s: float, now: float, said: Said) -> Verdict:
        """`said`: the words of ours that may be its echo."""
        elapsed_s = max(audio_s - self.onset_s, now - self.heard_at)
        if self.ended:  # the recogniser is asked once more then, and gets its time
            elapsed_s = min(elapsed_s, rules.patience_ms / 2000 + now - self.ended_at)
        elif self.again_at and not self.over_speech and elapsed_s * 1000 < rules.deadline_ms:
            elapsed_s = max(audio_s - self.again_s, now - self.again_at)  # what comes now may be a sentence
        meant = self.commands or (self.interrupts and (self.judged_whole or self._confirmed(said)))
        if meant and not sounds_like_us(self.spotted, said):
            return Verdict.INTERRUPT
        if not self.ahead and (self.murmured or self.in_doubt(rules)):
            return Verdict.RESUME  # and judged again if it was not over, or has words after all
        answered = self.ended and self.whole and self.fresh_text
        if answered and self.hint and not sounds_like_us(self.hint, said):
            if not murmured(self.spotted or self.text or ""):
                return Verdict.INTERRUPT  # the half of it was clearer than the whole
        early = self.voiced_s * 1000 < rules.sure_ms * (1 if self.fresh_spot else PATIENT)
        if self.spots and not self.ended and early:
            return Verdict.WAIT if elapsed_s * 1000 < rules.deadline_ms else Verdict.RESUME
        text = self.spotted if murmured(self.spotted) else self._credible(rules)
        if (self.ahead or self.soon) and answered and not murmured(text or ""):
            long = self.ahead and self.voiced_s * 1000 >= rules.voiced_ms
            word = self.soon and text and self.voiced_s * 1000 >= SYLLABLES_MS
            if long or (word and not sounds_like_us(text or "", said)):
                return Verdict.INTERRUPT  # together with what was said before it is heard better
        if not text and self.spots and self.worded and not self.ended:
            text = None  # words that were made out and are not sure any more: it is no music
        # A cough after a cough is no sentence: voice alone counts from where this sound began.
        voiced_s = self.voiced_s if text or rules.words_needed else self.voiced_s - self.before_s
        return judge(rules, voiced_s * 1000, elapsed_s * 1000, self.ended, text, said)

    def _confirmed(self, said: Said) -> bool:
        """Its words, as far as they go, interrupt as well: two ways of hearing agree about the half of it."""
        return opens_as_interruption(self.text or "") and not sounds_like_us(self.text or "", said)

    def _credible(self, rules: BargeInRules) -> str | None:
        """The transcript; nothing, where there was no time to say it, or where it is one short word that what spots
        phrases did not hear: such words are what its recogniser mishears. The last word of a turn is one, too."""
        words = (self.text or "").split()
        if not self.spots or not words:
            return self.text
        short = len(words) == 1 and self.voiced_s * 1000 < rules.voiced_ms and not self.soon
        misheard = short and self.ended and words[0] not in STOP_WORDS | QUESTION_WORDS
        return "" if misheard or self.voiced_s < WORD_S * (len(words) - 0.5) else self.text
