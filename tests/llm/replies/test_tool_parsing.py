"""Tool calls in the formats of the model families: the same calls however the text is cut, and text stays text.

Why this file is long: its tables hold what every family writes, well and badly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.replies.parser import ReplyParser, marks_of
from llm.replies.tool_calls import Said, named_tools, schema_of, tool_format
from llm.stream import ReasoningDelta, TextDelta, ToolCallDelta
from models.errors import BadInput
from models.registry import discover

LAMP = {
    "type": "function",
    "function": {
        "name": "set_lamp",
        "parameters": {
            "type": "object",
            "properties": {"room": {"type": "string"}, "level": {"type": "integer"}},
            "required": ["room"],
        },
    },
}
TIME = {"type": "function", "function": {"name": "time"}}
TOOLS = (LAMP, TIME)
ONE = [("set_lamp", {"room": "kitchen", "level": 7})]
TWO = [*ONE, ("time", {})]
ARGUMENTS = '{"room": "kitchen", "level": 7}'

TEMPLATES = {
    "hermes": "{{ tools }}<tool_call></tool_call>",
    "qwen3_coder": "{{ tools }}<tool_call><function=x><parameter=y></parameter></function></tool_call>",
    "glm": "{{ tools }}<tool_call>{name}<arg_key>k</arg_key><arg_value>v</arg_value></tool_call>",
    "llama3": "{{ tools }}<|start_header_id|><|end_header_id|>{'name': ..., 'parameters': ...}<|python_tag|>",
    "mistral": "{{ tools }}[AVAILABLE_TOOLS][TOOL_CALLS]",
    "deepseek": "{{ tools }}<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>",
    "granite": "{{ tools }}<|start_of_role|><|tool_call|>",
    "command_r": "{{ tools }}<|START_ACTION|><|END_ACTION|>",
    "functionary": "{{ tools }}<function=name>{}</function>",
    "harmony": "{{ tools }}<|start|><|channel|>analysis<|message|>",
    "kimi": "{{ tools }}<|tool_calls_section_begin|><|tool_call_begin|><|tool_call_end|>",
    "deepseek_dsml": '{{ tools }}<｜DSML｜function_calls><｜DSML｜invoke name="x">',
    "minimax": "{{ tools }}<minimax:tool_call><invoke name=x><parameter name=y></minimax:tool_call>",
    "minicpm": '{{ tools }}<function name="x"><param name="y">v</param></function>',
    "nemotron": "{{ tools }}<TOOLCALL>[]</TOOLCALL>",
    "lfm2": "{{ tools }}<|tool_list_start|><|tool_call_start|><|tool_call_end|>",
    "gemma": "{{ tools }}<start_function_declaration><start_function_call>call:<escape>",
    "jamba": "{{ tools }}<tool_calls>[]</tool_calls>",
    "olmo3": "{{ tools }}<function_calls></function_calls>",
    "apertus": "{{ tools }}<|tools_prefix|>[]<|tools_suffix|>",
    "internlm": "{{ tools }}<|action_start|><|plugin|>{}<|action_end|>",
    "phi4_mini": "{{ tools }}<|tool|><|/tool|><|tool_call|>[]<|/tool_call|>",
}
"""What is told apart in the templates of the families, cut down to that."""

D = (
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
)
DSML = (
    '<｜DSML｜{0}>\n<｜DSML｜invoke name="set_lamp">\n<｜DSML｜parameter name="room" string="true">kitchen'
    '</｜DSML｜parameter>\n<｜DSML｜parameter name="level" string="false">7</｜DSML｜parameter>\n</｜DSML｜invoke>\n'
    '<｜DSML｜invoke name="time">\n</｜DSML｜invoke>\n</｜DSML｜{0}>'
)
KIMI = (
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.set_lamp:0<|tool_call_argument_begin|>"
    + ARGUMENTS
    + "<|tool_call_end|><|tool_call_begin|>functions.time:1<|tool_call_argument_begin|>{}<|tool_call_end|>"
    "<|tool_calls_section_end|>"
)
LISTED = f'[{{"name": "set_lamp", "arguments": {ARGUMENTS}}}, {{"name": "time", "arguments": {{}}}}]'
REPLIES: list[tuple[str, str, str, list[tuple[str, dict[str, Any]]]]] = [
    ("hermes", f'<tool_call>\n{{"name": "set_lamp", "arguments": {ARGUMENTS}}}\n</tool_call>', "", ONE),
    ("hermes", f'I do it.\n<tool_call>{{"arguments": {ARGUMENTS}, "name": "set_lamp"}}</tool_call>\n'
     '<tool_call>{"name": "time"}</tool_call>', "I do it.", TWO),
    ("hermes", '<tool_call>{"name": "set_lamp", "arguments": "{\\"room\\": \\"kitchen\\", \\"level\\": 7}"}'
     "</tool_call>", "", ONE),
    ("hermes", f'<tool_call>{{"name": "set_lamp", "arguments": {ARGUMENTS}}}', "", ONE),
    ("hermes", '<tool_call>{"name": "time", "arguments": null}</tool_call>', "", [("time", {})]),
    ("hermes", f'<tool_call>{{"function": "set_lamp", "arguments": {ARGUMENTS}}}</tool_call>', "", ONE),
    ("qwen3_coder", "On it.\n\n<tool_call>\n<function=set_lamp>\n<parameter=room>\nkitchen\n</parameter>\n"
     "<parameter=level>\n7\n</parameter>\n</function>\n</tool_call>", "On it.", ONE),
    ("qwen3_coder", "<function=set_lamp><parameter=room>kitchen</parameter><parameter=level>7</parameter></function>"
     "<tool_call><function=time></function></tool_call>", "", TWO),
    ("glm", "<tool_call>set_lamp\n<arg_key>room</arg_key>\n<arg_value>kitchen</arg_value>\n<arg_key>level</arg_key>\n"
     "<arg_value>7</arg_value>\n</tool_call><tool_call>time</tool_call>", "", TWO),
    ("llama3", f'{{"name": "set_lamp", "parameters": {ARGUMENTS}}}', "", ONE),
    ("llama3", f'<|python_tag|>{{"name": "set_lamp", "parameters": {ARGUMENTS}}}; '
     '{"name": "time", "parameters": {}}', "", TWO),
    ("llama3", f'{{"type": "function", "function": {{"name": "set_lamp", "parameters": {ARGUMENTS}}}}}', "", ONE),
    ("mistral", f'[TOOL_CALLS][{{"name": "set_lamp", "arguments": {ARGUMENTS}}}, '
     '{"name": "time", "arguments": {}}]', "", TWO),
    ("mistral", f"Yes.[TOOL_CALLS]set_lamp[ARGS]{ARGUMENTS}[TOOL_CALLS]time[CALL_ID]abcdefghi[ARGS]{{}}",
     "Yes.", TWO),
    ("mistral", f"[TOOL_CALLS]set_lamp{ARGUMENTS}", "", ONE),
    ("deepseek", f"{D[0]}{D[1]}function{D[2]}set_lamp\n```json\n{ARGUMENTS}\n```{D[3]}\n{D[1]}function{D[2]}time\n"
     f"```json\n{{}}\n```{D[3]}{D[4]}", "", TWO),
    ("deepseek", f"Sure.{D[0]}{D[1]}set_lamp{D[2]}{ARGUMENTS}{D[3]}{D[4]}", "Sure.", ONE),
    ("granite", f'<|tool_call|>[{{"name": "set_lamp", "arguments": {ARGUMENTS}}}]', "", ONE),
    ("command_r", f'<|START_ACTION|>[\n{{"tool_call_id": "0", "tool_name": "set_lamp", "parameters": {ARGUMENTS}}},\n'
     '{"tool_call_id": "1", "tool_name": "time", "parameters": {}}\n]<|END_ACTION|>', "", TWO),
    ("functionary", f"<function=set_lamp>{ARGUMENTS}</function><function=time>{{}}</function>", "", TWO),
    ("harmony", "<|channel|>analysis<|message|>hm<|end|><|start|>assistant"
     f"<|channel|>commentary to=functions.set_lamp <|constrain|>json<|message|>{ARGUMENTS}<|call|>", "", ONE),
    ("harmony", "<|channel|>analysis<|message|>hm<|end|><|start|>assistant"
     "<|channel|>final<|message|>It is on.<|return|>", "It is on.", []),
    ("kimi", f"I do it. {KIMI}", "I do it.", TWO),
    ("deepseek_dsml", "Sure.\n\n" + DSML.format("function_calls"), "Sure.", TWO),
    ("deepseek_dsml", DSML.format("tool_calls"), "", TWO),
    ("minimax", '<minimax:tool_call>\n<invoke name="set_lamp">\n<parameter name="room">kitchen</parameter>\n'
     '<parameter name="level">7</parameter>\n</invoke>\n<invoke name="time">\n</invoke>\n</minimax:tool_call>',
     "", TWO),
    ("minicpm", 'Sure.\n<function name="set_lamp"><param name="room">kitchen</param><param name="level">7</param>'
     '</function>\n<function name="time"></function>', "Sure.", TWO),
    ("minicpm", '<function name="set_lamp"><param name="room"><![CDATA[a </function> & </param>\nb]]></param>'
     "</function>", "", [("set_lamp", {"room": "a </function> & </param>\nb"})]),
    ("nemotron", f"<TOOLCALL>{LISTED}</TOOLCALL>", "", TWO),
    ("lfm2", '<|tool_call_start|>[set_lamp(room="kitchen", level=7), time()]<|tool_call_end|>Done.', "Done.", TWO),
    ("gemma", "<start_function_call>call:set_lamp{room:<escape>kitchen<escape>,level:7}<end_function_call>"
     "<start_function_call>call:time{}<end_function_call>", "", TWO),
    ("gemma", '<|tool_call>call:set_lamp{room:<|"|>kitchen<|"|>,level:7}<tool_call|>', "", ONE),
    ("jamba", f"On it.\n<tool_calls>{LISTED}</tool_calls>", "On it.", TWO),
    ("phi4_mini", f"<|tool_call|>{LISTED}<|/tool_call|>", "", TWO),
    ("phi4_mini", f"functools{LISTED}", "", TWO),
    ("llama3", '[set_lamp(room="kitchen", level=7), time()]', "", TWO),
    ("llama3", "<|python_start|>[set_lamp(room='kitchen', level=7)]<|python_end|>", "", ONE),
    ("llama3", f'<|python_start|>{{"name": "set_lamp", "parameters": {ARGUMENTS}}}<|python_end|>', "", ONE),
    ("llama3", LISTED, "", TWO),
    ("llama3", f"<|python_start|>{LISTED}<|python_end|>", "", TWO),
    ("llama3", f'{{"name": "set_lamp", "parameters": {ARGUMENTS}}}\n{{"name": "time", "parameters": {{}}}}', "", TWO),
    ("jamba", f'<tool_calls>\n{{"name": "set_lamp", "arguments": {ARGUMENTS}}}\n'
     '{"name": "time", "arguments": {}}\n</tool_calls>', "", TWO),
    ("hermes", f'<tool_call>{{"name": "set_lamp", "arguments": {ARGUMENTS}}}}}\n</tool_call>\nDone.', "\nDone.", ONE),
    ("hermes", f'<tool_call>{{"name": "set_lamp", "arguments": {ARGUMENTS}\n</tool_call>\nDone.', "\nDone.", ONE),
    ("hermes", '<tool_call>{"name": "set_lamp", "arguments": {"room": "a\nb\tc"}}</tool_call>', "",
     [("set_lamp", {"room": "a\nb\tc"})]),
    ("hermes", '<tool_call>{"name": "set_lamp", "arguments": {"room": "</tool_call> \\"}<é你"}}</tool_call>', "",
     [("set_lamp", {"room": '</tool_call> "}<é你'})]),
    ("hermes", f'<tool_call>[{{"name": "set_lamp", "arguments": {ARGUMENTS}}}, {{"name": "no_tool"}}]',
     '{"name": "no_tool"}]', ONE),
    ("harmony", f" to=functions.set_lamp<|channel|>commentary json<|message|>{ARGUMENTS}<|call|>", "", ONE),
    ("harmony", "<|channel|>analysis<|message|>hm<|end|><|start|>assistant to=functions.set_lamp"
     f"<|channel|>commentary json<|message|>{ARGUMENTS}<|call|>", "", ONE),
    ("harmony", "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant<|channel|>commentary "
     "to=functions.time<|message|><|call|>", "I look.", [("time", {})]),
    ("harmony", " to=functions is how it writes", " to=functions is how it writes", []),
    ("qwen3_coder", "<seed:tool_call>\n<function=set_lamp>\n<parameter=room>kitchen</parameter>\n<parameter=level>7"
     "</parameter>\n</function>\n</seed:tool_call>", "", ONE),
    ("qwen3_coder", "<tool_call>\n<function=set_lamp>\n<parameter=room>\nkitchen\n<parameter=level>\n7\n</function>\n"
     "</tool_call>", "", ONE),
    ("qwen3_coder", "<tool_call>\n<function=set_lamp>\n<parameter=room>\nkitchen\n</parameter>\n"
     "<parameter=level>\n7\n</parameter>\n</tool_call> Done.", " Done.", ONE),
    ("qwen3_coder", "<tool_call>\n<function=time>\nnow\n</function>", "now\n</function>", [("time", {})]),
    ("glm", "<tool_call>set_lamp<arg_key>room</arg_key><arg_value>\n\na\n\n</arg_value></tool_call>", "",
     [("set_lamp", {"room": "\na\n"})]),
    ("olmo3", 'Sure.\n<function_calls>set_lamp(room="kitchen", level=7)\ntime()</function_calls>', "Sure.", TWO),
    ("olmo3", '<function_calls>\n[set_lamp(room="kitchen", level=7), time()]', "", TWO),
    ("apertus", f'Sure.<|tools_prefix|>[{{"set_lamp": {ARGUMENTS}}}, '
     '{"time": {}}]<|tools_suffix|>', "Sure.", TWO),
    ("internlm", 'Sure.<|action_start|><|plugin|>\n{"name": "set_lamp", '
     f'"parameters": {ARGUMENTS}}}\n<|action_end|>', "Sure.", ONE),
]  # fmt: skip

OPEN = [
    ("hermes", '<tool_call>{"name": "set_lamp", "arguments": {"room": "kit', '{"room": "kit'),
    ("hermes", '<tool_call>{"name": "set_lamp", "arguments": {"room": "a"\n</tool_call>', '{"room": "a"\n'),
    ("qwen3_coder", "<tool_call>\n<function=set_lamp>\n<parameter=room>\nkit", '{"room": "kit'),
    ("minimax", '<minimax:tool_call>\n<invoke name="set_lamp">\n<parameter name="level">7</parameter>\n'
     '<parameter name="room">kit', '{"level": 7, "room": "kit'),
    ("minicpm", '<function name="set_lamp"><param name="level">7</param><param name="room"><![CDATA[kit',
     '{"level": 7, "room": "kit'),
    ("minicpm", '<function name="set_lamp"><param name="room">kit', '{"room": "kit'),
    ("glm", "<tool_call>set_lamp<arg_key>level</arg_key><arg_value>7</arg_value>"
     "<arg_key>room</arg_key><arg_value>kit", '{"level": 7, "room": "kit'),
    ("functionary", '<function=set_lamp>{"room": "a"</function>', '{"room": "a"'),
    ("mistral", '[TOOL_CALLS]set_lamp[ARGS]{"room": "kit', '{"room": "kit'),
]  # fmt: skip
"""Calls that were cut off, and their arguments, which nobody can take for whole ones."""

NOT_CALLS = [
    ("hermes", "<tool_call>this is only talk</tool_call> and more"),
    ("hermes", '<tool_call>{"name": "no_such_tool", "arguments": {}}</tool_call>'),
    ("hermes", 'Write <tool_call> {"name": 5} like that.'),
    ("hermes", '<tool_call>{"name" is: "time"}</tool_call>'),
    ("hermes", 'Yes <tool_call>{"na'),
    ("hermes", "<tool_call>"),
    ("hermes", "a < b and <tool_cal is no mark"),
    ("qwen3_coder", "<tool_call>\n<function=other>\n</function>"),
    ("glm", "<tool_call>nothing known</tool_call>"),
    ("llama3", '{"a": 1} is a JSON object'),
    ("llama3", '{"name": "unknown", "parameters": {}}'),
    ("mistral", "[TOOL_CALLS] is what Mistral writes"),
    ("mistral", "[1, 2] and [TOOL_CALLS][3]"),
    ("deepseek", f"{D[0]} nothing"),
    ("granite", "<|tool_call|> nothing"),
    ("granite", '<|tool_call|>[{"name": "ti'),
    ("functionary", "<function=other>{}</function> and <function=set_lamp>no</function>"),
    ("kimi", "<|tool_calls_section_begin|> is a mark of Kimi"),
    ("kimi", KIMI.replace("set_lamp", "unknown")),
    ("deepseek_dsml", '<｜DSML｜function_calls> <｜DSML｜invoke name="other"> </｜DSML｜invoke>'),
    ("minimax", '<minimax:tool_call> <invoke name="other"> </invoke> </minimax:tool_call>'),
    ("minimax", "<minimax:tool_call> is what it writes"),
    ("minicpm", '<function name="other"></function> is what it writes'),
    ("minicpm", '<function name="set_lamp'),
    ("nemotron", "<TOOLCALL>[1, 2]</TOOLCALL>"),
    ("lfm2", "<|tool_call_start|>[other(a=1)]<|tool_call_end|>"),
    ("lfm2", '<|tool_call_start|>[set_lamp("kitchen")]<|tool_call_end|>'),
    ("lfm2", "<|tool_call_start|>[set_lamp(room=open('x'))]<|tool_call_end|>"),
    ("gemma", "<start_function_call>call:other{a:1}<end_function_call>"),
    ("gemma", "<start_function_call>call:set_lamp{room}<end_function_call>"),
    ("jamba", "<tool_calls>none today</tool_calls>"),
    ("phi4_mini", "functools[0] and functools.reduce"),
    ("phi4_mini", "<|tool_call|> nothing"),
    ("olmo3", "<function_calls>other(a=1)</function_calls>"),
    ("olmo3", "<function_calls>time() time()</function_calls>"),
    ("apertus", '<|tools_prefix|>[{"other": {}}]<|tools_suffix|>'),
    ("apertus", "<|tools_prefix|>[]<|tools_suffix|> and <|tools_prefix|>no"),
    ("internlm", "<|action_start|><|plugin|> nothing<|action_end|>"),
    ("llama3", '[{"a": 1}] is a list'),
    ("llama3", "[time()] is how one writes it"),
    ("llama3", "[1, 2, 3] is a list"),
    ("llama3", "[time, set_lamp] are my tools"),
    ("llama3", "<|python_start|>print(1)<|python_end|>"),
]


def _ids() -> Callable[[], str]:
    numbers: Iterator[int] = count()
    return lambda: f"call{next(numbers)}"


def _parse(name: str, pieces: list[str], tools: tuple[dict[str, Any], ...] = TOOLS, **more: Any) -> list[Said]:
    parser = ReplyParser(TEMPLATES[name], "", tools, _ids(), **more)
    said = [event for piece in pieces for event in parser.push(piece)]
    return said + parser.finish()


def _text(said: list[Said]) -> str:
    return "".join(piece.text for piece in said if isinstance(piece, TextDelta))


def _calls(said: list[Said]) -> list[tuple[str, Any]]:
    """Each begins with its id and name, once; its arguments are JSON."""
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for piece in said:
        if isinstance(piece, ToolCallDelta):
            if piece.name is not None:
                assert piece.index == len(names) and piece.id
                names[piece.index], arguments[piece.index] = piece.name, ""
            arguments[piece.index] += piece.arguments
    return [(names[index], json.loads(arguments[index])) for index in names]


def _written(said: list[Said]) -> list[tuple[int, str]]:
    """What was told of each call: its name and then its arguments, JSON or not."""
    told: dict[int, str] = {}
    for piece in said:
        if isinstance(piece, ToolCallDelta):
            told[piece.index] = told.get(piece.index, "") + (piece.name or "") + piece.arguments
    return sorted(told.items())


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_the_template_tells_the_format(name: str) -> None:
    assert tool_format(TEMPLATES[name]).name == name
    assert set(TEMPLATES) == set(discover("llm.tool_parsing"))


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("<|header_start|>assistant<|header_end|><|python_start|>", "llama3"),
        ("functions in the format of [func_name1(params_name1=params_value1)]", "llama3"),
        ("<|tool_call>call:<tool_call|>", "gemma"),
        ("functools[{}]", "phi4_mini"),
        ('[{"name": "tool_call_name1", "arguments": {}}]', "llama3"),
        ("<seed:tool_call><function=x><parameter=y>", "qwen3_coder"),
        ("<|start_of_role|><|tool_call|>", "granite"),
    ],
)
def test_other_templates_of_a_family(template: str, name: str) -> None:
    assert tool_format(template).name == name


def test_the_ids_of_kimi_are_kept() -> None:
    assert [piece.id for piece in _parse("kimi", [KIMI]) if isinstance(piece, ToolCallDelta) and piece.id] == [
        "functions.set_lamp:0",
        "functions.time:1",
    ]


def test_python_values_become_json() -> None:
    written = """[set_lamp(room="a\\"b]\\n", on=True, off=false, none=null, list=[1, -2.5], map={"k": (1, 2)})]"""
    assert _calls(_parse("llama3", list(written))) == [
        (
            "set_lamp",
            {"room": 'a"b]\n', "on": True, "off": False, "none": None, "list": [1, -2.5], "map": {"k": [1, 2]}},
        )
    ]


def test_gemma_nests_values() -> None:
    q = '<|"|>'
    written = (
        f"<|tool_call>call:set_lamp{{room:{q}a,}}<tool_call|>{q},more:{{list:[1,{q}x{q}],on:true}}}}<tool_call|>"
    )
    assert _calls(_parse("gemma", list(written))) == [
        ("set_lamp", {"room": "a,}<tool_call|>", "more": {"list": [1, "x"], "on": True}})
    ]


def test_a_template_that_shows_none_means_hermes() -> None:
    assert tool_format("{{ messages }}").name == "hermes"


@pytest.mark.parametrize(("name", "reply", "text", "calls"), REPLIES)
def test_calls_are_found_however_the_text_is_cut(
    name: str, reply: str, text: str, calls: list[tuple[str, dict[str, Any]]]
) -> None:
    whole = _parse(name, [reply])
    assert (_text(whole), _calls(whole)) == (text, calls)
    letters = _parse(name, list(reply))
    assert (_text(letters), _calls(letters)) == (text, calls)
    for size in (2, 3, 5, 11):
        said = _parse(name, [reply[start : start + size] for start in range(0, len(reply), size)])
        assert (_text(said), _calls(said)) == (text, calls)


@pytest.mark.parametrize(("name", "reply"), NOT_CALLS)
def test_what_only_looks_like_a_call_is_text(name: str, reply: str) -> None:
    for pieces in ([reply], list(reply)):
        said = _parse(name, pieces)
        assert _calls(said) == [] and _text(said).split() == reply.split()


@pytest.mark.parametrize(("name", "reply", "arguments"), OPEN)
def test_a_call_that_was_cut_off_stays_open(name: str, reply: str, arguments: str) -> None:
    for pieces in ([reply], list(reply)):
        said = [piece for piece in _parse(name, pieces) if isinstance(piece, ToolCallDelta)]
        assert [piece.name for piece in said if piece.name] == ["set_lamp"]
        assert "".join(piece.arguments for piece in said) == arguments


@given(st.data())
def test_a_call_is_found_wherever_it_is_cut(data: st.DataObject) -> None:
    name, reply, text, calls = data.draw(st.sampled_from(REPLIES))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(reply)), max_size=8)))
    said = _parse(name, [reply[a:b] for a, b in zip([0, *cuts], [*cuts, len(reply)], strict=True)])
    assert (_text(said), _calls(said)) == (text, calls)


