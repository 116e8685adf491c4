"""Replies about items by their id, such as a transcript by the language model of what was just said."""

from __future__ import annotations

from typing import Any

from tests.voice.conversation import Delays
from tests.voice.realtime_talk import RealtimeTalk, check
from voice.turn.actions import Think

SLOW = Delays(stt=1.0)


def _spoken(words: str = "turn it off", **options: Any) -> tuple[RealtimeTalk, str]:
    """The user's turn is committed, and its words are not known yet."""
    detection = {"type": "server_vad", "create_response": False}
    talk = RealtimeTalk(lambda asked: f"<{asked}>", audio={"input": {"turn_detection": detection}}, **options)
    talk.speak((0.5, 1.5, words))
    while not talk.of("input_audio_buffer.committed"):
        talk.run(talk.now + 0.1)
    return talk, talk.of("input_audio_buffer.committed")[0]["item_id"]


def _about(item: str, **options: Any) -> dict[str, Any]:
    aside = {"conversation": "none", "output_modalities": ["text"], "metadata": {"about": "it"}}
    return {**aside, "input": [{"type": "item_reference", "id": item}], **options}


def test_a_reply_about_what_was_just_said_waits_for_its_words() -> None:
    talk, item = _spoken(delays=SLOW)
    talk.say("response.create", response=_about(item))
    talk.say("response.create", response=_about(item, metadata=7), event_id="wrong")
    assert [error["event_id"] for error in talk.errors] == ["wrong"], "what is wrong is told at once"
    talk.run(10)
    [asked] = [action.messages for _, action in talk.actions if isinstance(action, Think)]
    assert [(message.role, message.content) for message in asked[-1:]] == [("user", "turn it off")]
    [done] = talk.of("response.done")
    assert done["response"]["metadata"] == {"about": "it"} and done["response"]["status"] == "completed"
    check(talk)


def test_there_were_no_words() -> None:
    talk, item = _spoken("", delays=SLOW)
    talk.say("response.create", response=_about(item), event_id="mine")
    talk.run(10)
    assert [(error["code"], error["event_id"]) for error in talk.errors] == [("item_not_found", "mine")]
    assert not talk.of("response.created")
    check(talk)


def test_one_that_would_have_been_spoken_is_cancelled_while_it_waits() -> None:
    talk, item = _spoken(delays=SLOW)
    talk.say("response.create", response=_about(item, output_modalities=["audio"]))
    talk.say("response.cancel")
    talk.run(10)
    assert [done["response"]["status"] for done in talk.of("response.done")] == ["cancelled"]
    assert not talk.errors and not [action for _, action in talk.actions if isinstance(action, Think)]
    check(talk)


def test_so_many_wait_and_no_more() -> None:
    talk, item = _spoken(delays=SLOW)
    for number in range(6):
        talk.say("response.create", response=_about(item), event_id=f"e{number}")
    talk.run(10)
    assert [(error["code"], error["event_id"]) for error in talk.errors] == [
        ("too_many_responses", "e4"),
        ("too_many_responses", "e5"),
    ]
    assert len(talk.of("response.done")) == 4
    check(talk)
