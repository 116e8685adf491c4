"""The lifecycle of a Realtime session: what is announced, in which order, and when it is over. Pure.

The turn machine is the authority on the conversation; this follows it, and answers the client. The rules:

1. Every response that was created is done once, and nothing of it follows.
2. Every item that was added is done once. A spoken turn is so when it is committed; its transcript follows.
3. Deltas add up to what their `done` says. An item holds what was heard, so an interrupted one may hold less.
4. At most one response has the floor at a time. Text that is no part of the conversation is written beside it.

`step(event)` takes what the session tells its client (a ServerEvent) and what the client asks (`Asked`); it gives
messages for the client (`Said`) and events for the session.

Why this file is long: the rules hold between all events together, and are read best in one place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from llm.messages import Message
from voice.mouth.reply_options import ReplyOptions
from voice.protocols.realtime_client import (
    AppendAudio,
    Asked,
    CancelReply,
    ClearInput,
    ClearOutput,
    CommitInput,
    CreateItem,
    CreateReply,
    DropItem,
    RealtimeClientEvent,
    RetrieveItem,
    TruncateItem,
    UpdateSession,
)
from voice.protocols.realtime_config import RealtimeSession
from voice.protocols.realtime_conversation import Items
from voice.protocols.realtime_errors import invalid
from voice.protocols.realtime_items import Part, WireItem, image_bytes, item_json, message_of, parse_item
from voice.protocols.realtime_messages import Blame, Said, error_said
from voice.protocols.realtime_replies import Replies
from voice.protocols.realtime_response import ReplyWish, parse_response
from voice.protocols.realtime_voices import Voices
from voice.session.incoming import (
    AddAudio,
    AddMessage,
    CancelResponse,
    Clear,
    ClientEvent,
    ContainerAudio,
    DeleteItem,
    EndTurn,
    Respond,
    Truncate,
    Update,
)
from voice.session.outgoing import (
    AudioOut,
    ErrorOut,
    ItemAdded,
    ItemDeleted,
    ItemTruncated,
    ReplyStarted,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    TextOut,
    ToolCallOut,
    TranscriptOut,
    TurnCommitted,
    TurnComplete,
)

__all__ = ["Lifecycle"]

SILENCE = "(The user is silent.)"
"""What the model is told of a turn without a sound."""
MIN_COMMIT_MS = 100
"""OpenAI's: less audio is no turn."""
CAUSES = 256
MAX_IMAGE_BYTES = 32 << 20
_FAULTS = ("stt_failed", "worker_died")
"""Not the client's doing, whatever it asked for."""
_OURS = {"empty_audio": "input_audio_buffer_commit_empty", "empty_request": "empty_request"}


