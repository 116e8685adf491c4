"""The session object of the OpenAI Realtime API: checked, merged, echoed, and what of it a session of ours obeys.

One shape inside, the GA one. The beta's flat names are accepted wherever a session object is, and `to_beta` writes
them for clients that speak the beta. An update changes only the fields it names; null, "" and [] clear them.
Fields that have no meaning here (tracing, prompt, noise_reduction, truncation, include) are kept and echoed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import (
    ValidationError,
)

from voice.protocols.realtime_beta import from_beta
from voice.protocols.realtime_errors import invalid, of_validation
from voice.protocols.realtime_schema import (
    FORMATS,
    Kind,
    SessionShape,
    chat_tool,
    chosen_tool,
    format_json,
    without_null,
)
from voice.protocols.realtime_voices import voice_of
from voice.session.config import (
    AudioConfig,
    LlmConfig,
    SessionConfig,
    TurnDetection,
    VoiceConfig,
)
from voice.settings import VoiceSettings

__all__ = ["RealtimeSession"]

_HISTORY_MESSAGES = 400
_OF_ANSWERS = ("create_response", "interrupt_response")
"""Fields of `turn_detection` that a mere transcription does not have."""

_KEPT = ("truncation", "tracing", "prompt", "include", "reasoning", "parallel_tool_calls")
_DETECTION_DEFAULTS: dict[str, dict[str, Any]] = {
    "server_vad": {
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    },
    "semantic_vad": {"eagerness": "auto", "create_response": True, "interrupt_response": True},
}


@dataclass(frozen=True, slots=True)
class RealtimeSession:
    """`fields` is the session object in GA names, complete and checked, without id, object and expires_at."""

    fields: Mapping[str, Any]

    @classmethod
    def new(cls, kind: Kind, model: str, settings: VoiceSettings) -> RealtimeSession:
        """The defaults of OpenAI, but for the silence after which a turn is over: the server's own."""
        detection = dict(_DETECTION_DEFAULTS["server_vad"])
        detection["silence_duration_ms"] = settings.turn.silence_ms
        detection["prefix_padding_ms"] = settings.turn.preroll_ms
        detection["threshold"] = settings.vad.threshold
        listening: dict[str, Any] = {
            "format": {"type": "audio/pcm", "rate": 24_000},
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": {"type": "server_vad", **detection},
        }
        if kind == "transcription":
            for name in _OF_ANSWERS:
                listening["turn_detection"].pop(name)
            return cls({"type": kind, "audio": {"input": listening}, "include": None, "record": False})
        return cls(
            {
                "type": kind,
                "model": model,
                "output_modalities": ["audio"],
                "instructions": settings.llm.system_prompt,
                "audio": {
                    "input": listening,
                    "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "alloy", "speed": 1.0},
                },
                "tools": [],
                "tool_choice": "auto",
                "temperature": settings.llm.temperature,
                "max_output_tokens": "inf",
                **dict.fromkeys(_KEPT),
                "truncation": "auto",
                "record": False,
            }
        )

    def recorded(self, consent: bool) -> RealtimeSession:
        """The same, with the speaker's word on recording it."""
        return RealtimeSession({**self.fields, "record": consent})

    @property
    def kind(self) -> Kind:
        return "transcription" if self.fields["type"] == "transcription" else "realtime"

    @property
    def transcribes(self) -> bool:
        """The client wants to read what it said."""
        return self.kind == "transcription" or self.fields["audio"]["input"]["transcription"] is not None

    @property
    def detects_turns(self) -> bool:
        """False: the client says when a turn begins and ends, and is not told of speech."""
        return self.fields["audio"]["input"]["turn_detection"] is not None

    @property
    def speaks(self) -> bool:
        return self.kind == "realtime" and "audio" in self.fields["output_modalities"]

    @property
    def input_bytes_per_ms(self) -> int:
        return 48 if self.fields["audio"]["input"]["format"]["type"] == "audio/pcm" else 8

    @property
    def idle_timeout_ms(self) -> int | None:
        detection = self.fields["audio"]["input"]["turn_detection"] or {}
        timeout_ms = detection.get("idle_timeout_ms")
        return timeout_ms if isinstance(timeout_ms, int) and self.kind == "realtime" else None

    @property
    def voice(self) -> str | None:
        """As the client named it; None where nothing is spoken."""
        voice = self.fields["audio"].get("output", {}).get("voice")
        return voice if isinstance(voice, str) else None

    @property
    def mcp_servers(self) -> tuple[str, ...]:
        """Labels of the servers of tools that the client named."""
        tools = self.fields.get("tools", ())
        return tuple(tool["server_label"] for tool in tools if tool["type"] == "mcp")

    def response_shape(self, spoken: bool, fields: Mapping[str, Any]) -> dict[str, Any]:
        """What a response object says of how it is made; `fields` are the wishes for this one."""
        output = self.fields["audio"].get("output", {})
        return {
            "output_modalities": ["audio"] if spoken else ["text"],
            "audio": {"output": {name: fields.get(name, output.get(name)) for name in ("format", "voice")}},
            "max_output_tokens": fields.get("max_output_tokens", self.fields.get("max_output_tokens")),
            "metadata": fields.get("metadata"),
        }

    def changed(self, update: Mapping[str, Any], settings: VoiceSettings, *, fresh: bool = False) -> RealtimeSession:
        """With the fields of an update, GA or beta. Raises RealtimeError naming the field that is wrong.

        `fresh`: nothing was said yet, so a conversation may still become a mere transcription.
        """
        asked = from_beta(update)
        kind = asked.get("type") or self.kind
        if kind not in ("realtime", "transcription"):
            raise invalid("Supported values are: 'realtime' and 'transcription'.", "session.type")
        if kind == "transcription" and self.kind == "realtime" and fresh:
            bare = RealtimeSession.new(kind, "", settings).recorded(self.fields["record"])
            return bare.changed(update, settings)
        if kind != self.kind:
            raise invalid(
                f"The type of a session cannot change from {self.kind!r}",
                "session.type",
                hint="ask for a transcription session first of all, or connect with ?intent=transcription",
            )
        given = _checked(asked)
        merged = _merged(self.fields, given)
        if self.kind == "transcription":
            merged = {name: merged[name] for name in self.fields} | {"audio": {"input": merged["audio"]["input"]}}
        else:
            for name, value in (("instructions", settings.llm.system_prompt), ("model", self.fields["model"])):
                merged[name] = merged[name] or value
        return RealtimeSession(_checked_whole(merged))

    def config(self, model: str, settings: VoiceSettings) -> SessionConfig:
        """What a session of ours obeys. `model` is the one that the name of the client stands for."""
        heard = self.fields["audio"]["input"]
        in_format, in_rate = FORMATS[heard["format"]["type"]]
        detection = heard["turn_detection"]
        language = (heard["transcription"] or {}).get("language") or "auto"
        config = SessionConfig(
            audio=AudioConfig(in_format, "pcm", 24_000, input_rate=in_rate),
            voice=VoiceConfig(language=language),
            llm=LlmConfig(model=model, history_length=_HISTORY_MESSAGES),
            turn_detection=_detection(detection),
            spoken=self.speaks,
            transcribe_only=self.kind == "transcription",
            record=self.fields["record"],
        )
        if self.kind == "transcription":
            return config
        spoken = self.fields["audio"]["output"]
        limit = self.fields["max_output_tokens"]
        return replace(
            config,
            voice=VoiceConfig(voice_of(spoken["voice"]), spoken["speed"], language),
            llm=LlmConfig(
                model=model,
                system_prompt=self.fields["instructions"],
                tools=tuple(chat_tool(tool) for tool in self.fields["tools"] if tool["type"] == "function"),
                tool_choice=chosen_tool(self.fields["tool_choice"]),
                client_tools="hand_over",
                history_length=_HISTORY_MESSAGES,
                temperature=self.fields["temperature"],
                max_tokens=settings.llm.max_tokens if limit == "inf" else limit,
            ),
        )


