"""Chat templates: messages and tools to the text that a model was trained on. Pure; `now` is an argument.

Templates are Jinja, as Hugging Face's transformers runs them: trim_blocks, lstrip_blocks, loop controls, the
`generation` tag, `tojson` without HTML escapes, `raise_exception`, `strftime_now`. They come out of model files,
so they run in Jinja's sandbox.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from llm.messages import Message, TextPart
from llm.replies.tools_in_words import in_words
from models.errors import BadInput, ModelUnreadable

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["CHATML", "PLAIN", "ChatTemplate", "fallback"]

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
PLAIN = (
    "{% for m in messages %}{{ m.role.capitalize() + ': ' + m.content + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
PLAIN_STOP = ("\nUser:", "\nSystem:", "\nAssistant:")

_ID_OF_MISTRAL = 9
_OWN = frozenset(
    ("messages", "tools", "add_generation_prompt", "bos_token", "eos_token", "raise_exception", "strftime_now")
)
_PROBE = {"probe_key": "probe value"}
_SOME_DAY = datetime(2000, 1, 1)

_Turn = dict[str, Any]


class ChatTemplate:
    """`tool_use` is the template for conversations with tools, where the model has one of its own for them. `shown`
    is all that tells how the model writes. Raises ModelUnreadable if a source is no template.
    """

    def __init__(
        self, source: str, bos: str = "", eos: str = "", stop: tuple[str, ...] = (), tool_use: str = ""
    ) -> None:
        self.source = source
        self.shown = f"{tool_use}\n{source}" if tool_use else source
        self._for_tools = ChatTemplate(tool_use, bos, eos, stop) if tool_use else None
        self.stop = stop
        self._tokens = {"bos_token": bos, "eos_token": eos}
        self._knows_tools = "tools" in source or "tool_calls" in source
        self._reads_thinking = bool(re.search(r"""\.thinking\b|["']thinking["'] in """, source))
        self._template = _compile(source)

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        now: datetime,
        variables: Mapping[str, Any] = MappingProxyType({}),
        marker: str = "",
    ) -> str:
        """1. As they are. 2. If the template refuses them: without what models thought in earlier turns, and with ids
        of calls as Mistral wants them. 3. One call a message, which is all that Llama 3's templates know. 4. The
        system message in the first user message, and neighbours of one role joined, for some templates know no
        system and want strict alternation. 5. BadInput with the template's own words.

        `variables` are further names of the template, as clients send them (`enable_thinking`). With
        `continue_final_message` the text ends with the words of the last message. `marker` stands for an image or
        recording in the text. A template that knows no tools gets them described in words.
        """
        if self._for_tools is not None and (tools or any(m.tool_calls or m.role == "tool" for m in messages)):
            return self._for_tools.render(messages, tools, now, variables, marker)
        if not self._knows_tools and (tools or any(message.tool_calls for message in messages)):
            messages, tools = in_words(messages, tools), ()
        turns = [self._turn(message, marker) for message in messages]
        told = self._variables(variables)
        try:
            return self._run(turns, tools, now, told)  # 1
        except _Refused as refused:
            why = refused
        for change in (_plain, _one_call_each, _alternating):  # 2, 3, 4
            changed = change(turns)
            if changed == turns:
                continue
            turns = changed
            try:
                return self._run(turns, tools, now, told)
            except _Refused:
                pass
        raise BadInput(f"the chat template of this model refuses these messages: {why}", param="messages")  # 5

    def _variables(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Some templates know no "off" but degrees of effort (gpt-oss): who wants no thoughts gets the least."""
        wrong = next((name for name in variables if name in _OWN), None)
        if wrong is not None:
            raise BadInput(
                f"chat_template_kwargs: {wrong} is told by the request itself", param="chat_template_kwargs"
            )
        told = dict(variables)
        if told.get("enable_thinking") is False and "enable_thinking" not in self.source:
            told.setdefault("reasoning_effort", "no_think" if "no_think" in self.source else "low")
        return told

    def _run(
        self, turns: list[_Turn], tools: Sequence[Mapping[str, Any]], now: datetime, variables: Mapping[str, Any]
    ) -> str:
        """Templates get copies, for they may change what they are given."""
        from jinja2 import TemplateError

        continues = bool(variables.get("continue_final_message"))
        try:
            text = self._template.render(
                {
                    **variables,
                    **self._tokens,
                    "messages": deepcopy(turns),
                    "tools": [deepcopy(dict(tool)) for tool in tools] or None,
                    "add_generation_prompt": not continues,
                    "raise_exception": _raise,
                    "strftime_now": now.strftime,
                }
            )
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
            raise _Refused(str(error)[:300]) from error
        except (RecursionError, MemoryError) as error:
            raise _Refused(f"it never ends ({type(error).__name__})") from error
        return _up_to_words(text, turns[-1]) if continues else text

    def _turn(self, message: Message, marker: str) -> _Turn:
        turn: _Turn = {
            "role": "system" if message.role == "developer" else message.role,
            "content": "\n".join(part.text if isinstance(part, TextPart) else marker for part in message.parts)
            or message.content,
        }
        thoughts = message.extra.get("reasoning_content") or message.extra.get("reasoning")
        if message.role == "assistant" and isinstance(thoughts, str):
            names = ("reasoning_content", "reasoning", *(("thinking",) if self._reads_thinking else ()))
            turn |= dict.fromkeys(names, thoughts)
        if message.name is not None:
            turn["name"] = message.name
        if message.tool_call_id is not None:
            turn["tool_call_id"] = message.tool_call_id
        if message.tool_calls:
            turn["tool_calls"] = [
                {"id": call.id, "type": "function", "function": self._function(call.name, call.arguments)}
                for call in message.tool_calls
            ]
        return turn

    def _function(self, name: str, arguments: str) -> dict[str, Any]:
        if not self._arguments_as_text:
            try:
                return {"name": name, "arguments": json.loads(arguments)}
            except ValueError:
                pass  # a model may write arguments that are no JSON; the template then gets its text
        return {"name": name, "arguments": arguments}

    @cached_property
    def _arguments_as_text(self) -> bool:
        """Templates are written for arguments as an object, by Hugging Face's convention. Some join them to text,
        which fails or shows Python's quotes; those get JSON. It is tried out, for no word of the source tells it.
        """
        call = {"id": "a" * _ID_OF_MISTRAL, "type": "function", "function": {"name": "probe", "arguments": _PROBE}}
        turns: list[_Turn] = [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
        ]
        schema = {"type": "object", "properties": {"probe_key": {"type": "string"}}}
        tool = {"type": "function", "function": {"name": "probe", "description": "a", "parameters": schema}}
        try:
            return str(_PROBE) in self._run(turns, [tool], _SOME_DAY, {})
        except _Refused:
            call["function"] = {"name": "probe", "arguments": json.dumps(_PROBE)}
        try:
            return "probe_key" in self._run(turns, [tool], _SOME_DAY, {})
        except _Refused:
            return False


class _Refused(Exception):
    pass


def _raise(message: str) -> NoReturn:
    raise _Refused(message)


def _compile(source: str) -> Template:
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.nodes import Node
    from jinja2.parser import Parser
    from jinja2.sandbox import SandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}...{% endgeneration %}` marks what to train on; here it means nothing."""

        tags = {"generation"}

        def parse(self, parser: Parser) -> list[Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    # Not the immutable one: templates that llama.cpp runs append to lists of their own (Kimi K2's).
    environment = SandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    environment.filters["tojson"] = _tojson
    try:
        return environment.from_string(source)
    except jinja2.TemplateError as error:
        raise ModelUnreadable(f"the model's chat template is not a valid template: {error}") from error


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Parameters and their order are those of transformers."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _plain(turns: list[_Turn]) -> list[_Turn]:
    """Without thoughts, and with ids of nine letters and digits."""
    out: list[_Turn] = []
    for turn in turns:
        turn = {key: turn[key] for key in turn if key not in ("reasoning_content", "reasoning", "thinking")}
        if "tool_call_id" in turn:
            turn["tool_call_id"] = _short(turn["tool_call_id"])
        if "tool_calls" in turn:
            turn["tool_calls"] = [{**call, "id": _short(call["id"])} for call in turn["tool_calls"]]
        out.append(turn)
    return out


def _up_to_words(text: str, last: _Turn) -> str:
    """Without what the template writes behind the words of the last message. Some templates trim them."""
    words = str(last["content"])
    at = text.rfind(words.strip()) if last["role"] == "assistant" and words.strip() else -1
    if at < 0:
        raise BadInput(
            "continue_final_message: the last message has to be the assistant's, with words that can be gone on with",
            param="continue_final_message",
        )
    whole = words.lstrip()
    return text[: at + len(whole if text.startswith(whole, at) else whole.rstrip())]


def _short(id: str) -> str:
    if len(id) == _ID_OF_MISTRAL and id.isalnum():
        return id
    return hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_OF_MISTRAL]


def _one_call_each(turns: list[_Turn]) -> list[_Turn]:
    """Calls that were made together as if they had been made one after the other, each before its result."""
    out: list[_Turn] = []
    left = list(turns)
    while left:
        turn = left.pop(0)
        calls = turn.get("tool_calls", ())
        if len(calls) < 2:
            out.append(turn)
            continue
        results: list[_Turn] = []
        while left and left[0]["role"] == "tool":
            results.append(left.pop(0))
        for number, call in enumerate(calls):
            out.append({**turn, "content": "" if number else turn["content"], "tool_calls": [call]})
            out += [result for result in results if result.get("tool_call_id") == call["id"]]
        known = {call["id"] for call in calls}
        out += [result for result in results if result.get("tool_call_id") not in known]
    return out


def _alternating(turns: list[_Turn]) -> list[_Turn]:
    out: list[_Turn] = []
    for turn in turns:
        turn = dict(turn, role="user" if turn["role"] in ("system", "tool") else turn["role"])
        if out and out[-1]["role"] == turn["role"]:
            out[-1]["content"] = f"{out[-1]['content']}\n\n{turn['content']}"
        else:
            out.append(turn)
    return out


def fallback(has_token: Callable[[str], bool], bos: str, eos: str) -> ChatTemplate:
    """For a model without a template: ChatML if it knows those tokens, else plain names and colons."""
    if has_token("<|im_start|>") and has_token("<|im_end|>"):
        return ChatTemplate(CHATML, bos, eos)
    return ChatTemplate(PLAIN, bos, eos, PLAIN_STOP)
