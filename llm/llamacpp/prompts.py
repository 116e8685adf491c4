"""Everything a loaded model says about text: template, tokens, grammars. Read only, so any thread may use it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm.chat_template import ChatTemplate, fallback
from llm.engine import Encoded, Prompt
from llm.json_schema.prepare import prepared
from llm.json_schema.rules import SchemaRules
from llm.llamacpp.grammar_guard import check_grammar
from llm.llamacpp.vocab import Vocab
from llm.messages import Message
from llm.replies.reasoning import opened_by, thoughts_of
from llm.replies.tool_calls import literal, tool_format
from models.errors import BadInput, SettingsError
from models.formats.gguf import GgufHeader

if TYPE_CHECKING:
    from llm.llamacpp.media import Projector

__all__ = ["Prompts"]


class Prompts:
    """`projector` turns images and audio into what the model reads; None where there is none."""

    def __init__(self, header: GgufHeader, vocab: Vocab, template: str, projector: Projector | None) -> None:
        self._vocab = vocab
        self._projector = projector
        self.template = _template(header, vocab, template)
        bert = header.metadata.get("tokenizer.ggml.model") == "bert"
        self._second_separator = bool(header.metadata.get("tokenizer.ggml.add_sep_token", not bert))

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        now: datetime,
        variables: Mapping[str, Any],
    ) -> Prompt:
        media = tuple(part.data for message in messages for part in message.media)
        if media and self._projector is None:
            raise BadInput(
                "this model reads text only",
                param="messages",
                hint="ask a vision or omni model, or give the slot an mmproj file",
            )
        if self._projector is not None:
            self._projector.check(part for message in messages for part in message.media)
        marker = self._projector.marker if self._projector is not None else ""
        text = self.template.render(messages, tools, now, variables, marker)
        return Prompt(text, self.template.stop, media=media)

    def encode(self, prompt: Prompt) -> Encoded:
        if prompt.media and self._projector is not None:
            return self._projector.encode(prompt, self.wants_special(prompt.text))
        return Encoded(self.tokenize(prompt.text, add_special=True, parse_special=True))

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """A template that writes the BOS itself gets no second one."""
        if add_special and parse_special:
            add_special = self.wants_special(text)
        return self._vocab.tokenize(text, add_special=add_special, parse_special=parse_special)

    def wants_special(self, text: str) -> bool:
        if not self._vocab.adds_bos():
            return True
        bos = self._vocab.bos()
        return not (bos and text.startswith(bos))

    def pair(self, query: str, document: str) -> list[int]:
        """1. By the model's own rerank template, which writes the special tokens, too. 2. Else as its tokenizer joins
        two texts: BOS query EOS SEP document EOS where the file says that a second separator belongs between them
        (RoBERTa), with one where it says no, and for BERT, which has but one: its end token is its separator.
        """
        template = self._vocab.rerank_template
        if template:  # 1
            given = {"{query}": query, "{document}": document}
            text = re.sub(r"\{(?:query|document)\}", lambda found: given[found[0]], template)
            return self._vocab.tokenize(text, add_special=False, parse_special=True)
        bos, eos, sep = self._vocab.marks()  # 2
        between = [*eos, *sep] if eos and self._second_separator else eos or sep
        plain = [self._vocab.tokenize(part, add_special=False, parse_special=False) for part in (query, document)]
        return [*(bos if self._vocab.adds_bos() else ()), *plain[0], *between, *plain[1], *(eos or sep)]

    def grammar(self, schema: Mapping[str, Any]) -> str:
        rules = _Rules("response_format")
        rules.add(schema or {"type": "object"}, "root")
        text = rules.text()
        check_grammar(text, "response_format")
        return text

    def call_grammar(self, tools: Sequence[Mapping[str, Any]], parallel: bool, prompt: Prompt) -> str:
        """1. Thoughts that the template has begun are finished first. 2. The calls, as this format writes them."""
        rules = _Rules("tools")
        form = tool_format(self.template.shown)
        body = form.grammar(tools, parallel, rules.add)
        thoughts = thoughts_of(self.template.shown)
        if opened_by(prompt.text, thoughts):  # 1
            first, second = thoughts.close[0], thoughts.close[1]
            body = f'( [^{first}] | "{first}" [^{second}] )* {literal(thoughts.close)} [\\n]* ( {body} )'
        text = f"root ::= {body}\n{rules.text()}"  # 2
        check_grammar(text, "tools")
        return text


class _Rules:
    """Schemas of a request, which its field `param` brought."""

    def __init__(self, param: str) -> None:
        self._param = param
        self._rules = SchemaRules()

    def add(self, schema: Mapping[str, Any], name: str) -> str:
        """The name of the rule for a schema."""
        return self._rules.add(prepared(schema, self._param), name)

    def text(self) -> str:
        return self._rules.text()


def _template(header: GgufHeader, vocab: Vocab, override: str) -> ChatTemplate:
    bos, eos = vocab.bos(), vocab.eos()
    if override:
        try:
            return ChatTemplate(Path(override).expanduser().read_text(encoding="utf-8"), bos, eos)
        except (OSError, ValueError) as error:
            raise SettingsError(f"[llm.engine] chat_template: {error}", param="chat_template") from error
    if header.chat_template is not None:
        return ChatTemplate(header.chat_template, bos, eos, tool_use=header.tool_use_template)
    return fallback(vocab.has, bos, eos)