def _check_fields(fields: object, param: str) -> SessionShape:
    """`fields` as `model`. Raises RealtimeError with a `param` below `param`."""
    if not isinstance(fields, Mapping):
        raise invalid(f"{param} must be an object", param)
    try:
        return SessionShape.model_validate(dict(fields))
    except ValidationError as error:
        raise of_validation(error, param) from None


def _detection(detection: Mapping[str, Any] | None) -> TurnDetection:
    if detection is None:
        return TurnDetection(type="none", create_response=False)  # `response.create` asks for the answer
    return TurnDetection(
        type=detection["type"],
        threshold=detection.get("threshold"),
        prefix_padding_ms=detection.get("prefix_padding_ms"),
        silence_duration_ms=detection.get("silence_duration_ms"),
        eagerness=detection.get("eagerness") or "auto",
        create_response=detection.get("create_response") is not False,
        interrupt_response=detection.get("interrupt_response") is not False,
    )


# ---- merging ------------------------------------------------------------------------------------------------


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an update, each checked as far as it goes: nothing is filled in."""
    shown = {name: value for name, value in given.items() if value is not None}
    detection = shown.get("audio")
    for name in ("input", "turn_detection"):
        detection = detection.get(name) if isinstance(detection, Mapping) else None
    if isinstance(detection, Mapping) and "type" not in detection:
        raise invalid("Missing required parameter: 'session.audio.input.turn_detection.type'.",
                      "session.audio.input.turn_detection.type", code="missing_required_parameter")  # fmt: skip
    _check_fields(without_null(shown), "session")
    return dict(given)


def _checked_whole(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Of a merged session: the numbers as they were checked, formats with their rates."""
    whole = _check_fields(without_null(fields), "session")
    result = dict(fields)
    result["audio"] = {name: dict(part) for name, part in fields["audio"].items()}
    for name, part in result["audio"].items():
        part["format"] = format_json(getattr(whole.audio, name).format.type)
    if "output" in result["audio"]:
        result["audio"]["output"]["voice"] = whole.audio.output.voice
        result["tools"] = [tool.model_dump(exclude_none=True) for tool in whole.tools]
    return result


