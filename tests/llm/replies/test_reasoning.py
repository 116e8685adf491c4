from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.replies.reasoning import THINK, ReasoningSplitter, Thoughts, opened_by, thoughts_of
from llm.stream import ReasoningDelta, TextDelta


def split(pieces: list[str], inside: bool = False, thoughts: Thoughts = THINK) -> tuple[str, str]:
    """(thought, said)"""
    splitter = ReasoningSplitter(inside, thoughts)
    events = [event for piece in pieces for event in splitter.push(piece)] + splitter.finish()
    assert all(event.text for event in events)
    thought = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    return thought, "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize(
    ("text", "inside", "thought", "said"),
    [
        ("Hello.", False, "", "Hello."),
        (" Hello.", False, "", " Hello."),
        ("<think>\nhm\n</think>\n\nHello.", False, "\nhm\n", "Hello."),
        ("\n<think></think>Hello.", False, "", "Hello."),
        ("hm</think>\nHello.", True, "hm", "Hello."),
        ("hm", True, "hm", ""),
        ("<thin", False, "", "<thin"),
        ("<think>a < b </th", False, "a < b </th", ""),
        ("I <think> not </think>.", False, "", "I <think> not </think>."),
        ("<think>a</think> b <think>c</think>", False, "a", "b <think>c</think>"),
        ("<think>a</think>\n \n", False, "a", ""),
        ("", False, "", ""),
    ],
)
def test_what_is_thought_and_what_is_said(text: str, inside: bool, thought: str, said: str) -> None:
    assert split([text], inside) == (thought, said)
    assert split(list(text), inside) == (thought, said)


@pytest.mark.parametrize(
    ("template", "text", "thought", "said"),
    [
        ("<|channel>thought", "<|channel>thought\nhm<channel|>Hello.", "hm", "Hello."),
        ("<|channel>thought", "<|channel>thought\n<channel|>Hello.", "", "Hello."),
        ("<|channel>thought", "<|channel>thoughtful<channel|>Hello.", "thoughtful", "Hello."),
        ("<|channel>thought", "thought\nHello.", "", "thought\nHello."),
        ("'<|inner_prefix|>'", "<|inner_prefix|>hm<|inner_suffix|>Hello.", "hm", "Hello."),
        ("<seed:think>", "<seed:think>hm</seed:think>Hello.", "hm", "Hello."),
    ],
)
def test_marks_of_other_families(template: str, text: str, thought: str, said: str) -> None:
    assert split([text], thoughts=thoughts_of(template)) == (thought, said)
    assert split(list(text), thoughts=thoughts_of(template)) == (thought, said)


@given(
    st.lists(st.sampled_from(["<", "think", ">", "</", "a", "\n", "<think>", "</think>"]), max_size=12), st.booleans()
)
def test_any_cut_gives_the_same(pieces: list[str], inside: bool) -> None:
    whole = "".join(pieces)
    assert split(pieces, inside) == split([whole], inside) == split(list(whole), inside)


def test_text_is_said_at_once_when_it_cannot_be_a_block() -> None:
    splitter = ReasoningSplitter()
    assert splitter.push("H") == [TextDelta("H")]
    assert splitter.push("<think>") == [TextDelta("<think>")]


def test_templates_that_open_the_block() -> None:
    assert opened_by("<|im_start|>assistant\n<think>\n")
    assert not opened_by("<|im_start|>assistant\n<think>\n\n</think>\n\n")
