"""Server events of the Realtime API as they are decided: a type, a JSON body, perhaps samples. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from voice.protocols.realtime_items import Part, WireItem, item_json
from voice.session.outgoing import AudioOut

__all__ = ["Blame", "Response", "Said", "error_said", "response_json", "usage_json"]


@dataclass(frozen=True, slots=True)
class Said:
    """`body` is complete but for `delta`, where `audio` holds its samples: these are encoded when they leave, in
    `format`."""

    type: str
    body: Mapping[str, Any]
    audio: AudioOut | None = None
    format: str = "audio/pcm"


Blame = Literal["invalid_request_error", "server_error"]
"""Whose mistake an error is."""


def error_said(
    kind: Blame,
    code: str | None,
    message: str,
    *,
    param: str | None = None,
    event_id: str | None = None,
) -> Said:
    error = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
    return Said("error", {"error": error})


@dataclass(slots=True)
class Response:
    """One reply on its way out. `conversation` is None for one that is not part of the conversation."""

    id: str
    item: str
    spoken: bool
    conversation: str | None
    shape: Mapping[str, Any]
    """What of the session it was made with: output_modalities, audio, max_output_tokens, metadata."""
    status: Literal["in_progress", "completed", "cancelled", "incomplete", "failed"] = "in_progress"
    text: str = ""
    audio_ms: float = 0.0
    output: list[WireItem] = field(default_factory=list)
    message_at: int | None = None
    """Where in the output its words stand; None while there are none."""
    audio_done: bool = False
    heard: str | None = None
    after: str | None = None
    """The item of the conversation that its next one stands behind."""

    @property
    def format(self) -> str:
        """Of its audio, as the API names it."""
        return str(self.shape["audio"]["output"]["format"]["type"])

    @property
    def voice(self) -> str:
        """That it is spoken with, as the client names it."""
        return str(self.shape["audio"]["output"]["voice"])

    @property
    def place(self) -> dict[str, Any]:
        """Where the content part of its words is."""
        return {
            "response_id": self.id,
            "item_id": self.item,
            "output_index": self.message_at,
            "content_index": 0,
        }

    def part(self) -> dict[str, Any]:
        return {"type": "audio", "transcript": self.text} if self.spoken else {"type": "text", "text": self.text}

    def words(self, text: str, status: Literal["in_progress", "completed", "incomplete"]) -> WireItem:
        part = Part("output_audio" if self.spoken else "output_text", text)
        return WireItem(self.item, "message", "assistant", (part,), status)


def response_json(
    response: Response, details: Mapping[str, Any] | None = None, usage: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "object": "realtime.response",
        "id": response.id,
        "status": response.status,
        "status_details": details,
        "output": [item_json(item) for item in response.output],
        "conversation_id": response.conversation,
        **response.shape,
        "usage": usage,
    }


def usage_json(tokens_in: int, tokens_out: int) -> dict[str, Any]:
    """Tokens of the language model; audio has none here."""
    return {
        "total_tokens": tokens_in + tokens_out,
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "input_token_details": {
            "text_tokens": tokens_in,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": 0,
            "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": tokens_out, "audio_tokens": 0},
    }
