from __future__ import annotations

from datetime import UTC, datetime

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


def test_thinking_is_the_templates_own_choice_unless_said() -> None:
    source = "{{ 'default' if enable_thinking is not defined else enable_thinking }}"
    template = ChatTemplate(source)
    assert [template.render(TALK, (), NOW, thinking) for thinking in (None, False, True)] == [
        "default",
        "False",
        "True",
    ]


def test_models_without_a_template() -> None:
    assert fallback(lambda token: token.startswith("<|im_"), "", "").source == CHATML
    plain = fallback(lambda _: False, "", "")
    assert plain.render(TALK[:2], (), NOW) == "System: Be kind.\nUser: hi <b>\nAssistant:"
    assert "\nUser:" in plain.stop
