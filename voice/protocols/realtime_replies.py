"""Responses of a Realtime session on their way out: output items, content parts, deltas, and the end of them. Pure.

Every response that was created is done once, and nothing of it follows; deltas add up to what their `done` says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from voice.protocols.realtime_config import RealtimeSession
from voice.protocols.realtime_conversation import Items
from voice.protocols.realtime_items import WireItem, item_json
from voice.protocols.realtime_messages import Response, Said, response_json, usage_json
from voice.protocols.realtime_response import ReplyWish
from voice.protocols.realtime_voices import Voices
from voice.session.outgoing import AudioOut, ReplyStarted, TextOut, ToolCallOut, TurnComplete

__all__ = ["Replies"]


class Replies:
    """`emit` takes what is said; `items` is the conversation that the client knows."""

    def __init__(
        self,
        items: Items,
        conversation: str,
        new_id: Callable[[str], str],
        emit: Callable[[Said], None],
        voices: Voices,
    ) -> None:
        self._voices = voices
        self._items, self._conversation, self._new_id, self._emit = items, conversation, new_id, emit
        self._responses: dict[str, Response] = {}

    @property
    def active(self) -> Response | None:
        """The response that has the floor: part of the conversation, or spoken beside it. Others run beside it."""
        held = (one for one in self._responses.values() if one.conversation is not None or one.spoken)
        return next(held, None)

    def find(self, response_id: str) -> Response | None:
        return next((one for one in self._responses.values() if one.id == response_id), None)

    def reply_of(self, response: Response) -> str:
        """The session's name for it."""
        return next(reply for reply, one in self._responses.items() if one is response)

    def kept(self, item: str, heard: str) -> None:
        """The session has put the words of a response into the conversation."""
        for response in self._responses.values():
            if response.item == item:
                response.heard = heard

    def deleted(self, item: str) -> None:
        """It is about to be taken out of the conversation."""
        for response in self._responses.values():
            if response.after == item:
                response.after = self._items.before(item)

    def start(self, event: ReplyStarted, wish: ReplyWish | None, session: RealtimeSession) -> None:
        belongs = wish.in_conversation if wish is not None else bool(event.item)
        response = Response(
            self._new_id("resp"),
            event.item or self._new_id("item"),
            event.spoken,
            self._conversation if belongs else None,
            session.response_shape(event.spoken, wish.fields if wish is not None else {}),
        )
        response.after = self._items.known(event.previous)
        self._responses[event.reply] = response
        self._say("response.created", response=response_json(response))

    def never_began(self, wish: ReplyWish, session: RealtimeSession) -> None:
        """It was asked for, and cancelled while it waited. With OpenAI it had begun: who asked waits for its end."""
        spoken = session.speaks if wish.options.spoken is None else wish.options.spoken
        response = Response(
            self._new_id("resp"),
            "",
            spoken,
            self._conversation if wish.in_conversation else None,
            session.response_shape(spoken, wish.fields),
        )
        self._say("response.created", response=response_json(response))
        response.status = "cancelled"
        details = {"type": "cancelled", "reason": "client_cancelled"}
        self._say("response.done", response=response_json(response, details, usage_json(0, 0)))

    def text(self, event: TextOut) -> None:
        response = self._responses.get(event.reply)
        if response is None or not event.text:
            return
        self._open_message(response)
        response.text += event.text
        kind = "output_audio_transcript" if response.spoken else "output_text"
        self._say(f"response.{kind}.delta", **response.place, delta=event.text)

    def audio(self, event: AudioOut) -> None:
        response = self._responses.get(event.reply)
        if response is None or response.audio_done:
            return
        if len(event.pcm):
            self._open_message(response)
            self._voices.spoke(response.voice)
            response.audio_ms += len(event.pcm) * 1000 / event.rate_hz
            self._items.spoken(response.item, response.audio_ms)
        if len(event.pcm) or event.is_last:
            self._emit(Said("response.output_audio.delta", response.place, event, response.format))
        if event.is_last and response.message_at is not None:
            self._audio_done(response)

    def _audio_done(self, response: Response) -> None:
        response.audio_done = True
        self._say("response.output_audio.done", **response.place)
        self._say("response.output_audio_transcript.done", **response.place, transcript=response.text)

    def _open_message(self, response: Response) -> None:
        if response.message_at is not None:
            return
        response.message_at = len(response.output)
        item = WireItem(response.item, "message", "assistant", (), "in_progress")
        response.output.append(item)
        self._item_begins(response, item)
        part = response.part()
        self._say("response.content_part.added", **response.place, part=part)

    def _item_begins(self, response: Response, item: WireItem) -> None:
        at = response.output.index(item)
        self._say("response.output_item.added", response_id=response.id, output_index=at, item=item_json(item))
        if response.conversation is not None:
            previous, response.after = response.after, item.id
            # its content is there before it is done: a client may ask for it, or cut it
            whole = response.words("", "in_progress") if item.type == "message" else item
            self._items.insert(whole, previous)
            self._say("conversation.item.added", previous_item_id=previous, item=item_json(item))

    def _item_ends(self, response: Response, at: int, item: WireItem) -> None:
        response.output[at] = item
        self._say("response.output_item.done", response_id=response.id, output_index=at, item=item_json(item))
        if response.conversation is not None:
            previous = self._items.before(item.id)
            if self._items.get(item.id) is not None:
                self._items.put(item)
            self._say("conversation.item.done", previous_item_id=previous, item=item_json(item))

    def tool_call(self, event: ToolCallOut) -> None:
        response = self._responses.get(event.reply)
        if response is None:
            return
        call = WireItem(
            event.item or self._new_id("item"), "function_call", None, (), "in_progress", event.name, event.call_id
        )
        at = len(response.output)
        response.output.append(call)
        self._item_begins(response, call)
        place = {"response_id": response.id, "item_id": call.id, "output_index": at, "call_id": call.call_id}
        if event.arguments:
            self._say("response.function_call_arguments.delta", **place, delta=event.arguments)
        self._say("response.function_call_arguments.done", **place, name=call.name, arguments=event.arguments)
        self._item_ends(response, at, replace(call, status="completed", text=event.arguments))

    def complete(self, event: TurnComplete) -> None:
        response = self._responses.pop(event.reply, None)
        if response is None:
            return
        whole = event.status == "completed"
        if response.heard is not None:
            self._open_message(response)  # cut off before its first word, and part of the conversation all the same
        if response.message_at is not None:
            if not response.spoken:
                self._say("response.output_text.done", **response.place, text=response.text)
            elif not response.audio_done:
                self._audio_done(response)
            self._say("response.content_part.done", **response.place, part=response.part())
            text = response.text if whole else event.heard_transcript
            self._item_ends(
                response, response.message_at, response.words(text, "completed" if whole else "incomplete")
            )
        response.status = event.status
        details: dict[str, Any] | None = None
        if event.status == "failed":
            error = {"type": "server_error", "code": event.reason, "message": "The answer could not be made."}
            details = {"type": "failed", "error": error}
        elif not whole:
            details = {"type": event.status, "reason": event.reason or None}
        self._say(
            "response.done", response=response_json(response, details, usage_json(event.tokens_in, event.tokens_out))
        )
        self._say("rate_limits.updated", rate_limits=[])

    def _say(self, type: str, **body: Any) -> None:
        self._emit(Said(type, body))
