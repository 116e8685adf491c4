from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from llm.batching.assembly import TextAssembler

short = st.text(alphabet="abcé€😀", max_size=30)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


@given(short, st.lists(st.integers(0, 5), max_size=20))
def test_any_cut_of_the_bytes_gives_the_same_text(text: str, sizes: list[int]) -> None:
    assembler = TextAssembler()
    out = "".join([assembler.push(piece) for piece in cut(text.encode(), sizes)] + [assembler.finish()])
    assert out == text


@given(short, st.lists(st.text("abc€", min_size=1, max_size=5), max_size=3), st.lists(st.integers(0, 5), max_size=20))
@example("aab", ["ab"], [1, 1])
@example("xabab", ["abac"], [1, 1, 1, 1])
@example("aca", ["c", "aca"], [2])
@example("xab", ["b", "ab"], [])
def test_a_stop_string_is_found_over_any_border_and_no_part_of_it_leaks(
    text: str, stops: list[str], sizes: list[int]
) -> None:
    assembler = TextAssembler(tuple(stops))
    shown = ""
    for piece in cut(text.encode(), sizes):
        shown += assembler.push(piece)
        assert not any(stop in shown for stop in stops)
    shown += assembler.finish()
    whole = min(((text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text), default=None)
    assert shown == (text if whole is None else text[: whole[1]])
    assert assembler.stopped == (None if whole is None else text[whole[1] : whole[0]])


def test_text_is_not_held_back_longer_than_needed() -> None:
    assembler = TextAssembler(("</s>",))
    assert assembler.push(b"hello <") == "hello "
    assert assembler.push(b"b> and </") == "<b> and "
    assert assembler.push(b"s> more") == ""
    assert assembler.stopped == "</s>"
    assert assembler.push(b"even more") == "" and assembler.finish() == ""


def test_bytes_that_are_no_text_do_not_break_it() -> None:
    assembler = TextAssembler(("stop",))
    assert assembler.push(b"a\xff\xfeb") == "a\ufffd\ufffdb"
    assert assembler.push(b"\xe2\x82") == ""
    assert assembler.finish() == "\ufffd"


def test_what_was_held_comes_out_at_the_end() -> None:
    assembler = TextAssembler(("User:",))
    assert assembler.push(b"ask the Use") == "ask the "
    assert assembler.finish() == "Use"
    assert assembler.stopped is None
