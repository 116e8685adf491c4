"""What was said and heard, as the model is told it. Pure.

An assistant turn holds what the user really heard; where the user cut in it ends with the mark
`[INTERRUPTED BY USER]` (protocols.md, section 1). A user's words enter together with their answer, so a turn
that is taken back (the user went on speaking before anything was heard) leaves no trace.
"""

from __future__ import annotations

from dataclasses import dataclass

from llm.errors import ContextTooLong
from llm.messages import Message

__all__ = ["INTERRUPTED_MARK", "Exchange", "History", "without_older_half"]

INTERRUPTED_MARK = "[INTERRUPTED BY USER]"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn of the user and what they heard of the answer. Times are not kept here."""

    user: str
    assistant: str
    interrupted: bool


class History:
    """Exchanges in order, bounded: the oldest are forgotten past `keep`."""

    __slots__ = ("_exchanges", "keep")

    def __init__(self, exchanges: tuple[Exchange, ...] = (), keep: int = 200) -> None:
        self.keep = keep
        self._exchanges = list(exchanges[-keep:])

    def add(self, exchange: Exchange) -> None:
        self._exchanges.append(exchange)
        del self._exchanges[: -self.keep]

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        return tuple(self._exchanges)

    def messages(self, system_prompt: str, user: str, limit: int) -> tuple[Message, ...]:
        """The prompt for `user`: system prompt, at most `limit` messages of history, the new words.

        The history is cut at an exchange, never between a question and its answer: a model that sees an
        answer first continues it.
        """
        kept: list[Message] = []
        pairs = max(0, limit) // 2
        for exchange in self._exchanges[len(self._exchanges) - min(pairs, len(self._exchanges)) :]:
            heard = exchange.assistant
            if exchange.interrupted:
                heard = f"{heard} {INTERRUPTED_MARK}".strip()
            kept.append(Message("user", exchange.user))
            if heard:
                kept.append(Message("assistant", heard))
        system = (Message("system", system_prompt),) if system_prompt else ()
        return (*system, *kept, Message("user", user))


def without_older_half(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """A prompt with the older half of its exchanges left out; the system prompt and the new words stay.

    Raises ContextTooLong when only these are left.
    """
    begin = 1 if messages and messages[0].role == "system" else 0
    questions = [at for at in range(begin, len(messages) - 1) if messages[at].role == "user"]
    if not questions:
        raise ContextTooLong("this turn alone is too long for the model", hint="say it in fewer words")
    keep_from = questions[(len(questions) + 1) // 2] if len(questions) > 1 else len(messages) - 1
    return (*messages[:begin], *messages[keep_from:])
