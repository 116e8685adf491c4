"""The tools that one reply uses: calls out, results in, and the model asked again with them. Pure.

A *round* is what the model wants called at once. Its calls run together; when the last result is in, calls and
results are appended to the prompt and the model goes on. Nothing is run or told before the turn is confirmed. Every
call enters the conversation when it is made, and its result when it is known, so that whatever happens to the turn
the next prompt is well formed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from llm.messages import Message, ToolCall
from voice.mouth.fillers import filler_of
from voice.mouth.reply import Reply
from voice.session.config import SessionConfig
from voice.session.outgoing import ErrorOut, ToolCallOut
from voice.settings import ToolSettings
from voice.turn.actions import Action, RunTool, Tell

__all__ = ["Replying", "Rounds", "ToolDispatcher", "chat_tool"]

CANCELLED = json.dumps({"error": "the user interrupted before the result came"})
TIMED_OUT = json.dumps({"error": "the tool did not answer in time"})
MALFORMED = json.dumps({"error": "the arguments are no JSON object"})
MAX_LATE = 64
"""So many calls of ended replies are known, whose results may still come: they are no mistake of the client's."""
MAX_GIVEN = 1024
"""Ids of the last calls; older ones that are still in the conversation are known there."""
MAX_MALFORMED = 1000
"""Characters of what a model wrote for arguments that are shown to it again."""
MAX_CALLS = 16
"""Calls in one round; a model that asks for more has lost its way."""


@dataclass(slots=True)
class Rounds:
    """Of one reply. `open`: calls without a result. `called`: the names of all calls made."""

    calls: tuple[ToolCall, ...] = ()
    results: dict[str, str] = field(default_factory=dict)
    called: list[str] = field(default_factory=list)
    handed_over: bool = False
    number: int = 0
    begun_at: float | None = None
    filled: bool = False
    said_until: int = 0

    @property
    def busy(self) -> bool:
        """The model waits for its tools."""
        return bool(self.calls)

    @property
    def open(self) -> list[ToolCall]:
        return [call for call in self.calls if call.id not in self.results]

    def bridge(self, reply: Reply, words: str) -> None:
        """Say a few words that are none of the model's: the prompt of a further round does without them."""
        reply.add_tokens(words + " ", 0)
        reply.end_sentence()
        self.said_until = len(reply.text)


class Replying(Protocol):
    """What a revision is to its tools."""

    number: int
    messages: tuple[Message, ...]
    rounds: Rounds
    reply: Reply | None

    @property
    def kept(self) -> bool:
        """It is part of the conversation."""
        ...