@given(st.data())
def test_no_text_breaks_a_parser_or_is_cut_differently(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(TEMPLATES)))
    marks = [
        *tool_format(TEMPLATES[name]).marks,
        "set_lamp",
        "time",
        '{"name": "time"',
        "time()",
        "[time()",
        'name="time">',
        "call:time{",
        '{"name": "time", "arguments": {',
        "<parameter=room>",
        "</parameter>",
        "to=functions.time",
        "'",
        "{",
        "}",
        "[",
        "]",
        ",",
        " ",
        "\n",
        '"',
    ]
    reply = "".join(data.draw(st.lists(st.sampled_from([*marks, "a", "ü", ARGUMENTS]), max_size=12)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(reply)), max_size=6)))
    pieces = [reply[a:b] for a, b in zip([0, *cuts], [*cuts, len(reply)], strict=True)]
    whole, cut = _parse(name, [reply]), _parse(name, pieces)
    assert _text(whole).split() == _text(cut).split()
    assert _written(whole) == _written(cut)


def test_arguments_are_passed_on_while_they_are_written() -> None:
    parser = ReplyParser(TEMPLATES["hermes"], "", TOOLS, _ids())
    parser.push('<tool_call>{"name": "set_lamp", "arguments": {"room": "kit')
    assert [piece.arguments for piece in parser.push("chen") if isinstance(piece, ToolCallDelta)] == ["chen"]


