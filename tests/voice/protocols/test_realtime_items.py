"""Items that a Realtime client adds: pictures, and where in the conversation an item stands."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from llm.messages import ImagePart, TextPart
from tests.voice.conversation import Conversation, Delays
from tests.voice.realtime_talk import RealtimeTalk, check
from voice.protocols import realtime_lifecycle
from voice.session.incoming import AddMessage
from voice.session.outgoing import ErrorOut
from voice.turn import events as heard
from voice.turn.actions import Think
from voice.turn.history import without_images

LONG = "One sentence that takes its time. " * 6
PIXEL = base64.b64encode(b"\x89PNG not really").decode()
URL = f"data:image/png;base64,{PIXEL}"


def message(*content: dict[str, Any], id: str | None = None, role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(content), **({"id": id} if id else {})}


def text(words: str) -> dict[str, Any]:
    return {"type": "input_text", "text": words}


def prompts(talk: Conversation) -> list[Think]:
    return [action for _, action in talk.actions if isinstance(action, Think)]


def order(talk: RealtimeTalk) -> list[str]:
    """As a client keeps it: each item behind the one that it was said to stand behind."""
    found: list[str] = []
    for event in talk.events:
        if event["type"] == "conversation.item.added":
            previous = event["previous_item_id"]
            found.insert(found.index(previous) + 1 if previous else 0, event["item"]["id"])
        elif event["type"] == "conversation.item.deleted":
            found.remove(event["item_id"])
    return found


def test_what_an_assistant_said_may_be_called_any_text() -> None:
    """Pipecat adds lines of the assistant so; for it an error is the end of the conversation."""
    talk = RealtimeTalk(output_modalities=["text"])
    talk.say("conversation.item.create", item=message(text("I am here."), role="assistant"))
    [added] = talk.of("conversation.item.added")
    assert added["item"]["content"] == [{"type": "output_text", "text": "I am here."}]
    check(talk)


class TestPictures:
    def test_the_model_is_shown_them_where_they_stand(self) -> None:
        talk = RealtimeTalk(output_modalities=["text"])
        shown = {"type": "input_image", "image_url": URL, "detail": "low"}
        talk.say("conversation.item.create", item=message(text("what is this?"), shown, id="seen"))
        talk.say("response.create")
        talk.run(5.0)
        check(talk)
        asked = prompts(talk)[-1].messages[-1]
        image = ImagePart(base64.b64decode(PIXEL), "image/png", "", "low")
        assert asked.content == "what is this?" and asked.parts == (TextPart("what is this?"), image)
        (added,) = [event for event in talk.of("conversation.item.added") if event["item"]["role"] == "user"]
        assert added["item"]["content"][1] == {"type": "input_image", "detail": "low"}, "it is not given back"
        aside = {"conversation": "none", "input": [{"type": "item_reference", "id": "seen"}]}
        talk.say("response.create", response=aside)
        talk.run(9.0)
        assert prompts(talk)[-1].messages[-1].parts == asked.parts

    @pytest.mark.parametrize(
        ("url", "code"),
        [
            (None, "missing_required_parameter"),
            ("https://example.com/cat.png", "invalid_value"),
            ("data:image/png;base64,%%", "invalid_value"),
            ("data:text/html;base64,AAAA", "invalid_value"),
            ("data:image/png;base64,", "invalid_value"),
            ("file:///etc/passwd", "invalid_value"),
        ],
    )
    def test_what_is_no_picture_is_refused(self, url: str | None, code: str) -> None:
        talk = RealtimeTalk()
        part = {"type": "input_image", "image_url": url}
        talk.say("conversation.item.create", item=message(part), event_id="mine")
        (error,) = talk.errors
        assert (error["code"], error["event_id"]) == (code, "mine")
        assert error["param"] == "item.content[0].image_url" and not talk.machine.history.items

    def test_they_belong_to_users(self) -> None:
        talk = RealtimeTalk()
        part = {"type": "input_image", "image_url": URL}
        talk.say("conversation.item.create", item=message(part, role="system"))
        assert talk.errors[0]["param"] == "item.content[0].type"

    def test_there_is_an_end_of_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(realtime_lifecycle, "MAX_IMAGE_BYTES", 40)
        talk = RealtimeTalk()
        for number in range(3):
            part = {"type": "input_image", "image_url": URL}
            talk.say("conversation.item.create", item=message(part, id=f"image{number}"))
        assert [error["code"] for error in talk.errors] == ["too_many_images"]
        talk.say("conversation.item.delete", item_id="image0")
        talk.say("conversation.item.create", item=message({"type": "input_image", "image_url": URL}, id="image3"))
        assert len(talk.errors) == 1 and order(talk) == ["image1", "image3"]

    def test_a_model_that_does_not_see_is_told_that_there_was_one(self) -> None:
        talk = RealtimeTalk()
        talk.say("conversation.item.create", item=message(text("look"), {"type": "input_image", "image_url": URL}))
        (told,) = without_images((talk.machine.history.items[0].message,))
        assert told.content.startswith("look\n[An image") and not told.media


class TestOrder:
    @pytest.mark.parametrize("first", [True, False])
    def test_what_is_added_during_a_reply_stands_behind_it(self, first: bool) -> None:
        talk = RealtimeTalk(lambda asked: LONG)
        if first:
            talk.say("conversation.item.create", item=message(text("tell me"), id="first"))
        talk.say("response.create")
        talk.run(2.0)
        reply = talk.of("response.output_item.added")[0]["item"]["id"]
        talk.say("conversation.item.create", item=message(text("by the way"), id="note"))
        talk.say("conversation.item.create", item=message(text("and"), id="more"), previous_item_id=reply)
        talk.run(30.0)
        check(talk)
        assert not talk.errors
        assert order(talk) == [item.id for item in talk.machine.history.items]
        assert order(talk) == [*(["first"] if first else []), reply, "more", "note"]

    def test_a_question_that_is_deleted_takes_no_place_with_it(self) -> None:
        talk = RealtimeTalk(lambda asked: LONG)
        for name in ("one", "two"):
            talk.say("conversation.item.create", item=message(text(name), id=name))
        talk.say("response.create")
        talk.run(2.0)
        talk.say("conversation.item.delete", item_id="two")
        talk.say("conversation.item.create", item=message(text("three"), id="three"))
        talk.run(30.0)
        check(talk)
        assert order(talk) == [item.id for item in talk.machine.history.items]
        assert order(talk)[0] == "one" and order(talk)[2] == "three"

    def test_what_is_added_before_a_reply_has_a_word_stands_behind_it_too(self) -> None:
        talk = RealtimeTalk(delays=Delays(first_token=1.0))
        talk.say("conversation.item.create", item=message(text("tell me"), id="first"))
        talk.say("response.create")
        talk.say("conversation.item.create", item=message(text("by the way"), id="note"))
        talk.run(30.0)
        check(talk)
        assert order(talk) == [item.id for item in talk.machine.history.items]
        assert order(talk)[0] == "first" and order(talk)[2] == "note"

    @pytest.mark.parametrize("answers", [True, False])
    def test_spoken_words_stand_where_they_were_said(self, answers: bool) -> None:
        """Not where they were made out."""
        detection = {"type": "server_vad", "create_response": answers}
        talk = RealtimeTalk(delays=Delays(stt=2.0), audio={"input": {"turn_detection": detection}})
        talk.speak((0.5, 1.5, "hello there"))
        talk.run(2.5)
        talk.say("conversation.item.create", item=message(text("by the way"), id="note"))
        talk.run(30.0)
        check(talk)
        assert order(talk) == [item.id for item in talk.machine.history.items]
        assert order(talk)[1] == "note"

    @pytest.mark.parametrize("stt_s", [0.1, 2.0])
    @pytest.mark.parametrize("cancelled", [False, True])
    def test_turns_said_over_a_reply_stand_behind_it_in_their_order(self, stt_s: float, cancelled: bool) -> None:
        """Also where the words of the last are made out later than that was said which came behind it."""
        talk = RealtimeTalk(lambda asked: LONG, delays=Delays(stt=stt_s), audio={"input": {"turn_detection": None}})
        talk.say("conversation.item.create", item=message(text("tell me"), id="first"))
        talk.say("response.create")
        talk.run(1.0)
        for words in ("one moment", "I am not alone"):
            talk.speak((talk.now + 0.1, talk.now + 0.9, words))
            talk.append(900)
            talk.run(talk.now + 1.0)
            talk.say("input_audio_buffer.commit")
            talk.run(talk.now + 0.05)
            if stt_s < 1:
                talk.run(talk.now + 0.6)
        talk.say("conversation.item.create", item=message(text("by the way"), id="note"))
        if cancelled:
            talk.say("response.cancel")
        talk.run(40.0)
        check(talk)
        items = talk.machine.history.items
        assert order(talk) == [item.id for item in items] and items[1].message.role == "assistant"
        users = [item.message.content for item in items if item.message.role == "user"]
        assert users == ["tell me", "one moment", "I am not alone", "by the way"]

    @pytest.mark.parametrize("answers", [True, False])
    def test_a_turn_may_be_deleted_before_its_words_are_made_out(self, answers: bool) -> None:
        """The client was told of it. The model is not."""
        detection = {"type": "server_vad", "create_response": answers}
        talk = RealtimeTalk(delays=Delays(stt=2.0), audio={"input": {"turn_detection": detection}})
        talk.speak((0.5, 1.5, "my number is four"))
        talk.run(2.5)
        (item,) = order(talk)
        talk.say("conversation.item.delete", item_id=item)
        talk.say("response.create")
        talk.run(30.0)
        check(talk)
        assert not any("number" in message.content for think in prompts(talk) for message in think.messages)
        assert not talk.errors and [event["item_id"] for event in talk.of("conversation.item.deleted")] == [item]
        assert [done["response"]["status"] for done in talk.of("response.done")] == ["completed"]
        assert order(talk) == [left.id for left in talk.machine.history.items] and item not in order(talk)

    def test_a_reply_that_is_taken_back_leaves_nothing(self) -> None:
        """The user went on before a sound of it was sent; words of it had been told."""
        talk = RealtimeTalk(lambda asked: LONG, delays=Delays(first_token=0.05, tts=3.0))
        talk.speak((0.5, 1.5, "tell me"), (2.3, 3.5, "a story about the sea"))
        talk.run(40.0)
        check(talk)
        assert order(talk) == [item.id for item in talk.machine.history.items]

    def test_one_that_nobody_could_speak_is_kept_without_words(self) -> None:
        talk = RealtimeTalk(lambda asked: "Fine.", delays=Delays(tts=99.0))
        talk.say("response.create")
        talk.run(1.0)
        talk.at(1.5, heard.ClauseFailed(1, 0, "tts_failed", "dead", ""))
        talk.run(9.0)
        check(talk)
        (item,) = talk.machine.history.items
        assert order(talk) == [item.id] and not item.message.content
        assert not talk.machine.history.messages("", None, 20)


def test_a_late_complaint_names_what_the_client_asked_and_no_more_is_kept_than_the_last_requests() -> None:
    """These are taken from the codec and not given to the session, as one that is slow to answer."""
    talk = RealtimeTalk()
    causes = []
    for number in range(realtime_lifecycle.CAUSES + 1):
        asked = {"type": "conversation.item.create", "item": message(text("hi")), "event_id": f"mine_{number}"}
        (event,) = talk.codec.receive(json.dumps(asked))
        assert isinstance(event, AddMessage) and event.event_id is not None
        causes.append(event.event_id)
    for cause in (causes[0], causes[1], causes[-1]):
        talk.tell(ErrorOut("x", "no", "", event_id=cause))
    assert [error["event_id"] for error in talk.errors] == [None, "mine_1", f"mine_{realtime_lifecycle.CAUSES}"]
