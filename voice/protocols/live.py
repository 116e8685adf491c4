"""The live protocol, sans I/O: WebSocket frames to ClientEvents, ServerEvents to frames.

JSON text frames; binary frames carry PCM16 little-endian mono. An ill-formed frame is a ProtocolError with a hint and
the connection goes on; one over the limit is a FrameTooLarge, and whoever reads it closes the connection. Unknown
fields are ignored and null is a missing field, because clients older than this server exist.

Replies with `binary_audio` (pcm only): a clause's first samples are announced by an `audio` message that holds no
audio and has `"binary": true`, its reply, rate and text; the binary frames up to the next announcement belong to it.
The end of a reply's audio is an `audio` message with `"is_last": true`.

Why this file is long: every message of one protocol, in both directions, is read best in one place.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, assert_never

import numpy as np

from models.errors import ParleyError
from models.registry import discover
from models.strict_json import strict_loads
from voice.codecs.spec import CodecSpec, Encoder
from voice.errors import FrameTooLarge, ProtocolError
from voice.protocols.live_config import apply_update, describe
from voice.protocols.port import Draft
from voice.resample import StreamResampler
from voice.session.config import SessionConfig
from voice.session.incoming import (
    Clear,
    ClientEvent,
    Close,
    ContainerAudio,
    EndTurn,
    Interrupt,
    Ping,
    Played,
    RawAudio,
    Resume,
    ToolResult,
    Truncate,
    Update,
)
from voice.session.outgoing import (
    AudioOut,
    ErrorOut,
    Interrupted,
    ItemAdded,
    ItemDeleted,
    ItemTruncated,
    Pong,
    Ready,
    ReplyStarted,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    StateOut,
    TextOut,
    ToolCallOut,
    TranscriptOut,
    TurnCommitted,
    TurnComplete,
    TurnNoted,
    Waiting,
    WakeLost,
    WakeOut,
    WakeWordRequired,
)
from voice.session.resume import Resumed

__all__ = ["MAX_FRAME_BYTES", "LiveCodec"]

MAX_FRAME_BYTES = 1_048_576
_TYPES = (
    *("audio", "end_turn", "interrupt", "ping", "close", "played", "resume"),
    *("truncate", "clear", "update", "tool_result"),
)


class LiveCodec:
    """One connection's two directions. Setting `config` takes effect with the next frame."""

    most_errors: int | None = 50

    def __init__(self, config: SessionConfig) -> None:
        self._voice = _AudioWriter(config)

    @property
    def config(self) -> SessionConfig:
        return self._voice.config

    @config.setter
    def config(self, config: SessionConfig) -> None:
        if config.audio != self._voice.config.audio:
            self._voice = _AudioWriter(config)
        else:
            self._voice.config = config

    def opened(self, token: str) -> Sequence[Draft]:
        return self.tell(Ready(token, describe(self.config)))

    def resumed(self, token: str, facts: Resumed) -> Sequence[Draft]:
        """`ready` of a connection that goes on: what has arrived of the client's audio, and the reply under way."""
        message = {
            **_message(Ready(token, describe(self.config))),
            "resumed": True,
            "state": facts.state,
            "input": {"samples": facts.input_samples, "bytes": facts.input_bytes},
            "reply": {"id": facts.reply, "ms": facts.played_ms, "text": facts.text} if facts.reply else None,
            "tool_calls": [_message(call) for call in facts.calls],
        }
        return (lambda: [_json(message)],)

    def begun_anew(self, token: str) -> Sequence[Draft]:
        message = {**_message(Ready(token, describe(self.config))), "resumed": False}
        return (lambda: [_json(message)],)

    def receive(self, frame: str | bytes) -> Sequence[ClientEvent | Draft]:
        return (self.event(frame),)

    def apply(self, fields: Mapping[str, Any]) -> SessionConfig:
        return apply_update(self.config, fields)

    def updated(self, token: str) -> Sequence[Draft]:
        return self.opened(token)

    def complain(self, error: ParleyError) -> Sequence[Draft]:
        return self.tell(ErrorOut(error.code, error.message, error.hint))

    def tell(self, event: ServerEvent) -> Sequence[Draft]:
        return (partial(self.send, event),)

    def event(self, frame: str | bytes) -> ClientEvent:
        """What the client said. Raises ProtocolError (goes on) or FrameTooLarge (close the connection)."""
        if isinstance(frame, bytes | bytearray | memoryview):
            return _raw_audio(bytes(frame))
        # Counting UTF-8 bytes of a frame that is surely too long would cost a copy of it.
        if len(frame) > MAX_FRAME_BYTES or len(frame.encode("utf-8", "replace")) > MAX_FRAME_BYTES:
            raise FrameTooLarge(f"a message may hold {MAX_FRAME_BYTES} bytes", hint="send audio in smaller pieces")
        return _client_event(_object(frame))

    def send(self, event: ServerEvent) -> list[str | bytes]:
        """The frames that say it, in order; none where the event has nothing to say on this connection."""
        if isinstance(event, AudioOut):
            return self._voice.frames(event)
        if isinstance(event, TurnCommitted | ItemAdded | ItemDeleted | ItemTruncated | ReplyStarted):
            return []  # the items of a conversation have no names in this protocol
        return [_json(_message(event))]