class Lifecycle:
    """`new_id(prefix)` makes unique ids; "inf" is `max_tokens`. `session` is set when the configuration changed."""

    def __init__(
        self, session: RealtimeSession, new_id: Callable[[str], str], max_tokens: int, voices: Voices
    ) -> None:
        self.session = session
        self._voices = voices
        self._max_tokens = max_tokens
        self.conversation = new_id("conv")
        self._new_id = new_id
        self._items = Items()
        self._replies = Replies(self._items, self.conversation, new_id, lambda said: self._out.append(said), voices)
        self._drafts: dict[str, WireItem] = {}  # items of the client that the session has not taken in yet
        self._wishes: OrderedDict[str, ReplyWish] = OrderedDict()  # replies asked for that have not begun
        self._called_off: list[ReplyWish] = []  # of those, cancelled while another one was played
        self._causes: OrderedDict[str, tuple[str | None, str]] = OrderedDict()
        self._last_cause = ""
        self._buffered_ms = 0.0
        self._heard_ms = 0.0  # all audio of the session
        self._idle_since_ms: float | None = None  # where in it the last answer ended; None while something goes on
        self._spoken_s: dict[str, float] = {}
        self._speaking: set[str] = set()  # items whose speech was told to have started, and not yet to have stopped
        self._out: list[Said | ClientEvent] = []
        self._held: list[Said | ClientEvent] = []  # the end of an interrupted response, until speech started

    @property
    def is_fresh(self) -> bool:
        return not (self._heard_ms or self._drafts or self._wishes or self._replies.active or self._items.last)

    def step(self, event: ServerEvent | Asked) -> list[Said | ClientEvent]:
        """Raises RealtimeError for what the client may not ask; nothing has changed then."""
        self._out = []
        if isinstance(event, Asked):
            self._last_cause = ""
            self._ask(event.event, event.event_id)
        else:
            self._hear(event)
        return self._out

    def refused(self) -> None:
        """The session did not take what the client asked last."""
        if self._last_cause in self._causes:
            _, made = self._causes.pop(self._last_cause)
            self._drafts.pop(made, None)
            self._spoken_s.pop(made, None)
            self._wishes.pop(made, None)

    # ---- what the client asks -------------------------------------------------------------------------------

    def _ask(self, event: RealtimeClientEvent, event_id: str | None) -> None:
        match event:
            case UpdateSession():
                self._out.append(Update(event.session))
            case AppendAudio():
                self._append(event.data)
            case CommitInput():
                self._commit(event_id)
            case ClearInput():
                self._buffered_ms = 0.0
                self._out.append(Clear())
                self._say("input_audio_buffer.cleared")
            case ClearOutput():
                self._clear_output()
            case CreateItem():
                self._create_item(event, event_id)
            case RetrieveItem():
                self._say("conversation.item.retrieved", item=item_json(self._known(event.item_id, "retrieve")))
            case TruncateItem():
                self._truncate(event, event_id)
            case DropItem():
                item = self._known(event.item_id, "delete")
                if item.status == "in_progress":
                    raise invalid("The item is still being made.", "item_id", code="item_delete_in_progress")
                self._out.append(DeleteItem(item.id, self._cause(event_id)))
            case CreateReply():
                self._create_response(event, event_id)
            case CancelReply():
                self._cancel(event, event_id)

    def _append(self, data: bytes) -> None:
        ms = len(data) / self.session.input_bytes_per_ms
        self._buffered_ms += ms
        self._heard_ms += ms
        if data:
            self._out.append(ContainerAudio(data))
        timeout_ms, since_ms = self.session.idle_timeout_ms, self._idle_since_ms
        if timeout_ms is not None and since_ms is not None and self._heard_ms - since_ms >= timeout_ms:
            self._break_silence(since_ms)

    def _break_silence(self, since_ms: float) -> None:
        """Nobody spoke for long after the last answer: an empty turn is committed, and answered."""
        self._idle_since_ms, self._buffered_ms = None, 0.0
        item = WireItem(self._new_id("item"), "message", "user", (Part("input_audio", None),))
        span = {"audio_start_ms": round(since_ms), "audio_end_ms": round(self._heard_ms)}
        self._say("input_audio_buffer.timeout_triggered", **span, item_id=item.id)
        self._say("input_audio_buffer.committed", item_id=item.id, previous_item_id=self._items.last)
        self._drafts[item.id] = item
        self._out.append(AddMessage(Message("user", SILENCE), item.id, None, self._cause(None, item.id)))
        wish = ReplyWish(ReplyOptions(key=self._new_id("reply")), True, {})
        self._wishes[wish.options.key] = wish
        self._out.append(Respond(wish.options, self._cause(None, wish.options.key)))

    def _commit(self, event_id: str | None) -> None:
        if self._buffered_ms < MIN_COMMIT_MS:
            raise invalid(
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer "
                f"only has {self._buffered_ms:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        self._out.append(EndTurn(event_id=self._cause(event_id)))

    def _clear_output(self) -> None:
        active = self._replies.active
        self._say("output_audio_buffer.cleared", response_id=active.id if active else "")
        if active:
            self._out.append(CancelResponse(self._replies.reply_of(active), self._cause(None)))

    def _create_item(self, event: CreateItem, event_id: str | None) -> None:
        item = parse_item(event.item, "item", self._new_id("item"))
        if self._items.get(item.id) is not None or item.id in self._drafts:
            said = f"Error adding item: an item with id '{item.id}' already exists."
            raise invalid(said, "item.id", code="item_create_duplicate_item_id")
        previous = event.previous_item_id
        if (
            previous not in (None, "root")
            and previous not in self._drafts
            and self._items.get(previous or "") is None
        ):
            raise invalid(
                f"Error adding item: the previous item with id '{(previous or '')[:128]}' does not exist.",
                "previous_item_id",
                code="item_create_invalid_previous_item_id",
            )
        if item.type == "function_call_output" and not self._items.has_call(item.call_id, self._drafts.values()):
            raise invalid(f"There is no function call '{item.call_id}'.", "item.call_id", code="invalid_call_id")
        self._check_images(item)
        audio = b"".join(part.audio for part in item.content)
        self._drafts[item.id] = replace(item, content=tuple(replace(part, audio=b"") for part in item.content))
        behind = self._items.settled(previous)
        add = AddMessage(message_of(item), item.id, behind, self._cause(event_id, item.id))
        self._out.append(AddAudio(audio, add) if audio else add)
        if audio:
            self._spoken_s[item.id] = len(audio) / self.session.input_bytes_per_ms / 1000

    def _check_images(self, item: WireItem) -> None:
        """All that a conversation shows is kept in memory, and sent with every request."""
        size = image_bytes(item)
        kept = self._items.image_bytes + sum(map(image_bytes, self._drafts.values()))
        if size and size + kept > MAX_IMAGE_BYTES:
            raise invalid(
                f"The images of a conversation may hold {MAX_IMAGE_BYTES >> 20} MiB together.",
                "item.content",
                code="too_many_images",
                hint="delete items with images that are not needed any more",
            )

    def _truncate(self, event: TruncateItem, event_id: str | None) -> None:
        item = self._known(event.item_id, "truncate")
        if item.role != "assistant" or not item.content or item.content[0].kind != "output_audio":
            said = "Only model output audio messages can be truncated."
            raise invalid(said, "item_id", code="unsupported_content_type")
        if event.content_index >= len(item.content):
            raise invalid(f"The item has no content part {event.content_index}.", "content_index")
        length_ms = self._items.audio_ms(item.id)
        if event.audio_end_ms > length_ms + 1:
            said = f"Audio content of {length_ms:.0f}ms is already shorter than {event.audio_end_ms}ms"
            raise invalid(said, "audio_end_ms")
        self._out.append(Truncate(item.id, float(event.audio_end_ms), self._cause(event_id)))

    def _create_response(self, event: CreateReply, event_id: str | None) -> None:
        wish = parse_response(
            event.response, self._items.get, self._items.awaits_words, self._new_id, self._max_tokens
        )
        if wish.voice is not None:
            self._voices.check(wish.voice, self.session.voice, "response.audio.output.voice")
        if not wish.out_of_band(self.session.speaks):
            # Behind a response that is written and only played, one may wait: the session knows whether it is.
            if any(not other.out_of_band(self.session.speaks) for other in self._wishes.values()):
                raise invalid(
                    "Conversation already has an active response in progress, and one that waits. Wait until the "
                    "response is finished before creating a new one.",
                    code="conversation_already_has_active_response",
                )
        self._wishes[wish.options.key] = wish
        self._out.append(Respond(wish.options, self._cause(event_id, wish.options.key)))

    def _cancel(self, event: CancelReply, event_id: str | None) -> None:
        wanted = event.response_id
        found = self._replies.active if wanted is None else self._replies.find(wanted)
        # One that waits for the floor is not wanted any more either.
        waiting = [key for key, wish in self._wishes.items() if not wish.out_of_band(self.session.speaks)]
        if found is None and (wanted is not None or not waiting):
            raise invalid(
                "Cancellation failed: no active response found", "response_id", code="response_cancel_not_active"
            )
        if wanted is None:
            self._called_off += [self._wishes.pop(key) for key in waiting]
            self._end_called_off()
        reply = self._replies.reply_of(found) if found is not None and wanted is not None else None
        self._out.append(CancelResponse(reply, self._cause(event_id)))

    def _end_called_off(self) -> None:
        """One response at a time: what waited is done after what had the floor."""
        if self._replies.active is None:
            for wish in self._called_off:
                self._replies.never_began(wish, self.session)
            self._called_off.clear()

    # ---- what the session tells -----------------------------------------------------------------------------

    def _hear(self, event: ServerEvent) -> None:
        held, self._held = self._held, []
        if not isinstance(event, SpeechStarted):
            self._out += held
        match event:
            case SpeechStarted():
                self._idle_since_ms = None
                self._spoken_s[event.item] = event.at_s
                if self.session.detects_turns:
                    at_ms = round(event.at_s * 1000)
                    self._speaking.add(event.item)
                    self._say("input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=event.item)
                self._out += held
            case SpeechStopped():
                began_s = self._spoken_s.get(event.item, event.at_s)
                self._spoken_s[event.item] = max(0.0, event.at_s - began_s)
                if event.item in self._speaking:  # whatever the session is like by now
                    at_ms = round(event.at_s * 1000)
                    self._speaking.remove(event.item)
                    self._say("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=event.item)
            case TurnCommitted():
                self._committed(event)
            case TranscriptOut():
                self._transcript(event)
            case ItemAdded():
                self._item_added(event)
            case ItemDeleted():
                self._spoken_s.pop(event.item, None)
                if self._items.get(event.item) is not None:
                    self._replies.deleted(event.item)
                    self._items.delete(event.item)
                    self._say("conversation.item.deleted", item_id=event.item)
            case ItemTruncated():
                self._item_truncated(event)
            case ReplyStarted():
                self._idle_since_ms = None
                self._replies.start(event, self._wishes.pop(event.key, None), self.session)
            case TextOut():
                self._replies.text(event)
            case AudioOut():
                self._replies.audio(event)
            case ToolCallOut():
                self._replies.tool_call(event)
            case TurnComplete():
                self._replies.complete(event)
                self._end_called_off()
                if self._replies.active is None and not self._wishes:
                    self._idle_since_ms = self._heard_ms
                if event.reason == "turn_detected":
                    # OpenAI says first that speech started: its clients then still take the answer for unfinished,
                    # and tell where they stopped playing.
                    self._out, self._held = [], self._out
            case ErrorOut():
                self._error(event)
            case _:
                pass  # has no word in this API: states, wake words, the live protocol's own

    def _committed(self, event: TurnCommitted) -> None:
        self._buffered_ms = 0.0
        previous = self._items.known(event.previous)
        item = WireItem(event.item, "message", "user", (Part("input_audio", None),))
        self._say("input_audio_buffer.committed", item_id=item.id, previous_item_id=previous)
        self._announce(item, previous)
        self._items.await_words(item.id)

    def _transcript(self, event: TranscriptOut) -> None:
        item = self._items.get(event.item)
        if not event.is_final or item is None:
            return
        self._items.words_came(item.id)
        self._items.put(replace(item, content=(Part("input_audio", event.text),)))
        self._transcribed(item.id, event.text)

    def _transcribed(self, item: str, text: str) -> None:
        seconds = round(self._spoken_s.pop(item, 0.0), 3)
        if not self.session.transcribes:
            return
        place = {"item_id": item, "content_index": 0}
        kind = "conversation.item.input_audio_transcription"
        if text:
            self._say(f"{kind}.delta", **place, delta=text)
        usage = {"type": "duration", "seconds": seconds}
        self._say(f"{kind}.completed", **place, transcript=text, usage=usage)

    def _item_added(self, event: ItemAdded) -> None:
        known, draft = self._items.get(event.item.id), self._drafts.pop(event.item.id, None)
        if draft is not None:
            spoken = draft.id in self._spoken_s
            if spoken:
                draft = replace(draft, content=(Part("input_audio", event.item.message.content),))
            self._announce(draft, self._items.behind(self._items.known(event.previous)))
            if spoken:
                self._transcribed(draft.id, event.item.message.content)
            return
        self._replies.kept(event.item.id, event.item.message.content)
        if known is None and event.item.message.role == "user":
            part = Part("input_text", event.item.message.content)
            self._announce(WireItem(event.item.id, "message", "user", (part,)), self._items.known(event.previous))

    def _item_truncated(self, event: ItemTruncated) -> None:
        item = self._items.get(event.item)
        if item is None:
            return
        if item.content:
            self._items.put(replace(item, content=(replace(item.content[0], text=event.text),)))
        self._items.spoken(item.id, event.ms)
        at_ms = round(event.ms)
        self._say("conversation.item.truncated", item_id=item.id, content_index=0, audio_end_ms=at_ms)

    def _announce(self, item: WireItem, previous: str | None) -> None:
        """A new item that is complete as it is."""
        self._items.insert(item, previous)
        shown = item_json(item)
        self._say("conversation.item.added", previous_item_id=previous, item=shown)
        self._say("conversation.item.done", previous_item_id=previous, item=shown)

    # ---- small things ---------------------------------------------------------------------------------------

    def _error(self, event: ErrorOut) -> None:
        event_id, made = self._causes.pop(event.event_id, (None, "")) if event.event_id else (None, "")
        self._drafts.pop(made, None)
        self._spoken_s.pop(made, None)
        self._wishes.pop(made, None)
        item = self._items.get(event.item)
        if item is not None and item.role == "user" and self.session.transcribes:
            error = {"type": "transcription_error", "code": event.code, "message": event.message, "param": None}
            kind = "conversation.item.input_audio_transcription.failed"
            self._say(kind, item_id=item.id, content_index=0, error=error)
        asked = (bool(event.event_id) and event.code not in _FAULTS) or event.code in _OURS
        message = f"{event.message} ({event.hint})" if event.hint else event.message
        blamed: Blame = "invalid_request_error" if asked else "server_error"
        self._out.append(error_said(blamed, _OURS.get(event.code, event.code), message, event_id=event_id))

    def _known(self, id: str, doing: str) -> WireItem:
        item = self._items.get(id)
        if item is None:
            raise invalid(
                f"Error trying to {doing} item: item with id '{id[:128]}' does not exist.",
                "item_id",
                code=f"item_{doing}_invalid_item_id",
            )
        return item

    def _cause(self, event_id: str | None, made: str = "") -> str:
        """A name for what is asked of the session, so that its complaint finds the client's name for it."""
        name = self._new_id("cause")
        self._causes[name] = (event_id, made)
        self._last_cause = name
        while len(self._causes) > CAUSES:
            self._causes.popitem(last=False)
        return name

    def _say(self, type: str, **body: Any) -> None:
        self._out.append(Said(type, body))
