"""What the client asks for: typed turns, the end of a turn, silence, a reply, a change of the conversation. Pure."""

from __future__ import annotations

from dataclasses import replace

from llm.messages import Message
from voice.measuring.ledger import Stage
from voice.mouth.reply_options import ReplyOptions
from voice.session.incoming import AddMessage, CancelResponse, DeleteItem, Respond, Truncate
from voice.session.outgoing import ErrorOut, ItemTruncated, TranscriptOut
from voice.turn.actions import Listen
from voice.turn.endpointing import ALONE_S
from voice.turn.events import Cleared, Committed, InterruptAsked, SpeechBegan, Typed
from voice.turn.history import Item
from voice.turn.out_of_band import MAX_OUT_OF_BAND
from voice.turn.states import State
from voice.turn.waking import Waking

__all__ = ["Requests"]

PAST_END_S = 0.1
"""A client's resampling makes its audio this much longer than ours."""


class Requests(Waking):
    """A client's word goes before what the ears make of the sound."""

    # ---- turns ----------------------------------------------------------------------------------------------

    def _typed(self, event: Typed) -> None:
        request = self._gate.admit(event.text, woken=False, typed=True, at_s=self._audio.s)
        if request.problem is not None or not request.text:
            self._refuse(request, typed=True)
            return
        item = self.history.new_id()
        if not self._policy.answers:
            self._tell(TranscriptOut(request.text, True, item))
            self._answer.remember(Item(item, Message("user", request.text)))
            return
        self._note_awaited()
        self._interrupt("client_cancelled")
        self._keep_known()
        self._drop_turn()
        revision = self._start_revision(None, None, None)
        revision.text = event.text
        revision.request, revision.user_item = request.text, item
        revision.confirmed = True
        revision.ledger.mark(Stage.ENDPOINT, self._now)
        self._tell(TranscriptOut(request.text, True, item))
        self._give_answer(revision)

    def _commit(self, event: Committed) -> None:
        """The client ends the turn: the open one, or in manual mode all audio since the last."""
        if self.state is State.PAUSE:
            self._confirm()
            return
        answering = self.state in (State.THINKING, State.SPEAKING, State.BRACED, State.JUDGING)
        if answering and self._policy.listening and self._overlap is None:
            # a client with its own endpointing, a little later than ours; what was missed is heard after the reply
            if event.event_id and self._missed.from_s is None:
                hint = "turns are detected here: speech is committed as soon as it is over"
                self._complain("empty_audio", "There is no speech in the buffer", hint, event.event_id)
            return
        self._missed.forget()
        self._note_awaited()
        began = self._overlap.turn.from_s if self._overlap is not None else None
        if self._policy.answers or self._overlap is not None:
            self._interrupt("client_cancelled")
        if self._turn is None:
            from_s = began if began is not None else max(self._used_s, event.at_s - self._policy.max_turn_s)
            if event.at_s - from_s < ALONE_S / 2:
                hint = "send audio before end_turn"
                self._tell(ErrorOut("empty_audio", "There is no audio to commit", hint, event_id=event.event_id))
                return
            self._turn = self._new_turn(from_s, self.state is not State.ASLEEP)
            self._do(Listen(self._turn.number, from_s))
        self._quiet_s = event.at_s
        if self._answer.revision is not None and self._answer.revision.confirmed:
            # a reply that was asked for goes on: what was said over it is written down beside it
            self._confirm(self._answer.write_down(self._number(), self._turn, None, self._now, self._now))
        else:
            self._start_revision(self._turn, None, None, committed=True)
            self._confirm()
        self._used_s = event.at_s

    def _stop(self, event: InterruptAsked) -> None:
        self._interrupt("client_cancelled")
        if self._turn is None:
            self._rest()

    def _clear(self, event: Cleared) -> None:
        """What is said from here on is heard: the user may be in the middle of a sentence."""
        self._used_s = event.at_s
        self._drop_pieces()
        self._drop_doubted()
        if self._missed.from_s is not None:
            self._missed.forget()
            if self._speaking:
                self._missed.began(event.at_s)
        if self._overlap is not None:
            self._resume(self._overlap)
            self._let_go = None
            self._missed.forget()
            self._drop_doubted()
            if self._speaking:
                self._start_judging(SpeechBegan(event.at_s))
        elif self.state in (State.HEARING, State.PAUSE):
            self._answer.abandon()
            self._drop_turn()
            self._rest()
            if self._speaking and self._policy.listening and self._at_rest is State.IDLE:
                self._begin_turn(event.at_s)

    # ---- replies --------------------------------------------------------------------------------------------

    def _on_respond(self, event: Respond) -> None:
        """Begin the reply, or keep it until the user's turn is over; then it is the answer to that turn. One that is
        asked for while the last is only being played waits for its end."""
        if event.options.about:
            self._respond_about(event)
            return
        options, busy = event.options, self._answer.revision
        spoken = self._speaks(event)
        if self.config.transcribe_only:
            self._complain(
                "transcription_session", "This session only transcribes", "open another one", event.event_id
            )
        elif not self._answer.can_choose(options, out_of_band=not options.remembered and not spoken):
            hint = "name one of the tools, or bring them along"
            self._complain("invalid_tool_choice", "tool_choice is none of the tools", hint, event.event_id)
        elif self._has_nothing_to_answer(options):
            hint = "add an item to the conversation, or leave `instructions` out"
            self._complain("empty_prompt", "There are no instructions and no items to answer", hint, event.event_id)
        elif not options.remembered and not spoken:
            if self._out_of_band.full:
                self._complain(
                    "too_many_responses", "Too many replies at once", "wait for one of them", event.event_id
                )
            else:
                self._out_of_band.begin(self._number(), options, self._now)
        elif self._wish is not None or (busy is not None and busy.answering and not busy.written):
            self._complain(
                "conversation_already_has_active_response",
                "Conversation already has an active response in progress",
                "wait until it is done, or cancel it",
                event.event_id,
            )
        else:
            self._wish = event

    def _speaks(self, event: Respond) -> bool:
        return self.config.spoken if event.options.spoken is None else event.options.spoken

    def _respond_about(self, event: Respond) -> None:
        """Of items whose words the recogniser is asked for: it waits until they are in the conversation."""
        options, found = event.options, [self.history.get(item) for _, item in event.options.about]
        if None not in found:
            told = list(options.input or ())
            for (at, _), item in zip(options.about, found, strict=True):
                told[at] = item.message if item is not None else told[at]
            self._on_respond(replace(event, options=replace(options, input=tuple(told), about=())))
        elif any(self.history.get(item) is None and not self._is_awaited(item) for _, item in options.about):
            hint = "no words were recognised in it, or it was deleted"
            self._complain("item_not_found", "There is no such item to answer", hint, event.event_id)
        elif len(self._early) >= MAX_OUT_OF_BAND:
            hint = "wait for one of them"
            self._complain("too_many_responses", "Too many replies at once", hint, event.event_id)
        else:
            self._early.append(event)

    def _is_awaited(self, item: str) -> bool:
        revisions = (*self._notes.values(), *((self._answer.revision,) if self._answer.revision else ()))
        overlap = (self._overlap.turn,) if self._overlap is not None else ()
        turns = (*((self._turn,) if self._turn is not None else ()), *overlap)
        return any(item == each.user_item for each in revisions) or any(item == turn.item for turn in turns)

    def _begin_early(self) -> None:
        """Those whose words have come, or never will."""
        early, self._early = self._early, []
        for event in early:
            self._respond_about(event)

    def _has_nothing_to_answer(self, options: ReplyOptions) -> bool:
        """No model takes an empty prompt. What is being said now, or made out, will be in the conversation's."""
        said = self._turn or self._overlap or self._notes or self._answer.revision
        return (options.input is not None or not said) and not self._answer.prompt(options, None)

    def _fulfil_wish(self) -> None:
        """Begin the reply that the client asked for, as soon as nobody speaks and every turn is written down. Where
        the client says when a turn ends, it need not be silent."""
        if self._wish is None or self._notes:
            return
        if self.state is State.HEARING and not self._policy.listening:
            self._drop_turn()  # a commit still takes what is kept of the audio
            self._rest()
        if self.state not in (State.IDLE, State.ASLEEP):
            return
        revision = self._start_revision(None, None, None)
        revision.confirmed = True
        revision.ledger.mark(Stage.ENDPOINT, self._now)
        self._give_answer(revision)

    def _on_cancel(self, event: CancelResponse) -> None:
        if event.reply is None and self._wish is not None:
            self._note_awaited()
        reply, busy, early = self._answer.reply, self._answer.revision, len(self._early)
        if event.reply is None:
            self._early = [one for one in self._early if not (one.options.remembered or self._speaks(one))]
        name = reply.id if reply is not None else None
        if event.reply is not None and event.reply != name:
            if not self._out_of_band.cancel(event.reply, self._now):
                self._complain("response_cancel_not_active", "This reply is not active", "", event.event_id)
        elif busy is not None and busy.confirmed:
            if event.reply is None:
                self._wish = None
            self._interrupt("client_cancelled")
            if self._turn is None:
                self._rest()
        elif self._wish is not None or len(self._early) < early:
            self._wish = None
        else:
            self._complain("response_cancel_not_active", "There is no active reply", "", event.event_id)

    # ---- the conversation -----------------------------------------------------------------------------------

    def _on_truncate(self, event: Truncate) -> None:
        """The client says where it stopped playing: the history ends there, and so does a reply under way."""
        busy, at_s = self._answer.revision, event.ms / 1000
        reply = busy.reply if busy is not None and busy.answering else None
        if busy is not None and reply is not None and event.target in (reply.id, busy.item):
            item = busy.item
        else:
            past = self._answer.past
            item = next((id for id, old in past.items() if event.target in (id, old.id)), "")
            if not item:
                hint = "only the last replies can be truncated"
                self._complain("item_not_found", "No reply of this name has audio", hint, event.event_id)
                return
            reply = past[item]
        if at_s > reply.playout.ends_s + PAST_END_S:
            length_ms = round(reply.playout.ends_s * 1000)
            self._complain("invalid_audio_end", f"There are {length_ms} ms of its audio", "", event.event_id)
            return
        reply.playout.stop_at(at_s)
        heard = reply.heard_at(at_s)
        if busy is not None and reply is busy.reply:
            self._interrupt("client_cancelled")
            if self._turn is None:
                self._rest()
        elif (kept := self.history.get(item)) is not None and kept.message.content != heard:
            self.history.cut(item, heard)  # clients also say so of a reply that was played to its end
        kept = self.history.get(item)  # by our own clock less of it may have been played
        self._tell(ItemTruncated(item, event.ms, heard if kept is None else kept.message.content))

    def _on_add(self, event: AddMessage) -> None:
        message = event.message
        if event.item_id and not self.history.is_free(event.item_id):
            self._complain("item_exists", "There is an item of this id", "choose another one", event.event_id)
            return
        if message.role == "tool" and not self.history.has_call(message.tool_call_id or ""):
            hint = "the call id is that of the call"
            self._complain("unknown_tool_call", "There is no such tool call", hint, event.event_id)
            return
        if any(self.history.has_call(call.id) for call in message.tool_calls):
            self._complain("call_exists", "There is a call of this call_id", "choose another one", event.event_id)
            return
        name = event.item_id or self.history.new_id()
        try:
            self._answer.add(Item(name, message), event.previous_item_id)
        except KeyError:
            hint = "previous_item_id names an item of the conversation"
            self._complain("item_not_found", "There is no such item to stand behind", hint, event.event_id)

    def _on_delete(self, event: DeleteItem) -> None:
        busy = self._answer.revision
        if (
            busy is not None
            and busy.user_item == event.item_id
            and busy.awaits_words
            and self.state is State.THINKING
        ):
            self._note(busy)  # it is not to be answered either
        if any(note.user_item == event.item_id for note in self._notes.values()):
            self._answer.unwanted.add(event.item_id)
        elif self.history.get(event.item_id) is None:
            self._complain("item_not_found", "There is no such item", "", event.event_id)
        else:
            self._answer.forget(event.item_id)

    def _complain(self, code: str, message: str, hint: str, event_id: str) -> None:
        self._tell(ErrorOut(code, message, hint, event_id=event_id))