# ---- client to server ---------------------------------------------------------------------------------------


def _raw_audio(data: bytes) -> RawAudio:
    if len(data) > MAX_FRAME_BYTES:
        raise FrameTooLarge(
            f"a binary frame may hold {MAX_FRAME_BYTES} bytes", hint="send 20 to 100 ms of audio a frame"
        )
    if len(data) % 2:
        raise ProtocolError(
            f"a binary frame of {len(data)} bytes is not PCM16",
            hint="binary frames hold 16-bit little-endian mono samples; containers go base64 into an audio message",
        )
    return RawAudio(data)


def _object(frame: str) -> dict[str, Any]:
    try:
        message = strict_loads(frame)
    except (ValueError, RecursionError):
        raise ProtocolError("the message is not JSON", hint='for example {"type": "ping"}') from None
    if not isinstance(message, dict):
        raise ProtocolError("a message is a JSON object", hint='for example {"type": "ping"}')
    return message


def _client_event(message: dict[str, Any]) -> ClientEvent:
    match message.get("type"):
        case "audio":
            return _container_audio(message)
        case "end_turn":
            transcript = _text(message, "transcript")
            # Clients without a recogniser of their own send an empty one: the audio heard so far is the turn.
            return EndTurn(transcript if transcript.strip() else None)
        case "interrupt":
            return Interrupt()
        case "ping":
            return Ping()
        case "close":
            return Close()
        case "clear":
            return Clear()
        case "played":
            return Played(_required_text(message, "reply"), _milliseconds(message, "ms"))
        case "resume":
            reply = None if message.get("reply") is None else _text(message, "reply")
            return Resume(reply, 0.0 if message.get("ms") is None else _milliseconds(message, "ms"))
        case "truncate":
            return Truncate(_required_text(message, "reply"), _milliseconds(message, "ms"))
        case "update":
            return Update(_update_fields(message))
        case "tool_result":
            return ToolResult(_required_text(message, "call_id"), _output(message.get("output")))
        case None:
            raise ProtocolError("the message has no type", hint=f"types are {', '.join(_TYPES)}", param="type")
        case str(name):
            raise ProtocolError(
                f"unknown message type {_printable(name[:40])!r}", hint=f"types are {', '.join(_TYPES)}", param="type"
            )
        case _:
            raise ProtocolError("the type of a message is a string", param="type")


def _container_audio(message: Mapping[str, Any]) -> ContainerAudio:
    is_final = message.get("is_final")
    if not isinstance(is_final, bool | None):
        raise ProtocolError("is_final must be true or false", param="is_final")
    return ContainerAudio(_base64(_text(message, "audio")), _text(message, "transcript"), bool(is_final))


def _base64(text: str) -> bytes:
    """Decode standard or URL-safe base64, with or without padding, also out of a `data:` URL."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    packed = "".join(text.split()).translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError(
            "audio is not base64", hint="PCM can also be sent in binary frames", param="audio"
        ) from None


def _update_fields(message: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an update; some clients wrap them once more in `config`."""
    fields = {key: value for key, value in message.items() if key not in ("type", "config")}
    inner = message.get("config")
    if not isinstance(inner, dict | None):
        raise ProtocolError("config must be an object", param="config")
    return {**(inner or {}), **fields}


def _output(output: object) -> str:
    """A tool's result as text; clients that send an object mean its JSON."""
    if isinstance(output, str):
        return _printable(output)
    if output is None:
        raise ProtocolError("a tool result needs its output", param="output")
    return json.dumps(output, ensure_ascii=False)


def _text(message: Mapping[str, Any], field: str) -> str:
    value = message.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ProtocolError(f"{field} must be a string", param=field)
    return _printable(value)


def _required_text(message: Mapping[str, Any], field: str) -> str:
    value = _text(message, field)
    if not value:
        raise ProtocolError(f"{message['type']} needs a {field}", param=field)
    return value


def _milliseconds(message: Mapping[str, Any], field: str) -> float:
    value = message.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProtocolError(f"{field} must be a number of milliseconds", param=field)
    try:
        ms = float(value)
    except OverflowError:
        ms = math.inf
    if not 0 <= ms < 1e9:
        raise ProtocolError(f"{field} must be zero or more", param=field)
    return ms


