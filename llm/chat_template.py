"""Chat templates: messages and tools to the text that a model was trained on. Pure; `now` is an argument.

Templates are Jinja, as Hugging Face's transformers runs them: trim_blocks, lstrip_blocks, loop controls, the
`generation` tag, `tojson` without HTML escapes, `raise_exception`, `strftime_now`. They come out of model files,
so they run in Jinja's immutable sandbox.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
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

_ARGUMENTS_AS_OBJECT = re.compile(r"arguments\s*\|\s*(tojson|items)|arguments\.items|arguments is (mapping|string)")


class ChatTemplate:
    """Raises ModelUnreadable if the source is no template."""

    def __init__(self, source: str, bos: str = "", eos: str = "", stop: tuple[str, ...] = ()) -> None:
        self.source = source
        self.stop = stop
        self._tokens = {"bos_token": bos, "eos_token": eos}
        self._knows_tools = "tools" in source or "tool_calls" in source
        self._arguments_as_object = bool(_ARGUMENTS_AS_OBJECT.search(source))
        self._template = _compile(source)

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        now: datetime,
        thinking: bool | None = None,
        marker: str = "",
    ) -> str:
        """1. As they are. 2. If the template refuses them: the system message in the first user message, and
        neighbours of one role joined, for some templates know no system and want strict alternation.
        3. BadInput with the template's own words.

        `thinking` is what templates of reasoning models call `enable_thinking`; None leaves it to them. `marker`
        stands for an image or recording in the text. A template that knows no tools gets them described in words.
        """
        extra = {} if thinking is None else {"enable_thinking": thinking}
        if not self._knows_tools and (tools or any(message.tool_calls for message in messages)):
            messages, tools = in_words(messages, tools), ()
        turns = [self._turn(message, marker) for message in messages]
        try:
            return self._run(turns, tools, now, extra)  # 1
        except _Refused as refused:
            try:
                return self._run(_alternating(turns), tools, now, extra)  # 2
            except _Refused:
                raise BadInput(  # 3
                    f"the chat template of this model refuses these messages: {refused}", param="messages"
                ) from None

    def _run(
        self,
        turns: list[dict[str, Any]],
        tools: Sequence[Mapping[str, Any]],
        now: datetime,
        extra: Mapping[str, bool],
    ) -> str:
        from jinja2 import TemplateError

        try:
            return self._template.render(
                messages=turns,
                tools=[dict(tool) for tool in tools] or None,
                add_generation_prompt=True,
                raise_exception=_raise,
                strftime_now=now.strftime,
                **self._tokens,
                **extra,
            )
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
            raise _Refused(str(error)[:300]) from error

    def _turn(self, message: Message, marker: str) -> dict[str, Any]:
        turn: dict[str, Any] = {
            "role": "system" if message.role == "developer" else message.role,
            "content": "\n".join(part.text if isinstance(part, TextPart) else marker for part in message.parts)
            or message.content,
        }
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
        if self._arguments_as_object:
            try:
                return {"name": name, "arguments": json.loads(arguments)}
            except ValueError:
                pass  # a model may write arguments that are no JSON; the template then gets its text
        return {"name": name, "arguments": arguments}


class _Refused(Exception):
    pass


def _raise(message: str) -> NoReturn:
    raise _Refused(message)


def _compile(source: str) -> Template:
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.nodes import Node
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}...{% endgeneration %}` marks what to train on; here it means nothing."""

        tags = {"generation"}

        def parse(self, parser: Parser) -> list[Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    try:
        return environment.from_string(source)
    except jinja2.TemplateError as error:
        raise ModelUnreadable(f"the model's chat template is not a valid template: {error}") from error


def _tojson(value: Any, indent: int | None = None, ensure_ascii: bool = False, sort_keys: bool = False) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, sort_keys=sort_keys)


def _alternating(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
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
