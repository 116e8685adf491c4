from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from llm.chat_template import CHATML, ChatTemplate, fallback
from llm.messages import Message, ToolCall
from models.errors import BadInput, ModelUnreadable

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TALK = (
    Message("system", "Be kind."),
    Message("user", "hi <b>"),
    Message("assistant", "hello"),
    Message("user", "bye"),
)


def render(source: str, *messages: Message, tools: tuple[dict[str, object], ...] = ()) -> str:
    return ChatTemplate(source, bos="<s>", eos="</s>").render(messages or TALK, tools, NOW)


def test_chatml() -> None:
    assert render(CHATML, *TALK[:2]) == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nhi <b><|im_end|>\n<|im_start|>assistant\n"
    )


def test_what_templates_of_model_files_use() -> None:
    source = (
        "{{ bos_token }}{{ strftime_now('%Y-%m-%d') }}\n"
        "{%- for m in messages %}\n"
        "  {%- if m.role == 'assistant' %}{% continue %}{% endif %}\n"
        "  {% generation %}{{ m | tojson }}{% endgeneration %}\n"
        "{%- endfor %}{{ eos_token }}"
    )
    text = render(source)
    assert text.startswith('<s>2026-11-21{"role": "system", "content": "Be kind."}')
    assert "hi <b>" in text and "hello" not in text and text.endswith("</s>")


def test_a_template_of_its_own_for_tools() -> None:
    own = "{% for m in messages %}{{ m.role }}{% endfor %}<tools>{{ tools | tojson }}</tools><tool_call>"
    template = ChatTemplate(CHATML, "<s>", "</s>", tool_use=own)
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    assert template.render(TALK[:2], (), NOW) == render(CHATML, *TALK[:2])
    assert template.render(TALK[:2], (tool,), NOW).startswith('systemuser<tools>[{"type": "function"')
    called = Message("assistant", "", (ToolCall("c1", "f", "{}"),))
    result = Message("tool", "7", tool_call_id="c1")
    assert template.render((*TALK[:2], called, result), (), NOW).startswith("systemuserassistanttool<tools>")
    assert "<tool_call>" in template.shown and "im_start" in template.shown


def test_developer_is_system() -> None:
    assert render(CHATML, Message("developer", "x")).startswith("<|im_start|>system\nx")


def test_a_template_without_system_gets_it_in_the_first_user_message() -> None:
    source = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for m in messages %}{{ m.role }}={{ m.content }};{% endfor %}"
    )
    assert render(source) == "user=Be kind.\n\nhi <b>;assistant=hello;user=bye;"


def test_a_refusal_says_the_templates_own_words() -> None:
    with pytest.raises(BadInput, match="no cats") as caught:
        render("{{ raise_exception('no cats') }}")
    assert caught.value.param == "messages"


@pytest.mark.parametrize("source", ["{{ messages[99].content.x }}", "{{ 1 / 0 }}", "{{ messages + 1 }}"])
def test_a_broken_template_is_an_error_and_no_crash(source: str) -> None:
    with pytest.raises(BadInput):
        render(source)


def test_a_hostile_template_cannot_leave_the_sandbox() -> None:
    with pytest.raises(BadInput):
        render("{{ ''.__class__.__mro__[1].__subclasses__() }}")


def test_no_template_at_all() -> None:
    with pytest.raises(ModelUnreadable):
        ChatTemplate("{% for %}")


def test_tools_and_their_calls_reach_the_template() -> None:
    tool = {"type": "function", "function": {"name": "lamp"}}
    call = Message("assistant", "", tool_calls=(ToolCall("c1", "lamp", '{"on": true}'),))
    result = Message("tool", "done", tool_call_id="c1")
    head = "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}|"
    calls = "{%% for m in messages %%}{%% for c in m.tool_calls %%}{{ %s }}{%% endfor %%}{%% endfor %%}"
    as_object = calls % "c.function.arguments | tojson"
    as_text = calls % "c.function.arguments"
    assert render(head + as_object, call, result, tools=(tool,)) == 'lamp|{"on": true}'
    assert render(head + as_text, call, result) == '|{"on": true}'
    broken = Message("assistant", "", tool_calls=(ToolCall("c1", "lamp", "{on"),))
    assert render(as_object, broken) == '"{on"'
    assert render("{% for m in messages %}{{ m.tool_call_id }}{% endfor %}", result) == "c1"


def calls(*names: str) -> Message:
    return Message("assistant", "", tuple(ToolCall(f"call_{n}_0123456789", n, '{"on": true}') for n in names))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("{% set given = c.function.arguments %}{% for k, v in given.items() %}{{ k }}{% endfor %}", "on"),  # GLM
        ("{{ c.function | tojson }}", '{"name": "lamp", "arguments": {"on": true}}'),  # Mistral
        ("{% set f = c.function %}{{ f.arguments | tojson }}", '{"on": true}'),  # DeepSeek V3.1
        ("{{ '{' + c.function.arguments + '}' }}", '{{"on": true}}'),  # Functionary 3.2
        ("{{ c.function.arguments }}", '{"on": true}'),  # DeepSeek R1
        ("{% if c.function.arguments is not mapping %}{{ raise_exception('a mapping') }}{% endif %}", ""),  # Gemma 4
    ],
)
def test_arguments_are_what_the_template_needs(written: str, shown: str) -> None:
    source = f"{{% for m in messages %}}{{% for c in m.tool_calls %}}{written}{{% endfor %}}{{% endfor %}}"
    assert render(source, calls("lamp")) == shown


