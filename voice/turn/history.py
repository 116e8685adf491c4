"""What was said and heard, as the model is told it. Pure.

A conversation is a list of items: messages with ids that a client can name. An assistant item holds what the user
really heard; where the user cut in it ends with the mark `[INTERRUPTED BY USER]` (protocols.md, section 1).
Every tool call is an item of its own, and so is its result; in a prompt they stand as chat models want them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from llm.errors import ContextTooLong
from llm.messages import Message

__all__ = [
    "INTERRUPTED_MARK",
    "NO_RESULT",
    "Exchange",
    "History",
    "Item",
    "shorter",
    "without_images",
    "without_older_half",
]

INTERRUPTED_MARK = "[INTERRUPTED BY USER]"
NO_RESULT = '{"error": "no result came back"}'
"""What a model is told of a tool call that was never answered: a prompt with a call and no result is ill-formed."""

SHORT_RESULT = 400
"""Characters of a tool's result that are left to the model in any case."""
CUT = " [...] (cut here: it was too long)"
UNSEEN = "[An image was shown here. You cannot see images: say so if you are asked about it.]"


@dataclass(frozen=True, slots=True)
class Item:
    """One message of the conversation. `interrupted`: the user heard only this much of it."""

    id: str
    message: Message
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn of the user and what they heard of the answer. Times are not kept here."""

    user: str
    assistant: str
    interrupted: bool


class History:
    """Items in order, bounded: the oldest are forgotten past `keep`. Ids are unique in a history."""

    __slots__ = ("_forgotten", "_items", "_numbers", "_turns_gone", "changes", "keep")

    def __init__(self, items: Iterable[Item] = (), keep: int = 400) -> None:
        self.keep = keep
        self._items = list(items)[-keep:]
        self._numbers = 0
        self._turns_gone = 0
        self._forgotten: list[str] = []
        self.changes = 0
        """How often it became another one."""

    def new_id(self) -> str:
        """An id that no item has."""
        taken = {item.id for item in self._items}
        while True:
            self._numbers += 1
            if (name := f"item_{self._numbers}") not in taken:
                return name

    def is_free(self, id: str) -> bool:
        """A client may give an item this id: no item has it, and none that is still to come was promised it."""
        number = id.removeprefix("item_")
        promised = number.isdecimal() and int(number) <= self._numbers and number != id
        return self.get(id) is None and not promised

    def insert(self, item: Item, after: str | None = None) -> str | None:
        """Put it at the end, or behind item `after` ("root": at the beginning). Returns the id it stands behind.

        Raises KeyError for an `after` that is not there, ValueError for an id that is.
        """
        if self.get(item.id) is not None:
            raise ValueError(item.id)
        at = len(self._items) if after is None else 0 if after == "root" else self._index(after) + 1
        self._items.insert(at, item)
        self.changes += 1
        previous = self._items[at - 1].id if at else None
        gone, self._items = self._items[: -self.keep], self._items[-self.keep :]
        self._turns_gone += sum(old.message.role == "user" for old in gone)
        self._forgotten += [old.id for old in gone]
        return previous

    def take_forgotten(self) -> list[str]:
        """The ids of those that had to make room since this was asked last."""
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    def get(self, id: str) -> Item | None:
        return next((item for item in self._items if item.id == id), None)

    def has_call(self, call_id: str) -> bool:
        return any(call.id == call_id for item in self._items for call in item.message.tool_calls)

    def delete(self, id: str) -> str | None:
        """Gives the id of the item that it stood behind. Raises KeyError."""
        at = self._index(id)
        del self._items[at]
        self.changes += 1
        return self._items[at - 1].id if at else None

    def cut(self, id: str, content: str) -> None:
        """Only `content` of an assistant item was heard. Raises KeyError."""
        at = self._index(id)
        item = self._items[at]
        self.changes += 1
        self._items[at] = replace(item, message=replace(item.message, content=content), interrupted=True)

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(self._items)

    @property
    def last_id(self) -> str | None:
        return self._items[-1].id if self._items else None

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """The conversation as people see it: tool calls, their results and system messages left out."""
        found: list[Exchange] = []
        for item in self._items:
            text = item.message.content
            if item.message.role == "user":
                found.append(Exchange(text, "", False))
            elif item.message.role == "assistant" and (text or item.interrupted):
                last = found.pop() if found else Exchange("", "", False)
                found.append(Exchange(last.user, f"{last.assistant} {text}".strip(), item.interrupted))
        return tuple(found)

    def messages(self, system_prompt: str, user: str | None, limit: int) -> tuple[Message, ...]:
        """The prompt for `user`: system prompt, at most `limit` messages of history, the new words (if any).

        The history is cut at a turn of the user's, never between a question and its answer: a model that sees an
        answer first continues it. What tools were asked and said comes on top of the limit. It is cut in steps of
        half the limit: a window that moved with every turn would cost the model its memory of the whole prompt.
        """
        system = (Message("system", system_prompt),) if system_prompt else ()
        asked = (Message("user", user),) if user is not None else ()
        return (*system, *_well_formed(self._recent(max(0, limit) // 2, user is None)), *asked)

    def _recent(self, most: int, open_end: bool) -> list[Item]:
        """At most the last `most` turns of the user's, and what came of them; the one to be answered comes on top."""
        began = [at for at, item in enumerate(self._items) if item.message.role == "user"]
        over = len(began) - open_end + self._turns_gone - most
        if over <= 0:
            return self._items
        step = max(1, most // 2)
        first = -(-over // step) * step - self._turns_gone
        return self._items[began[first] :] if first < len(began) else []

    def _index(self, id: str) -> int:
        for at, item in enumerate(self._items):
            if item.id == id:
                return at
        raise KeyError(id)


def _well_formed(items: Iterable[Item]) -> Iterator[Message]:
    """Items as the messages of a prompt.

    Assistant items that touch are one message; the results of its calls follow it, in the order of the calls,
    wherever they stand in the conversation; a result without its call is left out.
    """
    items = list(items)
    results = {item.message.tool_call_id: item.message for item in items if item.message.role == "tool"}
    said: Message | None = None
    for item in items:
        message = item.message
        if message.role == "tool":
            if said is not None and said.tool_calls:
                yield from _with_results(said, results.get)
                said = None
            continue
        if message.role != "assistant":
            if said is not None:
                yield from _with_results(said, results.get)
                said = None
            yield message
            continue
        heard = f"{message.content} {INTERRUPTED_MARK}".strip() if item.interrupted else message.content
        if not heard and not message.tool_calls:
            continue
        if said is None:
            said = replace(message, content=heard)
        else:
            calls = (*said.tool_calls, *message.tool_calls)
            said = replace(said, content=f"{said.content} {heard}".strip(), tool_calls=calls)
    if said is not None:
        yield from _with_results(said, results.get)


def _with_results(said: Message, result_of: Callable[[str | None], Message | None]) -> Iterator[Message]:
    yield said
    for call in said.tool_calls:
        yield result_of(call.id) or Message("tool", NO_RESULT, tool_call_id=call.id)


def without_older_half(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """A prompt with the older half of its exchanges left out; the system prompt and the new words stay.

    Raises ContextTooLong when only these are left.
    """
    begin = 1 if messages and messages[0].role == "system" else 0
    questions = [at for at in range(begin, len(messages)) if messages[at].role == "user"]
    if len(questions) < 2:
        raise ContextTooLong("this turn alone is too long for the model", hint="shorten the text")
    return (*messages[:begin], *messages[questions[len(questions) // 2] :])


def shorter(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """A prompt that was too long: without the older half of its exchanges, else with less of what tools gave.

    Raises ContextTooLong when neither is left.
    """
    try:
        return without_older_half(messages)
    except ContextTooLong:
        longest = max((len(message.content) for message in messages if message.role == "tool"), default=0)
        if longest <= SHORT_RESULT:
            raise
        keep = max(SHORT_RESULT - len(CUT), longest // 3)
        return tuple(
            replace(message, content=message.content[:keep] + CUT)
            if message.role == "tool" and len(message.content) > keep + len(CUT)
            else message
            for message in messages
        )


def without_images(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """A prompt for a model that does not see: a remark stands where an image was shown."""
    return tuple(
        replace(message, content=f"{message.content}\n{UNSEEN}".strip(), parts=()) if message.media else message
        for message in messages
    )
