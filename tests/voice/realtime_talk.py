"""A Realtime client on a virtual clock: the real codec and lifecycle around a real turn machine with scripted parts.

What the server sends is kept as decoded JSON, checked against the types of the stock OpenAI SDK.
"""

from __future__ import annotations

import base64
import itertools
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from llm.messages import ToolCall
from models.errors import ParleyError
from tests.voice.conversation import Conversation, Delays
from voice.protocols.realtime import RealtimeCodec
from voice.protocols.realtime_config import RealtimeSession
from voice.protocols.realtime_schema import Kind
from voice.protocols.realtime_voices import Voices
from voice.session import incoming
from voice.session.outgoing import ServerEvent
from voice.settings import VoiceSettings
from voice.turn import events as heard
from voice.turn.actions import Action, Tell

SETTINGS = VoiceSettings()
UNHURRIED = Delays()
SERVER_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
logging.getLogger("openai").setLevel(logging.WARNING)


class RealtimeTalk(Conversation):
    """`say(...)` is the client's event; `sent` is what it received, as (time, event)."""

    def __init__(
        self,
        answer: Callable[[str], str | tuple[str | ToolCall, ...]] | None = None,
        *,
        kind: Kind = "realtime",
        beta: bool = False,
        delays: Delays = UNHURRIED,
        voices: Voices | None = None,
        **session: Any,
    ) -> None:
        self.sent: list[tuple[float, dict[str, Any]]] = []
        numbers = itertools.count(1)
        wished = RealtimeSession.new(kind, "default", SETTINGS)
        if session:
            wished = wished.changed(session, SETTINGS)
        config = wished.config("", SETTINGS)
        self.codec = RealtimeCodec(
            config,
            wished,
            SETTINGS,
            session_id="sess_1",
            expires_at=1,
            new_id=lambda prefix: f"{prefix}_{next(numbers)}",
            beta=beta,
            voices=voices,
        )
        self.beta = beta
        if answer is None:
            super().__init__(config=config, delays=delays)
        else:
            super().__init__(answer=answer, config=config, delays=delays)
        self._write(self.codec.opened("token"))

    # ---- the client -----------------------------------------------------------------------------------------

    def say(self, type: str, **fields: Any) -> None:
        self.put(json.dumps({"type": type, **fields}))

    def put(self, frame: str | bytes) -> None:
        try:
            for said in self.codec.receive(frame):
                if callable(said):
                    self._write([said])
                else:
                    self._take(said)
        except ParleyError as error:
            self._write(self.codec.complain(error))

    def append(self, ms: int) -> None:
        self.say("input_audio_buffer.append", audio=base64.b64encode(bytes(48 * ms)).decode())

    def _take(self, event: incoming.ClientEvent) -> None:
        """What voice/session/session.py does with it."""
        match event:
            case incoming.ContainerAudio():
                return  # the ears are scripted
            case incoming.EndTurn(event_id=event_id):
                self._step(heard.Committed(self.heard_s, event_id))
            case incoming.Clear():
                self._step(heard.Cleared(self.heard_s))
            case incoming.Update(fields=fields):
                config = self.codec.apply(fields)
                self.codec.config = config
                self._step(heard.ConfigChanged(config))
                self._write(self.codec.updated("token"))
            case _:
                self._step(event)  # type: ignore[arg-type]

    # ---- the server -----------------------------------------------------------------------------------------

    def _do(self, action: Action) -> None:
        super()._do(action)
        if isinstance(action, Tell):
            self.tell(action.event)

    def tell(self, event: ServerEvent) -> None:
        self._write(self.codec.tell(event))

    def _write(self, drafts: Any) -> None:
        for draft in drafts:
            for frame in draft():
                event = json.loads(frame)
                if not self.beta:
                    SERVER_EVENT.validate_python(event)
                self.sent.append((self.now if hasattr(self, "now") else 0.0, event))

    # ---- what can be asked of it ----------------------------------------------------------------------------

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for _, event in self.sent]

    def of(self, type: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == type]

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [event["error"] for event in self.of("error")]


def check(talk: RealtimeTalk, *, settled: bool = True) -> None:
    """The rules of the lifecycle, over everything that was sent. `settled`: time was given for all to end."""
    events = talk.events
    assert events[0]["type"] == "session.created"
    ids = [event["event_id"] for event in events]
    assert len(set(ids)) == len(ids)
    _check_responses(events, settled)
    _check_items(events, settled)


