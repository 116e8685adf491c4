"""The answer under way: one revision at a time, from transcript to the last sample played. Pure.

The turn machine says when a revision begins, is confirmed, abandoned or cut off; here is what lies between: tokens
into clauses, clauses into audio, audio out at the pace of playout, and the one place where a turn is closed.

Why this file is long: whatever comes of an answer, tokens, samples, calls or an end, in any order, meets one state.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from llm.messages import Message
from voice.measuring.ledger import Ledger, Stage
from voice.mouth.fillers import excuse_of
from voice.mouth.language import guess_language
from voice.mouth.reply import Reply
from voice.mouth.reply_options import DEFAULT_OPTIONS, ReplyOptions
from voice.session.config import SessionConfig, VoiceConfig
from voice.session.outgoing import (
    ErrorOut,
    Interrupted,
    ItemAdded,
    ItemDeleted,
    ReplyStarted,
    TextOut,
)
from voice.settings import ToolSettings, TurnSettings
from voice.turn.actions import Abandon, Action, Prefill, Speak, StopListening, Tell, Transcribe
from voice.turn.back_channels import words_of
from voice.turn.events import (
    ClauseAudio,
    ClauseFailed,
    MindFailed,
    MindFinished,
    MindWaits,
    Missing,
    PlayedReport,
    TokensArrived,
    ToolResult,
    UsageKnown,
)
from voice.turn.history import History, Item
from voice.turn.report import turn_complete
from voice.turn.revision import Revision, Turn
from voice.turn.thinking import choice_among, think_of
from voice.turn.tool_rounds import Replying, ToolDispatcher

__all__ = ["Answer", "AnswerEvent"]

MORE_ROUNDS = "ask for less at once, or allow more with max_rounds in [voice.tools]"
SURE_WORDS = 4
"""In so many words a recogniser is right about their language."""
PAST_REPLIES = 16
"""Of so many replies the word times are kept, for a client that says later where it stopped playing."""

AnswerEvent = (
    TokensArrived
    | MindFinished
    | MindWaits
    | MindFailed
    | ClauseAudio
    | ClauseFailed
    | PlayedReport
    | Missing
    | ToolResult
    | UsageKnown
)


class Answer:
    """`out` is the machine's list of actions; everything here appends to it."""

    def __init__(
        self,
        config: SessionConfig,
        settings: TurnSettings,
        history: History,
        system_prompt: str,
        tools: ToolSettings | None = None,
        server_tools: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        language: str = "auto",
    ) -> None:
        self.config = config
        self.history = history
        self.revision: Revision | None = None
        self.draft: Revision | None = None
        """An answer to words that may be the turn's, see ahead.py. It is asked for under a number of its own."""
        self.out: list[Action] = []
        self.past: OrderedDict[str, Reply] = OrderedDict()
        """The last replies that are over, by their item."""
        self.unwanted: set[str] = set()
        """Items that are to be taken out of the conversation as soon as they are in it."""
        self.system_prompt = system_prompt
        self._voice_language = language
        self._settings = settings
        self._replies = 0
        self._lag_s = 0.0  # of the client's loudspeaker, as its last reports showed
        self._asked_in: str | None = None  # the language of the last question, by the recogniser's word
        self._words_told = False  # some of the reply's, since it was pumped last
        self._dispatcher = ToolDispatcher(
            tools or ToolSettings(), server_tools, self._do, self._add_round, history.has_call
        )

    @property
    def patience_s(self) -> float:
        """A reply that makes no progress for this long has failed."""
        return self._settings.reply_timeout_s

    @property
    def reply(self) -> Reply | None:
        return self.revision.reply if self.revision is not None else None

    def of(self, number: int) -> Revision | None:
        """The living revision of that number: results of dead ones end here."""
        living = (self.revision, self.draft)
        return next((each for each in living if each is not None and number in each.numbers), None)

    # ---- begin and end --------------------------------------------------------------------------------------

    def write_down(
        self,
        number: int,
        turn: Turn | None,
        until_s: float | None,
        speech_end: float,
        now: float,
        heard_s: float | None = None,
    ) -> Revision:
        """A new revision, whose turn's words are asked for; beside the one that is answered, unless it takes its
        place. `speech_end`: when (now's clock) the user fell silent; `heard_s`: as in Transcribe."""
        revision = Revision(number, turn, until_s, Ledger(speech_end), now, stirred_at=now)
        if turn is not None:
            revision.user_item = turn.item
            self.out.append(Transcribe(number, turn.number, turn.from_s, until_s, heard_s=heard_s))
        return revision

    def new_reply_id(self) -> str:
        self._replies += 1
        return f"reply-{self._replies}"

    def think(self, revision: Revision) -> None:
        """Ask the model, unless it was asked the same ahead; the reply is held back until it is released."""
        draft, self._asked_in = self.draft, revision.language or self._asked_in
        if draft is not None and self._is_drafted(draft, revision):
            revision.take(draft)
            self.draft = None
            return
        self.drop_draft()
        self._prepare(revision)

    def think_ahead(self, number: int, turn: Turn, request: str, now: float) -> None:
        """Ask the model for an answer to words that may be the turn's."""
        self.drop_draft()
        self.draft = Revision(number, turn, None, Ledger(now), now, stirred_at=now, request=request)
        self.draft.language = self._asked_in
        self._prepare(self.draft)

    def drop_draft(self) -> None:
        """Without a trace."""
        if self.draft is not None:
            self.stop_work(self.draft)
            self.draft = None

    def _is_drafted(self, draft: Revision, revision: Revision) -> bool:
        if draft.turn is not revision.turn or draft.reply is None or draft.options != revision.options:
            return False
        same = words_of(draft.request) == words_of(revision.request)
        return same and draft.voice == self._voice(revision) and not self.is_outdated(draft)

    def _prepare(self, revision: Revision) -> None:
        self._open_reply(revision)
        revision.messages = self.prompt(revision.options, revision.request or None)
        revision.made_for = self.config, self.history.changes
        self._ask(revision)

    def is_outdated(self, revision: Revision) -> bool:
        """What is prepared is not what would be asked for now: since then the client has changed the conversation,
        or how it wants to be answered."""
        if revision.answering or revision.reply is None or revision.made_for is None:
            return False
        config, changes = revision.made_for
        if changes != self.history.changes:
            if revision.messages != self.prompt(revision.options, revision.request or None):
                return True
            revision.made_for = config, self.history.changes
        return config is not self.config and _of_answers(config) != _of_answers(self.config)

    def _open_reply(self, revision: Revision) -> None:
        options = revision.options
        revision.voice = self._voice(revision)
        revision.reply = Reply(
            self.new_reply_id(),
            self.config.audio.sample_rate,
            self._settings.lead_ms / 1000,
            lag_s=self._lag_s,
            unsure_s=self._settings.unsure_ms / 1000,
            spoken=self._speaks(options),
            speed=revision.voice.speed,
            language=revision.voice.language,
        )

    def _speaks(self, options: ReplyOptions) -> bool:
        return self.config.spoken if options.spoken is None else options.spoken

    def _voice(self, revision: Revision) -> VoiceConfig:
        voice, options = self.config.voice, revision.options
        return VoiceConfig(
            language=self._language(revision),
            voice_id=voice.voice_id if options.voice is None else options.voice,
            speed=voice.speed if options.speed is None else options.speed,
        )

    def _ask(self, revision: Revision) -> None:
        think = think_of(revision.number, revision.messages, revision.options, self.config)
        choice = think.tool_choice
        if revision.rounds.number:  # a model that must call a tool would call it for ever
            last = self._dispatcher.is_last(revision) or choice == "none"
            choice = "none" if last else None
        tools = self._dispatcher.offered(think.tools)
        self.out.append(replace(think, tools=tools, tool_choice=choice_among(choice, tools)))

    def can_choose(self, options: ReplyOptions, *, out_of_band: bool) -> bool:
        """The tool that the client wants called in this reply is there."""
        if options.tool_choice is None:
            return True
        tools = think_of(0, (), options, self.config).tools
        return (
            choice_among(options.tool_choice, tools if out_of_band else self._dispatcher.offered(tools)) is not None
        )

    def read_ahead(self, words: str) -> None:
        """The conversation so far, and how the user's turn begins: most of the next prompt."""
        tools = think_of(0, (), DEFAULT_OPTIONS, self.config).tools
        messages = self.prompt(DEFAULT_OPTIONS, words or None)
        if messages:
            self.out.append(Prefill(messages, self._dispatcher.offered(tools)))

    def prompt(self, options: ReplyOptions, asked: str | None) -> tuple[Message, ...]:
        """What the model is told: the client's own messages, or the conversation and what was asked last."""
        prompt = options.instructions
        if prompt is None:
            prompt = self.config.llm.system_prompt or self.system_prompt
        if options.input is not None:
            return (*((Message("system", prompt),) if prompt else ()), *options.input)
        return self.history.messages(prompt, asked, self.config.llm.history_length)

    def release(self, revision: Revision, now: float) -> None:
        """It is what the user wanted: the question enters the conversation, the answer may be heard."""
        revision.answering = True
        reply, options = revision.reply, revision.options
        if reply is None:
            return
        if revision.request:
            self.remember(Item(revision.user_item, Message("user", revision.request)), revision.user_after)
        previous = self.history.last_id
        if options.remembered:
            revision.item, revision.after = self.history.new_id(), previous or "root"
        reply.release()
        self.out.append(Tell(ReplyStarted(reply.id, revision.item, options.key, reply.spoken, previous)))
        if revision.voice_error is not None:
            self.out.append(Tell(revision.voice_error))
        self._use_tools(revision, now)

    def remember(self, item: Item, after: str | None = None) -> None:
        """Put it into the conversation, and tell. An `after` that is gone by now means the end; the reply under way
        is not there yet, but its place is known."""
        if self.revision is not None and self.revision.answering and after == self.revision.item:
            after = self.revision.after
        elif after not in (None, "root") and self.history.get(after) is None:
            after = None
        self.add(item, after)

    def add(self, item: Item, after: str | None) -> None:
        """`remember`, but raises KeyError for an `after` that is not there. Tells of those that make room for it."""
        self.out.append(Tell(ItemAdded(item, self.history.insert(item, after))))
        self.out.extend(Tell(ItemDeleted(old)) for old in self.history.take_forgotten())
        if item.id in self.unwanted:
            self.unwanted.remove(item.id)
            self.forget(item.id)

    def forget(self, item: str) -> None:
        """Take it out of the conversation, and tell."""
        if self.history.get(item) is not None:
            before = self.history.delete(item)
            revision = self.revision
            if revision is not None and revision.after == item:
                revision.after = before or "root"
            if revision is not None and revision.calls_after == item:
                revision.calls_after = before or "root"
        self.out.append(Tell(ItemDeleted(item)))

    def abandon(self) -> None:
        """Drop the revision without a trace; only for one that was not confirmed, or had no words in it."""
        if self.revision is not None:
            self.stop_work(self.revision)
            self.revision = None

    def stop_work(self, revision: Revision) -> None:
        """Nobody waits for it any more, nor for the pieces of its turn."""
        open_pieces = [piece for piece, text in revision.heads.items() if text is None]
        self.out.extend(map(Abandon, (*revision.numbers, *open_pieces)))

    def complete(self, now: float, *, interrupted: bool, remembered: bool = True, reason: str = "") -> None:
        """End the confirmed revision: the one place where a turn is told to be over and enters the history.

        Not `remembered`: the user was not answered, they were going on; their words are taken back, too.
        """
        revision, self.revision = self.revision, None
        if revision is None:
            return
        reply = revision.reply
        heard = reply.heard(now, whole=not interrupted) if reply is not None else ""
        self._dispatcher.close(revision)
        revision.ledger.mark(Stage.STOPPED if interrupted else Stage.DONE, now)
        self.stop_work(revision)
        if not revision.answering:
            if revision.turn is not None:  # its words are awaited still, or whether another device heard them better
                self.out.append(StopListening(revision.turn.number))
            if revision.user_item:
                self.out.append(Tell(ItemDeleted(revision.user_item)))
            return  # it never became a turn that the client knows of
        name = reply.id if reply is not None else ""
        if interrupted:
            self.out.append(Tell(Interrupted(name, heard)))
        if not remembered and self.history.get(revision.user_item) is not None:  # else its end was told
            self.forget(revision.user_item)
        elif remembered and reply is not None and revision.item:
            self._keep(revision, reply, heard, interrupted)
        self.out.append(Tell(turn_complete(revision, heard, interrupted, reason)))
        if not remembered and revision.item and reply is not None and reply.text:
            self.forget(revision.item)  # its words were told

    def hang_up(self, now: float) -> None:
        """The client is gone: nobody is told, but what was heard is remembered."""
        revision, reply = self.revision, self.reply
        if revision is not None and reply is not None and revision.item:
            told, self.out = self.out, []
            self._dispatcher.close(revision)
            self._keep(revision, reply, reply.heard(now), True)
            self.out = told
        self.drop_draft()
        self.abandon()

    def _keep(self, revision: Revision, reply: Reply, heard: str, interrupted: bool) -> None:
        if heard or interrupted or reply.text.strip():
            # The client that makes the calls was told these words before them, and nothing after.
            first = revision.rounds.handed_over and bool(reply.text.strip())
            after = revision.calls_after if first else revision.after
            self.remember(Item(revision.item, Message("assistant", heard), interrupted), after)
        reply.silence()
        self.past[revision.item] = reply
        while len(self.past) > PAST_REPLIES:
            self.past.popitem(last=False)

    # ---- results --------------------------------------------------------------------------------------------

    def hear(self, event: AnswerEvent, now: float) -> None:
        """A piece of work came back, or news of the client's playout. Stale ones change nothing."""
        if isinstance(event, Missing):
            if self.reply is not None and self.reply.id == event.reply:
                self.reply.playout.missing(event.seconds, now)
            return
        if isinstance(event, PlayedReport):
            self._on_played(event, now)
            return
        if isinstance(event, ToolResult):
            self._on_tool_result(event, now)
            return
        revision = self.of(event.revision)
        if revision is None or revision.reply is None:
            return
        if isinstance(event, MindWaits):
            revision.progress_at, revision.slow.life = now, event
            return
        reply = revision.reply
        if not (isinstance(event, ClauseAudio) and revision.slow.only_bridged(revision)):
            revision.stir(now)
        match event:
            case TokensArrived() | MindFinished() if reply.mind_done:
                return  # it was given up
            case TokensArrived():
                revision.slow.life = None
                revision.ledger.mark(Stage.FIRST_TOKEN, now)
                reply.add_tokens(event.text, event.tokens)
            case UsageKnown():
                revision.spent = event.prompt_tokens, event.completion_tokens
            case MindFinished() if revision.rounds.busy:
                return  # it has finished already, and waits for its tools
            case MindFinished():
                revision.spent = (0, 0)
                revision.prompt_tokens += event.prompt_tokens
                revision.completion_tokens = (revision.completion_tokens or 0) + event.completion_tokens
                revision.finish = event.reason
                if event.calls:
                    revision.ledger.mark(Stage.FIRST_TOKEN, now)  # of an answer that is nothing but calls
                    revision.rounds.calls = event.calls
                    reply.end_sentence()
                    self._use_tools(revision, now)
                else:
                    reply.finish_text()
            case MindFailed():
                if revision.confirmed:
                    self.out.append(Tell(ErrorOut(event.code, event.message, event.hint)))
                    revision.failure = event.code
                    if not self.excuse(revision, now):
                        reply.finish_text()  # what was written is still spoken, then the turn ends
                else:
                    self.out.extend(map(Abandon, revision.numbers))  # once confirmed, the model is asked again
                    revision.drop_answer(revision.number)
            case ClauseAudio():
                if len(event.pcm):
                    revision.ledger.mark(Stage.FIRST_SPEECH, now)
                reply.add_audio(event.clause, event.pcm, event.words, event.is_last)
            case ClauseFailed():
                error = ErrorOut(event.code, event.message, event.hint)
                if error != revision.voice_error:  # once, though every clause may fail alike
                    revision.voice_error = error
                    if revision.answering:
                        self.out.append(Tell(error))
                revision.failure = revision.failure or event.code  # not all of it will have been heard
                reply.fail_clause(event.clause)

    def excuse(self, revision: Revision, now: float) -> bool:
        """The answer will not come: say so, where nothing of it was said, to those who listen. A client that is
        handed its tool calls has its own way with failures."""
        reply = revision.reply
        if not self._excuses or reply is None or reply.mind_done or not revision.slow.can_speak(revision):
            return False
        revision.stir(now)
        reply.add_tokens(excuse_of(self._language(revision)), 0)
        reply.finish_text()
        return True

    def excuse_unheard(self, revision: Revision, code: str, now: float) -> bool:
        """There is no answer, for the recogniser failed: say that, too, to those who listen."""
        if revision.reply is not None or not self._excuses or not self._speaks(revision.options):
            return False
        revision.failure = code
        revision.messages = self.prompt(revision.options, None)  # for the language of the conversation
        self._open_reply(revision)
        self.release(revision, now)
        return self.excuse(revision, now)

    @property
    def _excuses(self) -> bool:
        return self.config.llm.client_tools == "await" and self._settings.excuse

    # ---- tools ----------------------------------------------------------------------------------------------

    def _use_tools(self, revision: Revision, now: float) -> None:
        """Make the calls that the model asked for, once the turn is confirmed."""
        if revision.answering and revision.rounds.busy:
            theirs = self.config.llm.tools if revision.options.tools is None else revision.options.tools
            if self._dispatcher.is_last(revision):
                revision.rounds.calls = ()
                self.out.append(Tell(ErrorOut("too_many_tool_calls", "The model goes on calling tools", MORE_ROUNDS)))
                revision.failure = "too_many_tool_calls"
                if revision.reply is not None:
                    revision.reply.finish_text()
                return
            revision.calls_after = revision.after
            if revision.reply is not None:
                self._tell_words(revision.reply)  # the model wrote them before its calls
            self._dispatcher.begin(revision, self.config, theirs, now)
            self._go_on(revision, now)

    def _on_tool_result(self, event: ToolResult, now: float) -> None:
        if not self._dispatcher.result(self.revision, event.call_id, event.output):
            hint = "answer a `tool_call` with its own call_id"
            self.out.append(Tell(ErrorOut("unknown_tool_call", "No tool call of this id is waiting", hint)))
        elif self.revision is not None:
            self._go_on(self.revision, now)

    def _go_on(self, revision: Revision, now: float) -> None:
        """When the last result is in, the model is asked again; or the reply ends, if the results are not for us."""
        if self._dispatcher.next_round(revision):
            revision.stir(now)
            self._ask(revision)
        elif revision.rounds.handed_over and not revision.rounds.busy and revision.reply is not None:
            revision.reply.finish_text()

    def tick(self, now: float) -> None:
        """Time has passed: a tool may be late, or the answer."""
        revision = self.revision
        if revision is not None and revision.rounds.busy:
            self._dispatcher.expire(revision, now, self._language(revision))
            self._go_on(revision, now)
        due_at = revision.slow.due_at(revision, self._settings) if revision is not None else None
        if revision is not None and due_at is not None and now >= due_at:
            self.out.append(Tell(revision.slow.tell(revision, now)))
            if revision.slow.bridge_is_due(revision, now):
                revision.slow.bridge(revision, self._dispatcher.filler(self._language(revision)), now)

    def _add_round(self, revision: Replying, message: Message) -> str:
        """A call or a result enters the conversation, behind what came before it in this reply."""
        assert isinstance(revision, Revision)
        item = Item(self.history.new_id(), message)
        self.remember(item, revision.after)
        revision.after = item.id
        return item.id

    def _do(self, action: Action) -> None:
        self.out.append(action)

    def _language(self, revision: Revision) -> str:
        """Of the session, else of the server's voice; where neither has one, that of the question: by its words, else
        as the recogniser heard it, which takes many a short sound for another language."""
        for language in (self.config.voice.language, self._voice_language):
            if language != "auto":
                return language
        asked = revision.request or next(
            (each.content for each in reversed(revision.messages) if each.role == "user"), ""
        )
        heard = revision.language if len(asked.split()) >= SURE_WORDS else None
        return guess_language(asked) or heard or "auto"

    def _on_played(self, event: PlayedReport, now: float) -> None:
        if self.revision is not None and self.reply is not None and self.reply.id == event.reply:
            self.reply.playout.report(event.ms / 1000, now)
            self._lag_s = self.reply.playout.lag_s
            self.revision.ledger.played(event.ms / 1000, now)

    # ---- out ------------------------------------------------------------------------------------------------

    def pump(self, now: float) -> bool:
        """Tell fresh text, order the next clause, send the audio that is due. True if any of it can be heard."""
        revision, reply = self.revision, self.reply
        if revision is None or reply is None:
            return False
        self._tell_words(reply)
        text, self._words_told = self._words_told, False
        self._order_clause(revision, reply, now)
        pieces = reply.pump(now)
        if pieces:
            self.out.extend(map(Tell, pieces))
            if not revision.slow.only_bridged(revision):
                revision.stir(now)
            revision.ledger.mark(Stage.FIRST_AUDIO_SENT, now)
        return bool(pieces) or (text and not reply.spoken)

    def pump_draft(self, now: float) -> None:
        """Let its first words be spoken; nobody hears them yet."""
        if self.draft is not None and self.draft.reply is not None:
            self._order_clause(self.draft, self.draft.reply, now)

    def _order_clause(self, revision: Revision, reply: Reply, now: float) -> None:
        clause = reply.next_clause()
        if clause is not None:
            revision.ledger.mark(Stage.FIRST_CLAUSE, now)
            self.out.append(Speak(revision.number, *clause, revision.voice, reply.rate_hz))

    def _tell_words(self, reply: Reply) -> None:
        text = reply.take_text()
        if text:
            self.out.append(Tell(TextOut(reply.id, text)))
            self._words_told = True

    def overdue(self, now: float) -> bool:
        at = self._fails_at()
        return at is not None and now >= at

    def wakes_at(self, now: float) -> float | None:
        """When audio is due, the reply will have been played, or patience ends."""
        if self.revision is None:
            return None
        reply = self.reply
        times = [self._fails_at(), reply.pumps_at(now) if reply is not None else None]
        times.append(self._dispatcher.wakes_at(self.revision))
        times.append(self.revision.slow.due_at(self.revision, self._settings))
        return min((at for at in times if at is not None), default=None)

    def _fails_at(self) -> float | None:
        revision, reply = self.revision, self.reply
        if revision is None or not revision.confirmed or (reply is not None and reply.all_sent):
            return None
        if revision.rounds.begun_at is not None:
            return None  # a tool has a time of its own
        return revision.progress_at + self.patience_s


def _of_answers(config: SessionConfig) -> tuple[object, ...]:
    """What of it an answer is made with."""
    return config.audio.sample_rate, config.voice, config.llm, config.spoken
