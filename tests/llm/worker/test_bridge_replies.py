"""What a reply gives on its way to who reads it."""

from __future__ import annotations

import asyncio

import pytest

from llm.engine import EngineEvent, EngineFinish
from llm.errors import BackendFailed
from llm.stream import Usage
from llm.worker.bridge import Replies

END = EngineFinish("stop", Usage(1, 4))


@pytest.fixture(autouse=True)
def long_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """So long that no test waits for it, and from the second piece on."""
    monkeypatch.setattr("llm.worker.bridge.APART_S", 3600.0)
    monkeypatch.setattr("llm.worker.bridge.FIRST_PIECES", 1)


async def test_the_first_pieces_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm.worker.bridge.FIRST_PIECES", 3)
    replies = Replies(1)
    for text in ("one", " two", " three"):
        replies.put(0, EngineEvent(7, text))
        assert [taken.text for taken in await replies.take()] == [text]


async def test_pieces_close_behind_the_first_ones_come_in_one() -> None:
    replies = Replies(1)
    replies.put(0, EngineEvent(7, "one", tokens=(1,)))
    assert [taken.text for taken in await replies.take()] == ["one"]
    rest = asyncio.ensure_future(replies.take())
    for text in (" two", " three"):
        replies.put(0, EngineEvent(7, text, tokens=(1,)))
        await asyncio.sleep(0)
    assert not rest.done()
    replies.put(0, EngineEvent(7, " four", END, tokens=(1,)))
    (taken,) = await rest
    assert (taken.text, taken.tokens, taken.finish) == (" two three four", (1, 1, 1), END)
    assert replies.over


async def test_the_end_of_all_replies_and_an_error_do_not_wait() -> None:
    replies = Replies(2)
    replies.put(0, EngineEvent(7, "a", END))
    assert [taken.choice for taken in await replies.take()] == [0]
    rest = asyncio.ensure_future(replies.take())
    await asyncio.sleep(0)
    replies.put(1, EngineEvent(8, "b"))
    await asyncio.sleep(0)
    assert not rest.done()
    replies.put(1, EngineEvent(8, "c", END))
    assert [(taken.choice, taken.text) for taken in await rest] == [(1, "bc")]

    broken = Replies(2)
    broken.put(0, EngineEvent(7, "a"))
    await broken.take()
    broken.put(1, EngineEvent(8, error=BackendFailed("gone")))
    with pytest.raises(BackendFailed, match="gone"):
        await broken.take()


async def test_a_reader_that_leaves_while_it_waits_loses_nothing() -> None:
    replies = Replies(1)
    replies.put(0, EngineEvent(7, "one"))
    await replies.take()
    replies.put(0, EngineEvent(7, " two"))
    waiting = asyncio.ensure_future(replies.take())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    replies.put(0, EngineEvent(7, "", END))
    assert [taken.text for taken in await replies.take()] == [" two"]