def test_a_single_call_where_only_one_is_wanted() -> None:
    reply = next(reply for name, reply, _, calls in REPLIES if name == "hermes" and calls == TWO)
    assert _calls(_parse("hermes", [reply], single=True)) == ONE


def test_thoughts_come_before_calls_and_the_reason_says_so() -> None:
    parser = ReplyParser(TEMPLATES["hermes"] + "<think>", "...<think>\n", TOOLS, _ids())
    said = parser.push('hm <tool_call> no</think>\n\n<tool_call>{"name": "time"}</tool_call>') + parser.finish()
    assert isinstance(said[0], ReasoningDelta) and said[0].text == "hm <tool_call> no"
    assert _calls(said) == [("time", {})]
    assert (parser.reason("stop"), parser.reason("length")) == ("tool_calls", "length")


@pytest.mark.parametrize(("name", "reply", "text", "calls"), REPLIES)
def test_a_call_in_thoughts_that_were_never_closed_is_made(
    name: str, reply: str, text: str, calls: list[tuple[str, dict[str, Any]]]
) -> None:
    """But for bare calls, which stand at the beginning of an answer, and gpt-oss, whose thoughts are messages."""
    if name == "harmony" or (name == "llama3" and not reply.startswith("<|")):
        return
    for pieces in ([f"<think>hm {reply}"], ["<think>", "hm ", *reply]):
        said = _parse(name, pieces)
        assert _calls(said) == calls and not _text(said)