def _printable(text: str) -> str:
    """JSON may smuggle in half a surrogate pair (\\ud800), which no UTF-8 writer would take later."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# ---- server to client ---------------------------------------------------------------------------------------


def _message(event: ServerEvent) -> dict[str, Any]:
    match event:
        case Ready(token, config):
            return {"type": "ready", "session_token": token, "config": dict(config)}
        case TranscriptOut(text, is_final, _, is_request):
            return {
                "type": "transcript",
                "text": text,
                "is_input": True,
                "is_final": is_final,
                "is_request": is_request,
            }
        case TextOut(reply, text, is_final):
            return {"type": "text", "text": text, "is_final": is_final, "reply": reply}
        case TurnComplete():
            return _turn_complete(event)
        case TurnNoted(_, status, reason, latency):
            return {"type": "turn_noted", "status": status, "reason": reason, "latency": _rounded(latency)}
        case Waiting():
            return _waiting(event)
        case Interrupted(reply, partial_output):
            return {"type": "interrupted", "partial_output": partial_output, "reply": reply}
        case WakeLost(word, at_s):
            message = "another of your devices heard the wake word better and answers"
            return {"type": "wake_lost", "word": word, "at_s": at_s, "message": message}
        case WakeWordRequired(text):
            return {"type": "wake_word_required", "message": text}
        case ErrorOut(code, text, hint):
            return {"type": "error", "message": text, "code": code, "hint": hint}
        case Pong():
            return {"type": "pong"}
        case SpeechStarted(at_s):
            return {"type": "speech_started", "at_s": at_s}
        case SpeechStopped(at_s):
            return {"type": "speech_stopped", "at_s": at_s}
        case WakeOut(word, score, at_s):
            return {"type": "wake", "word": word, "score": score, "at_s": at_s}
        case StateOut(state):
            return {"type": "state", "state": state}
        case ToolCallOut(call_id, name, arguments, reply):
            return {"type": "tool_call", "call_id": call_id, "name": name, "arguments": arguments, "reply": reply}
        case AudioOut() | TurnCommitted() | ItemAdded() | ItemDeleted() | ItemTruncated() | ReplyStarted():
            raise TypeError("LiveCodec.send does without")
        case _:
            assert_never(event)


def _waiting(event: Waiting) -> dict[str, Any]:
    message: dict[str, Any] = {
        "type": "waiting",
        "for": event.awaits,
        "reply": event.reply,
        "ms": round(event.since_s * 1000),
    }
    if event.progress is not None:
        message["progress"] = round(event.progress, 3)
    if event.position:
        message["position"] = event.position
    return message


def _turn_complete(event: TurnComplete) -> dict[str, Any]:
    return {
        "type": "turn_complete",
        "input_transcript": event.input_transcript,
        "output_transcript": event.output_transcript,
        "tools_called": list(event.tools_called),
        "interrupted": event.interrupted,
        "usage": {"tokens_in": event.tokens_in, "tokens_out": event.tokens_out},
        "cost": event.cost,
        "latency_ms": round(event.latency_ms, 1),
        "reply": event.reply,
        "heard_transcript": event.heard_transcript,
        "latency": _rounded(event.latency),
    }


def _rounded(latency: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(ms, 1) for stage, ms in latency.items()}


class _AudioWriter:
    """Reply audio in the session's format and rate. State: the rate converter of the reply that is being sent."""

    def __init__(self, config: SessionConfig) -> None:
        self.config = config
        self._binary = config.audio.binary_audio and config.audio.output_format == "pcm"
        spec: CodecSpec = discover("voice.codecs")[config.audio.output_format]
        if spec.encoder is None:
            raise ValueError(f"{spec.name} is not an output format")
        self._encoder: Encoder = spec.encoder(config.audio.sample_rate)
        self._reply = ""
        self._resampler: StreamResampler | None = None
        self._from_hz = 0

    def frames(self, event: AudioOut) -> list[str | bytes]:
        pcm = self._at_session_rate(event)
        head = {
            "format": self.config.audio.output_format,
            "text": event.text,
            "reply": event.reply,
            "sample_rate": self.config.audio.sample_rate,
        }
        if event.text_end:
            head["text_end"] = event.text_end
        if event.is_last:
            head["is_last"] = True
        if self._binary:
            return self._binary_frames(event, pcm, head)
        # A container without samples is nothing an older client could decode.
        if len(pcm) == 0:
            return []
        audio = base64.b64encode(self._encoder.encode(pcm)).decode("ascii")
        return [_json({"type": "audio", "audio": audio, **head})]

    def _binary_frames(self, event: AudioOut, pcm: Any, head: dict[str, Any]) -> list[str | bytes]:
        out: list[str | bytes] = []
        mark = {"type": "audio", "audio": "", "binary": True, **head}
        if event.starts_clause:
            out.append(_json({key: value for key, value in mark.items() if key != "is_last"}))
        if len(pcm):
            out.append(self._encoder.encode(pcm))
        if event.is_last:
            out.append(_json({**mark, "text": ""}))
        return out

    def _at_session_rate(self, event: AudioOut) -> Any:
        rate_hz = self.config.audio.sample_rate
        if event.reply != self._reply or event.rate_hz != self._from_hz:
            self._reply, self._from_hz = event.reply, event.rate_hz
            self._resampler = None if event.rate_hz == rate_hz else StreamResampler(event.rate_hz, rate_hz)
        pcm = np.asarray(event.pcm, dtype=np.int16)
        if self._resampler is None:
            return pcm
        resampled = self._resampler.process(pcm, last=event.is_last)
        if event.is_last:
            self._reply = ""
        return resampled


def _json(message: Mapping[str, Any]) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