def test_a_template_that_knows_one_call_a_message_gets_them_one_by_one() -> None:
    source = (
        "{% for m in messages %}{% if m.tool_calls %}"
        "{% if m.tool_calls | length > 1 %}{{ raise_exception('single tool-calls only') }}{% endif %}"
        "{{ m.content }}[{{ m.tool_calls[0].function.name }}]{% else %}{{ m.role }}:{{ m.content }};{% endif %}"
        "{% endfor %}"
    )
    two = calls("lamp", "time")
    results = [Message("tool", f"{c.name} done", tool_call_id=c.id) for c in reversed(two.tool_calls)]
    asked = Message("user", "both")
    assert render(source, asked, two, *results) == "user:both;[lamp]tool:lamp done;[time]tool:time done;"


def test_ids_of_other_servers_become_what_mistral_wants() -> None:
    source = (
        "{% for m in messages %}{% for c in m.tool_calls %}{% if c.id | length != 9 %}"
        "{{ raise_exception('nine letters') }}{% endif %}{{ c.id }}{% endfor %}{{ m.tool_call_id }} {% endfor %}"
    )
    call = calls("lamp")
    first, second = render(source, call, Message("tool", "done", tool_call_id=call.tool_calls[0].id)).split()
    assert first == second and len(first) == 9 and first.isalnum()
    kept = Message("assistant", "", (ToolCall("abcdef123", "lamp", "{}"),))
    assert render(source, kept) == "abcdef123 "


def test_earlier_thoughts_reach_the_template_and_are_left_out_where_it_refuses_them() -> None:
    thought = Message("assistant", "said", extra={"reasoning_content": "hm"})
    assert (
        render("{% for m in messages %}{{ m.reasoning_content }}|{{ m.reasoning }}{% endfor %}", thought) == "hm|hm"
    )
    picky = (
        "{% for m in messages %}{% if m.content and m.thinking %}{{ raise_exception('one of them') }}{% endif %}"
        "{{ m.content }}{% endfor %}"
    )
    assert render(picky, thought) == "said"
    assert "thinking" not in render(
        "{{ messages | tojson }}", thought, Message("user", "x", extra={"reasoning": "no"})
    )


def test_further_names_of_the_template() -> None:
    template = ChatTemplate("Reasoning: {{ reasoning_effort | default('medium') }} {{ builtin_tools }}")
    assert template.render(TALK, (), NOW, {"reasoning_effort": "high", "builtin_tools": 3}) == "Reasoning: high 3"
    assert template.render(TALK, (), NOW, {"enable_thinking": False}) == "Reasoning: low "
    with pytest.raises(BadInput) as caught:
        template.render(TALK, (), NOW, {"messages": []})
    assert caught.value.param == "chat_template_kwargs"


def test_templates_may_change_their_own_copies_only() -> None:
    tool = {"type": "function", "function": {"name": "lamp", "parameters": {"type": "object"}}}
    source = (
        "{% set seen = [] %}{% set _ = seen.append(1) %}{% set _ = tools[0].function.parameters.update({'a': 1}) %}"
        "{{ seen | tojson(separators=(',', ':')) }}"
    )
    assert render(source, tools=(tool,)) == "[1]"
    assert tool["function"] == {"name": "lamp", "parameters": {"type": "object"}}


def test_a_template_that_never_ends_is_an_error() -> None:
    with pytest.raises(BadInput, match="never ends"):
        render("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}")


@pytest.mark.parametrize("trim", ["", " | trim"])
def test_a_reply_may_go_on_with_the_last_message(trim: str) -> None:
    source = CHATML.replace("m.content", f"(m.content{trim})")
    told = {"continue_final_message": True}
    begun = Message("assistant", " Sure, said he. Sure, s")
    text = ChatTemplate(source).render((Message("user", "s"), begun), (), NOW, told)
    assert text.endswith("<|im_start|>assistant\n" + begun.content.removeprefix(" " if trim else ""))
    spaced = ChatTemplate(source).render((Message("user", "s"), Message("assistant", "a ")), (), NOW, told)
    assert spaced.endswith("\na" if trim else "\na ")
    for last in (Message("user", "x"), Message("assistant", " ")):
        with pytest.raises(BadInput) as caught:
            ChatTemplate(source).render((last,), (), NOW, told)
        assert caught.value.param == "continue_final_message"


def test_thinking_is_the_templates_own_choice_unless_said() -> None:
    source = "{{ 'default' if enable_thinking is not defined else enable_thinking }}"
    template = ChatTemplate(source)
    told: list[dict[str, Any]] = [{}, {"enable_thinking": False}, {"enable_thinking": True}]
    assert [template.render(TALK, (), NOW, variables) for variables in told] == [
        "default",
        "False",
        "True",
    ]


def test_models_without_a_template() -> None:
    assert fallback(lambda token: token.startswith("<|im_"), "", "").source == CHATML
    plain = fallback(lambda _: False, "", "")
    assert plain.render(TALK[:2], (), NOW) == "System: Be kind.\nUser: hi <b>\nAssistant:"
    assert "\nUser:" in plain.stop
