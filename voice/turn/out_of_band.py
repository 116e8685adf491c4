"""Out-of-band replies, beside the conversation: text only, not remembered, several at a time. Pure.

A client asks for them to classify, to summarise or to moderate while the conversation goes on (OpenAI Realtime:
`"conversation": "none"`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from voice.measuring.ledger import Ledger, Stage
from voice.mouth.reply_options import ReplyOptions
from voice.session.outgoing import ErrorOut, ReplyStarted, TextOut, ToolCallOut, TurnComplete
from voice.turn.actions import Abandon, Action, Tell
from voice.turn.answer import Answer
from voice.turn.events import MindFailed, MindFinished, MindWaits, TokensArrived, UsageKnown
from voice.turn.report import status_of
from voice.turn.thinking import choice_among, think_of

__all__ = ["MAX_OUT_OF_BAND", "OutOfBandReplies"]

MAX_OUT_OF_BAND = 4


@dataclass(slots=True)
class _OutOfBandReply:
    number: int
    id: str
    key: str
    ledger: Ledger
    progress_at: float
    texts: list[str] = field(default_factory=list)
    spent: tuple[int, int] = (0, 0)


class OutOfBandReplies:
    """`answer` gives the prompt, the names of replies and the list that actions are appended to."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._running: dict[int, _OutOfBandReply] = {}

    @property
    def running(self) -> bool:
        return bool(self._running)

    @property
    def full(self) -> bool:
        return len(self._running) >= MAX_OUT_OF_BAND

    def begin(self, number: int, options: ReplyOptions, now: float) -> None:
        reply = _OutOfBandReply(number, self._answer.new_reply_id(), options.key, Ledger(now), now)
        self._running[number] = reply
        self._do(Tell(ReplyStarted(reply.id, "", options.key, spoken=False)))
        messages = self._answer.prompt(options, None)
        think = think_of(number, messages, options, self._answer.config, out_of_band=True)
        self._do(replace(think, tool_choice=choice_among(think.tool_choice, think.tools)))

    def hear(self, event: object, now: float) -> bool:
        """True if it was for one of them."""
        if not isinstance(event, TokensArrived | MindFinished | MindFailed | MindWaits | UsageKnown):
            return False
        reply = self._running.get(event.revision)
        if reply is None:
            return False
        reply.progress_at = now
        match event:
            case TokensArrived(text=text):
                reply.ledger.mark(Stage.FIRST_TOKEN, now)
                reply.texts.append(text)
                self._do(Tell(TextOut(reply.id, text)))
            case UsageKnown():
                reply.spent = event.prompt_tokens, event.completion_tokens
            case MindFinished():
                if event.calls:
                    reply.ledger.mark(Stage.FIRST_TOKEN, now)  # of an answer that is nothing but calls
                for call in event.calls:  # beside the conversation every call is the client's to make
                    self._do(Tell(ToolCallOut(call.id, call.name, call.arguments, reply.id)))
                self._end(reply, now, event)
            case MindFailed():
                self._fail(reply, now, event.code, event.message, event.hint)
        return True

    def cancel(self, id: str, now: float) -> bool:
        """Stop the reply of that name; False if there is none."""
        for reply in self._running.values():
            if reply.id == id:
                self._end(reply, now, None, cancelled="client_cancelled")
                return True
        return False

    def close(self) -> None:
        """The client is gone."""
        for number in self._running:
            self._do(Abandon(number))
        self._running.clear()

    def fails_at(self) -> float | None:
        return min((reply.progress_at + self._answer.patience_s for reply in self._running.values()), default=None)

    def give_up(self, now: float) -> None:
        """End those that make no progress."""
        for reply in list(self._running.values()):
            if now >= reply.progress_at + self._answer.patience_s:
                self._fail(reply, now, "reply_timeout", "The answer did not come", "is the model loaded? try again")

    def _fail(self, reply: _OutOfBandReply, now: float, code: str, message: str, hint: str) -> None:
        self._do(Tell(ErrorOut(code, message, hint)))
        self._end(reply, now, None, failure=code)

    def _end(
        self,
        reply: _OutOfBandReply,
        now: float,
        done: MindFinished | None,
        *,
        cancelled: str | None = None,
        failure: str = "",
    ) -> None:
        del self._running[reply.number]
        if done is None:
            self._do(Abandon(reply.number))
        reply.ledger.mark(Stage.STOPPED if cancelled else Stage.DONE, now)
        text = "".join(reply.texts).strip()
        status, reason = status_of(done.reason if done is not None else "stop", failure, cancelled)
        self._do(Tell(TextOut(reply.id, "", is_final=True)))
        self._do(
            Tell(
                TurnComplete(
                    reply=reply.id,
                    input_transcript="",
                    output_transcript=text,
                    heard_transcript=text,
                    tools_called=(),
                    interrupted=cancelled is not None,
                    tokens_in=done.prompt_tokens if done is not None else reply.spent[0],
                    tokens_out=done.completion_tokens if done is not None else max(reply.spent[1], len(reply.texts)),
                    cost=0.0,
                    latency_ms=reply.ledger.answer_ms(),
                    latency=reply.ledger.milliseconds(),
                    key=reply.key,
                    status=status,
                    reason=reason,
                )
            )
        )

    def _do(self, action: Action) -> None:
        self._answer.out.append(action)