class ToolDispatcher:
    """`do` takes actions; `add` puts a message into the conversation and gives its item's id."""

    def __init__(
        self,
        settings: ToolSettings,
        server: Mapping[str, Mapping[str, Any]],
        do: Callable[[Action], None],
        add: Callable[[Replying, Message], str],
        is_known: Callable[[str], bool],
    ) -> None:
        self._settings, self._server = settings, server
        self._do, self._add, self._is_known = do, add, is_known
        self._late: dict[str, None] = {}
        self._given: dict[str, None] = {}
        self._numbers = 0

    def offered(self, client: tuple[Mapping[str, Any], ...]) -> tuple[Mapping[str, Any], ...]:
        """The client's tools and the server's, as a chat completion wants them. The client's go first by name."""
        tools = {tool["function"]["name"]: tool for tool in map(chat_tool, client)}
        return tuple({**self._server, **tools}.values())

    def begin(
        self, revision: Replying, config: SessionConfig, client: tuple[Mapping[str, Any], ...], now: float
    ) -> None:
        """The turn is confirmed: make the calls that the model asked for."""
        rounds, reply = revision.rounds, revision.reply
        if rounds.begun_at is not None or reply is None:
            return
        rounds.begun_at = now
        if len(rounds.calls) > MAX_CALLS:
            told_of = f"The model made {len(rounds.calls)} calls at once; the first {MAX_CALLS} are carried out"
            self._do(Tell(ErrorOut("too_many_tool_calls", told_of, "ask for less at once")))
        made = [self._named(call) for call in rounds.calls[:MAX_CALLS]]
        rounds.calls = tuple(replace(call, arguments=_well_formed(call.arguments)) for call in made)
        told = {call.id: call.arguments or "{}" for call in made}
        theirs = {tool["function"]["name"] for tool in map(chat_tool, client)}
        for call in rounds.calls:
            item = self._add(revision, Message("assistant", "", (call,))) if revision.kept else ""
            rounds.called.append(call.name)
            hand_over = config.llm.client_tools == "hand_over" and call.name in theirs
            rounds.handed_over |= hand_over
            if call.arguments != told[call.id] and not hand_over:
                self._take(revision, call, MALFORMED)
            elif call.name in theirs:
                self._do(Tell(ToolCallOut(call.id, call.name, told[call.id], reply.id, item)))
            elif call.name in self._server:
                self._do(RunTool(revision.number, call.id, call.name, call.arguments, self._settings.timeout_s))
            else:
                self._take(revision, call, json.dumps({"error": f"there is no tool {call.name[:64]!r}"}))
        if rounds.handed_over:
            for call in rounds.open:
                if call.name in theirs:
                    rounds.results[call.id] = ""  # its result is the client's to add

    def result(self, revision: Replying | None, call_id: str, output: str) -> bool:
        """A result came. False for a call that nobody made; one of an ended reply is dropped."""
        if revision is not None and revision.rounds.begun_at is not None:
            for call in revision.rounds.open:
                if call.id == call_id:
                    self._take(revision, call, output)
                    return True
        return call_id in self._late

    def expire(self, revision: Replying, now: float, language: str) -> None:
        """Bridge a wait that grows long, and end one that is too long."""
        rounds, reply = revision.rounds, revision.reply
        if rounds.begun_at is None or reply is None:
            return
        if now >= rounds.begun_at + self._settings.timeout_s:
            for call in rounds.open:
                self._take(revision, call, TIMED_OUT)
                self._remember_late(call.id)
        fill_at = self._fill_at(revision)
        if fill_at is not None and now >= fill_at and rounds.open:
            rounds.filled = True
            rounds.bridge(reply, self.filler(language))

    def filler(self, language: str) -> str:
        """A few words while something takes long."""
        return filler_of(language, self._settings.filler)

    def wakes_at(self, revision: Replying) -> float | None:
        rounds = revision.rounds
        if rounds.begun_at is None or not rounds.open:
            return None
        fill_at = self._fill_at(revision)
        ends_at = rounds.begun_at + self._settings.timeout_s
        return ends_at if fill_at is None else min(fill_at, ends_at)

    def next_round(self, revision: Replying) -> bool:
        """If all results are in: put them into the prompt. True if the model is to go on, False to wait or end."""
        rounds, reply = revision.rounds, revision.reply
        if not rounds.busy or rounds.begun_at is None or rounds.open or reply is None:
            return False
        said = reply.text[rounds.said_until :].strip()
        results = (Message("tool", rounds.results[call.id], tool_call_id=call.id) for call in rounds.calls)
        revision.messages = (*revision.messages, Message("assistant", said, rounds.calls), *results)
        rounds.calls, rounds.results, rounds.begun_at = (), {}, None
        rounds.number += 1
        if reply.text and not reply.text[-1].isspace():
            reply.add_tokens(" ", 0)
        rounds.said_until = len(reply.text)
        return not rounds.handed_over

    def is_last(self, revision: Replying) -> bool:
        """The model has had its rounds: now it has to answer."""
        return revision.rounds.number >= self._settings.max_rounds

    def close(self, revision: Replying) -> None:
        """The reply is over: calls without a result are told to the model as cut off."""
        if revision.rounds.begun_at is None:
            return
        for call in revision.rounds.open:
            self._take(revision, call, CANCELLED)
            self._remember_late(call.id)

    def _take(self, revision: Replying, call: ToolCall, output: str) -> None:
        revision.rounds.results[call.id] = output
        if revision.kept:
            self._add(revision, Message("tool", output, tool_call_id=call.id))

    def _named(self, call: ToolCall) -> ToolCall:
        """With an id of its own: some models number their calls from zero in every reply."""
        name = call.id
        while not name or name in self._given or self._is_known(name):
            self._numbers += 1
            name = f"call_{self._numbers}"
        self._given[name] = None
        while len(self._given) > MAX_GIVEN:
            del self._given[next(iter(self._given))]
        return replace(call, id=name)

    def _fill_at(self, revision: Replying) -> float | None:
        rounds, reply = revision.rounds, revision.reply
        silent = reply is not None and reply.spoken and not reply.text.strip()
        if rounds.begun_at is None or rounds.filled or not silent or not self._settings.filler_after_ms:
            return None
        return rounds.begun_at + self._settings.filler_after_ms / 1000

    def _remember_late(self, call_id: str) -> None:
        self._late[call_id] = None
        while len(self._late) > MAX_LATE:
            del self._late[next(iter(self._late))]


def _well_formed(arguments: str) -> str:
    """As they may stand in a prompt: servers of models refuse a conversation with arguments that are no object."""
    try:
        if isinstance(json.loads(arguments or "{}"), dict):
            return arguments or "{}"
    except (ValueError, RecursionError):
        pass
    return json.dumps({"malformed": arguments[:MAX_MALFORMED]}, ensure_ascii=False)


def chat_tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """A function tool in the nested form of chat completions; Realtime writes it flat."""
    if "function" in tool:
        return tool
    function = {
        key: tool[key] for key in ("name", "description", "parameters", "strict") if tool.get(key) is not None
    }
    return {"type": "function", "function": function}
