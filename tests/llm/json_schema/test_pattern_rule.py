"""Patterns of JSON schemas as rules: what a rule reads is the inside of a JSON string that the pattern finds."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.json_schema.pattern_rule import pattern_rule

PATTERNS = [
    r"^\d{3}-\d{4}$",
    r"^[A-Z]{2}\d+$",
    r"^(\([0-9]{3}\))?[0-9]{3}-[0-9]{4}$",
    r"^[\w.-]+@[\w-]+\.[a-z]{2,}$",
    r"^(?:cat|dog|)s?$",
    r"^a|b$",
    r"abc",
    r"^x",
    r"y$",
    r"^.{2,4}$",
    r"^[^a-y]*$",
    r"^\S+ \W?$",
    r"^[a-z]+?\+\.\\$",
    r'^"\u00e9"[\n\t]?$',
    r"^()$",
    r"^😀+$",
    r"",
]


def _as_regex(rule: str) -> re.Pattern[str]:
    """Literals, classes, repetitions, groups and alternatives mean the same in both, but for quotes and spaces."""
    parts = re.split(r'("(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\])', rule)
    return re.compile("".join(_part(part) for part in parts), re.DOTALL)


def _part(part: str) -> str:
    if part.startswith('"'):
        return re.escape(json.loads(part))
    return part if part.startswith("[") else part.replace(" ", "").replace("{0,}", "*").replace("{1,}", "+")


@given(pattern=st.sampled_from(PATTERNS), data=st.data())
def test_what_the_rule_reads_the_pattern_finds(pattern: str, data: st.DataObject) -> None:
    rule = _as_regex(pattern_rule(pattern))
    texts = st.from_regex(re.compile(pattern, re.ASCII)) | st.text('abcsxyz019-()@. +\\"\n\té😀Z', max_size=8)
    text = data.draw(texts).removesuffix("\n")  # Python's $ stands before a last line break, too
    read = rule.fullmatch(json.dumps(text, ensure_ascii=False)[1:-1]) is not None
    found = re.search(pattern, text, re.ASCII) is not None
    assert found or not read, (pattern, text)
    if not set(text) & set('"\\\n\t\r\x0b\x0c') and text.isprintable():
        assert read == found, (pattern, text)


def test_what_has_an_escape_in_json_is_read_as_that() -> None:
    assert _as_regex(pattern_rule(r'^"\\\n$')).fullmatch(r"\"\\" + r"\n")
    assert _as_regex(pattern_rule(r"^\x01$")).fullmatch(r"\u0001")


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        (r"^(?=a)a$", "(?=...)"),
        (r"(?!a)", "(?!...)"),
        (r"(a)\1", r"\1"),
        (r"a\bb", "in the middle"),
        (r"a^b", "in the middle"),
        (r"(?i)a", "flags"),
        (r"(?i:a)", "subpattern"),
        (r"[", "cannot be read"),
        (r"\p{L}", "cannot be read"),
        (r"^a{5000}$", "2000"),
        (r"a" * 3000, "2000"),
    ],
)
def test_what_no_grammar_holds_is_told(pattern: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        pattern_rule(pattern)
