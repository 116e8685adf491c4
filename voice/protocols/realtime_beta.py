"""The beta of the Realtime API beside the GA one: session shape and names of events, in both directions. Pure.

The beta was named by the header `OpenAI-Beta: realtime=v1` or the subprotocol `openai-beta.realtime-v1`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["beta_messages", "from_beta", "to_beta"]

_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
_FORMATS_OF_BETA = {ga: beta for beta, ga in _FORMATS.items()}
_RENAMED = {
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}
_INPUT = {
    "input_audio_format": "format",
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "turn_detection": "turn_detection",
}
_OUTPUT = {"output_audio_format": "format", "voice": "voice", "speed": "speed"}


def from_beta(session: Mapping[str, Any]) -> dict[str, Any]:
    """GA names for those of the beta, where there are any; GA fields win."""
    found: dict[str, Any] = {}
    audio: dict[str, dict[str, Any]] = {}
    for name, value in session.items():
        if name in _INPUT:
            audio.setdefault("input", {})[_INPUT[name]] = _format(value) if name.endswith("_format") else value
        elif name in _OUTPUT:
            audio.setdefault("output", {})[_OUTPUT[name]] = _format(value) if name.endswith("_format") else value
        elif name == "modalities":
            found["output_modalities"] = _modalities(value)
        elif name == "max_response_output_tokens":
            found["max_output_tokens"] = value
        elif name not in ("client_secret", "audio"):
            found[name] = value
    given = session.get("audio")
    if audio and (given is None or isinstance(given, Mapping)):
        given = {**(given or {})}
        for side, part in audio.items():
            inner = given.get(side)
            if inner is None or isinstance(inner, Mapping):
                given[side] = {**part, **(inner or {})}
    if given is not None:
        found["audio"] = given
    return found


def to_beta(session: Mapping[str, Any]) -> dict[str, Any]:
    """The session object as the beta wrote it."""
    flat = {name: value for name, value in session.items() if name not in ("audio", "type")}
    audio = session.get("audio", {})
    for names, side in ((_INPUT, audio.get("input", {})), (_OUTPUT, audio.get("output", {}))):
        for beta, ga in names.items():
            if ga in side:
                flat[beta] = _FORMATS_OF_BETA[side[ga]["type"]] if ga == "format" else side[ga]
    if "output_modalities" in flat:
        flat["modalities"] = ["text", "audio"] if "audio" in flat.pop("output_modalities") else ["text"]
    if "max_output_tokens" in flat:
        flat["max_response_output_tokens"] = flat.pop("max_output_tokens")
    return flat


def beta_messages(kind: str, body: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A server event under the beta's names; none where it had no such event."""
    fields = {name: _inner(name, value) for name, value in body.items()}
    match kind:
        case "conversation.item.added":
            yield "conversation.item.created", fields
        case "conversation.item.done":
            return  # an item was created, and that was all
        case "session.created" | "session.updated":
            if body["session"].get("type") == "transcription":
                kind = f"transcription_{kind}"
            yield kind, {**fields, "session": to_beta(body["session"])}
        case _:
            yield _RENAMED.get(kind, kind), fields


def _inner(name: str, value: Any) -> Any:
    match name:
        case "item":
            return _item(value)
        case "response":
            found = {key: inner for key, inner in value.items() if key not in ("output_modalities", "audio")}
            spoken = "audio" in (value.get("output_modalities") or ())
            output = (value.get("audio") or {}).get("output", {})
            return {
                **found,
                "voice": output.get("voice"),
                "output_audio_format": _FORMATS_OF_BETA.get((output.get("format") or {}).get("type", "")),
                "modalities": ["text", "audio"] if spoken else ["text"],
                "output": [_item(item) for item in value.get("output", ())],
            }
        case _:
            return value


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    names = {"output_text": "text", "output_audio": "audio"}
    found = dict(item)
    if "content" in found:
        found["content"] = [{**part, "type": names.get(part["type"], part["type"])} for part in found["content"]]
    return found


def _format(value: object) -> object:
    return {"type": _FORMATS[value]} if isinstance(value, str) and value in _FORMATS else value


def _modalities(value: object) -> object:
    """The beta had ["text", "audio"] for spoken answers with their text."""
    return ["audio"] if isinstance(value, list) and "audio" in value else value