def test_thoughts_that_were_never_closed_and_hold_no_call_are_whole() -> None:
    for thought in ("hm, a lamp", "hm <tool_call> no", "hm <tool_", '<tool_call>{"name": "other"}</tool_call>'):
        said = _parse("hermes", ["<think>", *thought])
        assert all(isinstance(piece, ReasoningDelta) for piece in said)
        assert "".join(piece.text for piece in said if isinstance(piece, ReasoningDelta)) == thought


@given(st.data())
def test_a_call_that_was_only_thought_about_is_not_made(data: st.DataObject) -> None:
    name, reply, _, _ = data.draw(st.sampled_from([row for row in REPLIES if row[0] != "harmony"]))
    written = f"<think>{reply}</think>Hello."
    cuts = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=8)))
    said = _parse(name, [written[a:b] for a, b in zip([0, *cuts], [*cuts, len(written)], strict=True)])
    assert _calls(said) == [] and _text(said) == "Hello."
    assert "".join(piece.text for piece in said if isinstance(piece, ReasoningDelta)) == reply


def test_without_tools_nothing_is_a_call() -> None:
    reply = '<tool_call>{"name": "time"}</tool_call>'
    assert _parse("hermes", [reply], tools=()) == [TextDelta(reply)]
    assert marks_of(TEMPLATES["mistral"], with_tools=False) == ("<think>", "</think>")
    assert "[TOOL_CALLS]" in marks_of(TEMPLATES["mistral"], with_tools=True)


def test_which_tools_must_be_called() -> None:
    assert named_tools(TOOLS, "auto") is None and named_tools(TOOLS, None) is None
    assert named_tools(TOOLS, "required") == TOOLS
    assert named_tools(TOOLS, {"type": "function", "function": {"name": "time"}}) == (TIME,)
    for wrong in ("sometimes", {"type": "function"}, {"type": "function", "function": {"name": "other"}}):
        with pytest.raises(BadInput):
            named_tools(TOOLS, wrong)


@pytest.mark.parametrize("parameters", [{}, None, "none", []])
def test_a_tool_that_says_nothing_of_its_arguments_has_none(parameters: object) -> None:
    schema = schema_of({"function": {"name": "time", "parameters": parameters}})
    assert schema == {"type": "object", "properties": {}, "additionalProperties": False}
    assert schema_of(LAMP) == LAMP["function"]["parameters"]