def _merged(fields: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(fields)
    for name, value in given.items():
        if name == "audio" and isinstance(value, Mapping):
            merged[name] = {**fields["audio"], **{
                side: _merged_side(fields["audio"].get(side, {}), part, answers=fields["type"] == "realtime")
                for side, part in value.items() if side in fields["audio"] and isinstance(part, Mapping)
            }}  # fmt: skip
        elif name not in fields or name == "type":
            continue  # not a field of a session of this kind
        elif value is None:
            merged[name] = _CLEARED.get(name)
        else:
            merged[name] = value
    return merged


_CLEARED: dict[str, Any] = {
    "output_modalities": ["audio"],
    "instructions": "",
    "model": "",
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "truncation": "auto",
    "record": False,
}


def _merged_side(old: Mapping[str, Any], given: Mapping[str, Any], *, answers: bool) -> dict[str, Any]:
    merged = dict(old)
    for name, value in given.items():
        if name not in old:
            continue  # the voice has no turn detection, whatever stands there
        if name == "turn_detection" and isinstance(value, Mapping):
            before = old.get(name) or {}
            same = before.get("type") == value["type"]
            defaults = _DETECTION_DEFAULTS[value["type"]]
            known = {key for key in ("type", *defaults) if answers or key not in _OF_ANSWERS}
            whole = {"type": value["type"], **defaults, **(before if same else {})}
            whole |= {key: given for key, given in value.items() if given is not None or key in _NULLABLE}
            merged[name] = {key: setting for key, setting in whole.items() if key in known}
        elif name in ("transcription", "noise_reduction") and isinstance(value, Mapping):
            merged[name] = {**(old.get(name) or {}), **value}
        elif value is None and name in ("format", "voice", "speed"):
            continue
        else:
            merged[name] = value
    return merged


_NULLABLE = frozenset({"idle_timeout_ms"})
