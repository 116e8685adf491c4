"""Swiss AI's Apertus: `<|tools_prefix|>[{"lights": {"on": true}}, ...]<|tools_suffix|>`, the name is the key.

Source: the chat template of Apertus; vLLM's apertus tool parser.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from llm.replies.call_text import MarkedParser, Step, WholeBody
from llm.replies.tool_calls import AddRule, CallParser, Calls, Said, ToolFormat, Tools, literal, schema_of

__all__ = ["SPEC"]

OPEN, CLOSE = "<|tools_prefix|>", "<|tools_suffix|>"


def _read(calls: Calls, inner: str, rest: str) -> Step:
    """The template joins several lists of one turn without their inner brackets."""
    try:
        rows = json.loads(inner, strict=False)
    except (ValueError, RecursionError):
        return Step([], wrong=True)
    rows = rows if isinstance(rows, list) else [rows]
    said: list[Said] = []
    for row in rows:
        if not isinstance(row, dict) or len(row) != 1 or next(iter(row)) not in calls.tools:
            return Step([], wrong=True)
    for row in rows:
        for name, arguments in row.items():
            said += [calls.begin(name), calls.more(json.dumps(arguments, ensure_ascii=False))]
    return Step(said, rest, wrong=not said)


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((OPEN,), lambda _: WholeBody(CLOSE, partial(_read, calls)))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    kinds = [
        f"( {literal('{' + json.dumps(str(tool['function']['name'])) + ': ')} "
        f"{add(schema_of(tool), f'tool-{number}')} {literal('}')} )"
        for number, tool in enumerate(tools)
    ]
    one = f"( {' | '.join(kinds)} )"
    more = f'( ", " {one} )*' if parallel else ""
    return f'{literal(OPEN)} "[" {one} {more} "]" {literal(CLOSE)}'


SPEC = ToolFormat("apertus", lambda template: OPEN in template, _parser, _grammar, marks=(OPEN, CLOSE), rank=20)