def _check_responses(events: list[dict[str, Any]], settled: bool) -> None:
    active: dict[str, dict[str, Any]] = {}
    over: set[str] = set()
    for event in events:
        kind = event["type"]
        if kind == "response.created":
            response = event["response"]
            assert response["id"] not in active and response["id"] not in over, "created twice"
            assert response["status"] == "in_progress" and response["output"] == []
            active[response["id"]] = response
            floor = [one for one in active.values() if one["conversation_id"] or "audio" in one["output_modalities"]]
            assert len(floor) <= 1, "two responses at a time"
        elif kind == "response.done":
            response = event["response"]
            assert active.pop(response["id"], None) is not None, "done and never created, or done twice"
            over.add(response["id"])
            assert response["status"] in ("completed", "cancelled", "incomplete", "failed")
            assert (response["status"] == "completed") == (response["status_details"] is None)
            assert all(item["status"] != "in_progress" for item in response["output"])
        elif kind.startswith("response."):
            assert event["response_id"] in active, f"{kind} of a response that is not active"
    assert not (settled and active), "created and never done"
    for id in over:
        _check_response([event for event in events if event.get("response_id") == id], id, events)


def _check_response(own: list[dict[str, Any]], id: str, events: list[dict[str, Any]]) -> None:
    added = [(event["output_index"], event["item"]["id"]) for event in own if event["type"].endswith("item.added")]
    done = [(event["output_index"], event["item"]["id"]) for event in own if event["type"].endswith("item.done")]
    assert sorted(added) == sorted(done) and len(set(added)) == len(added)
    assert sorted(index for index, _ in added) == list(range(len(added)))
    deltas: defaultdict[tuple[str, str], str] = defaultdict(str)
    finished: dict[tuple[str, str], str] = {}
    parts: dict[str, int] = defaultdict(int)
    for event in own:
        name, _, verb = event["type"].rpartition(".")
        place = (name, event.get("item_id", ""))
        if verb == "delta":
            assert place not in finished, "a delta after its done"
            deltas[place] += event["delta"] if "audio.delta" not in event["type"] else ""
        elif name == "response.content_part":
            parts[event["item_id"]] += 1 if verb == "added" else -1
            if verb == "done":
                part = event["part"]
                said = part.get("transcript", part.get("text"))
                assert said == finished[
                    ("response.output_audio_transcript" if part["type"] == "audio" else "response.output_text",
                     event["item_id"])
                ]  # fmt: skip
        elif verb == "done" and name != "response.output_item":
            assert place not in finished
            finished[place] = event.get("transcript", event.get("text", event.get("arguments", "")))
    assert not any(parts.values())
    assert {place: text for place, text in deltas.items()} == {place: finished[place] for place in deltas}
    [whole] = [
        event["response"] for event in events if event["type"] == "response.done" and event["response"]["id"] == id
    ]
    assert [item["id"] for item in whole["output"]] == [item for _, item in sorted(added)]
    for item in whole["output"]:
        if item["type"] == "message":
            [content] = item["content"]
            told = "".join(text for (_, of), text in finished.items() if of == item["id"])
            held = content.get("transcript", content.get("text"))
            assert told.strip().startswith(held.strip()), "an item holds what was never told"


def _check_items(events: list[dict[str, Any]], settled: bool) -> None:
    known: list[str] = []
    open_items: set[str] = set()
    speech = Counter(event["item_id"] for event in events if event["type"].endswith("speech_started"))
    ended = Counter(event["item_id"] for event in events if event["type"].endswith("speech_stopped"))
    assert set(speech.values()) <= {1} and ended <= speech, "speech started or stopped twice"
    assert len(speech) - len(ended) <= 1, "speech started before other speech stopped"
    assert not settled or ended == speech, "speech started and never stopped"
    for event in events:
        match event["type"]:
            case "conversation.item.added":
                item = event["item"]["id"]
                assert item not in known, "added twice"
                assert event["previous_item_id"] is None or event["previous_item_id"] in known
                known.append(item)
                open_items.add(item)
            case "conversation.item.done":
                assert event["item"]["id"] in open_items, "done and not added, or done twice"
                assert event["item"]["status"] != "in_progress"
                open_items.remove(event["item"]["id"])
            case "conversation.item.deleted":
                assert event["item_id"] in known and event["item_id"] not in open_items
                known.remove(event["item_id"])
            case "conversation.item.retrieved":
                assert event["item"]["id"] in known
            case "conversation.item.truncated":
                assert event["item_id"] in known
    assert not (settled and open_items), "added and never done"
