"""The configuration of a live session: from a client's JSON to a checked `SessionConfig`, and back for `ready`.

Forgiving where older clients are sloppy: unknown fields are ignored, null means the default, names of formats and
modes are read without regard to case, a single wake word may stand without a list, and sections may be named with
or without `_config`. Strict with types and ranges: a wrong one is a BadInput whose `param` is the field's path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from models.errors import BadInput
from models.registry import discover
from voice.codecs.spec import CodecSpec
from voice.session.config import (
    AudioConfig,
    LlmConfig,
    SessionConfig,
    TurnConfig,
    TurnDetection,
    VoiceConfig,
    WakeConfig,
    WakeMode,
)
from voice.settings import VoiceSettings

__all__ = ["apply_update", "describe", "parse_config", "restore", "store"]

# How a section may be called; the first name is the one of the protocol's page.
_SECTIONS = {
    "audio_config": "audio",
    "wake_word_config": "wake_word",
    "voice_config": "voice",
    "llm_config": "llm",
    "turn_config": "turn",
}
_SCALARS = ("session_ttl_minutes", "record", "spoken", "transcribe_only", "resume_grace_s")
ASK_AT_FIRST = 'give "record": true in the request that opens the session'
_MAX_TEXT = 65_536
_MAX_TOOLS = 128
_MAX_WORDS = 32


def _folded(value: object) -> object:
    return value.strip().casefold() if isinstance(value, str) else value


def _word_list(value: object) -> object:
    """One word for a list of one; blanks and repetitions go."""
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return words
    return list(dict.fromkeys(word.strip() for word in words if word.strip()))


def _input_format(name: str) -> str:
    return _one_of(name, discover("voice.codecs"))


def _output_format(name: str) -> str:
    specs: dict[str, CodecSpec] = discover("voice.codecs")
    return _one_of(name, [spec.name for spec in specs.values() if spec.encoder is not None])


def _one_of(name: str, known: Iterable[str]) -> str:
    if name not in known:
        raise PydanticCustomError("audio_format", "the formats are {known}", {"known": ", ".join(known)})
    return name


_Text = Annotated[str, StringConstraints(max_length=_MAX_TEXT)]
_Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=256)]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


class _Audio(_Section):
    input_format: Annotated[str, BeforeValidator(_folded), AfterValidator(_input_format)] = "webm"
    output_format: Annotated[str, BeforeValidator(_folded), AfterValidator(_output_format)] = "opus"
    sample_rate: Annotated[int, Field(ge=8000, le=48000)] = 24000
    allow_interrupt: bool = True
    input_rate: Annotated[int, Field(ge=8000, le=48000)] = 16000
    binary_audio: bool = False


class _Wake(_Section):
    enabled: bool = False
    words: Annotated[list[_Name], BeforeValidator(_word_list), Field(max_length=_MAX_WORDS)] = []
    mode: Annotated[WakeMode, BeforeValidator(_folded)] = "pre"


class _Voice(_Section):
    voice_id: _Name = "default"
    speed: Annotated[float, Field(ge=0.25, le=4.0)] = 1.0
    language: _Name = "auto"


class _Llm(_Section):
    model: _Name = ""
    system_prompt: _Text = ""
    tools: Annotated[list[dict[str, Any]], Field(max_length=_MAX_TOOLS)] = []
    tool_choice: str | dict[str, Any] | None = None
    client_tools: Literal["await", "hand_over"] = "await"
    history_length: Annotated[int, Field(ge=0, le=1000)] = 20
    temperature: Annotated[float | None, Field(ge=0.0, le=2.0)] = None
    max_tokens: Annotated[int, Field(ge=1, le=131_072)] = 1024


class _Detection(_Section):
    type: Annotated[Literal["server_vad", "semantic_vad", "none"], BeforeValidator(_folded)] = "server_vad"
    threshold: Annotated[float | None, Field(ge=0.0, le=1.0)] = None
    prefix_padding_ms: Annotated[int | None, Field(ge=0, le=5000)] = None
    silence_duration_ms: Annotated[int | None, Field(ge=0, le=10_000)] = None
    eagerness: Annotated[Literal["low", "medium", "high", "auto"], BeforeValidator(_folded)] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


class _Turn(_Section):
    barge_in: bool = True
    follow_up_s: Annotated[float | None, Field(ge=0.0, le=600.0)] = None
    echo: Annotated[Literal["auto", "headphones", "speaker", "cancelled"], BeforeValidator(_folded)] = "auto"
    device: Annotated[str, StringConstraints(strip_whitespace=True, max_length=128)] = ""


class _Body(_Section):
    audio: _Audio = _Audio()
    wake_word: _Wake = _Wake()
    voice: _Voice = _Voice()
    llm: _Llm = _Llm()
    turn_detection: _Detection = _Detection()
    turn: _Turn = _Turn()
    session_ttl_minutes: Annotated[int, Field(ge=5, le=20)] = 15
    record: bool = False
    resume_grace_s: Annotated[float, Field(ge=0, le=600)] | None = None
    spoken: bool = True
    transcribe_only: bool = False


def parse_config(body: Mapping[str, Any], settings: VoiceSettings) -> SessionConfig:
    """Check the body of `POST /v1/audio/live`. What it leaves out comes from the server's `settings`.

    Raises BadInput; its `param` is the offending field as the client wrote it, such as `audio_config.sample_rate`.
    """
    fields, names = _by_section(body)
    mind = settings.llm
    ours = {
        "model": mind.model,
        "system_prompt": mind.system_prompt,
        "temperature": mind.temperature,
        "max_tokens": mind.max_tokens,
    }
    llm = fields.get("llm", {})
    if isinstance(llm, Mapping):
        # An empty model name is what clients without a choice send: it means the default, like a missing one.
        fields["llm"] = ours | {k: v for k, v in llm.items() if v != "" or k not in ("model", "system_prompt")}
    return _checked(fields, names)


def apply_update(config: SessionConfig, fields: Mapping[str, Any]) -> SessionConfig:
    """Change a running session's configuration; what `fields` leaves out stays, null sets a field's default.

    Raises BadInput, also where nothing in `fields` is a configuration field: a typing error must not pass in silence.
    """
    changes, names = _by_section(fields, keep_null=True)
    if not changes:
        known = ", ".join([*_SECTIONS, "turn_detection", *_SCALARS])
        raise BadInput("the update names no configuration field", hint=f"the fields are {known}")
    merged = store(config)
    for key, value in changes.items():
        old = merged[key]
        if isinstance(old, dict) and isinstance(value, Mapping):
            if key == "turn_detection" and value.get("type", old["type"]) != old["type"]:
                old = {}
            merged[key] = _without_null({**old, **value})
        elif value is None:
            merged[key] = {} if isinstance(old, dict) else None
        else:
            merged[key] = value
    changed = _checked(_without_null(merged), names)
    if changed.record and not config.record:
        raise BadInput("recording cannot start in the middle of a session", param="record", hint=ASK_AT_FIRST)
    return changed


def describe(config: SessionConfig) -> dict[str, Any]:
    """The `config` of the `ready` message: what is in force. Holds no prompt and no tools."""
    return {
        "audio": asdict(config.audio),
        "wake_word": {**asdict(config.wake), "words": list(config.wake.words)},
        "voice": asdict(config.voice),
        "turn_detection": None if config.turn_detection.type == "none" else asdict(config.turn_detection),
        "turn": asdict(config.turn),
        "llm": {"model": config.llm.model, "history_length": config.llm.history_length},
        "record": config.record,
    }


def _by_section(body: Mapping[str, Any], *, keep_null: bool = False) -> tuple[dict[str, Any], dict[str, str]]:
    """The known fields of a body under our names, and for each the name the client used.

    Raises BadInput if the body is no object.
    """
    if not isinstance(body, Mapping):
        raise BadInput("the session configuration must be a JSON object")
    fields: dict[str, Any] = {}
    names: dict[str, str] = {}
    for long_name, short_name in _SECTIONS.items():
        for name in (short_name, long_name):
            if name in body and (keep_null or body[name] is not None):
                value = body[name]
                fields[short_name] = _without_null(value) if isinstance(value, Mapping) and not keep_null else value
                names[short_name] = name
    for name in _SCALARS:
        if name in body and (keep_null or body[name] is not None):
            fields[name] = body[name]
    if "turn_detection" in body:
        detection = body["turn_detection"]
        # OpenAI's null is no default but a choice: the client says when a turn ends.
        fields["turn_detection"] = {"type": "none"} if detection is None else detection
        if isinstance(detection, Mapping):
            fields["turn_detection"] = _without_null(detection)
            fields["turn_detection"].pop("interrupt_response", None)
            # OpenAI's name for our `barge_in`, which wins where both are given.
            if isinstance(detection.get("interrupt_response"), bool):
                turn = fields.get("turn", {})
                if isinstance(turn, Mapping):
                    fields["turn"] = {"barge_in": detection["interrupt_response"], **turn}
    return fields, names


def _without_null(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _checked(fields: Mapping[str, Any], names: Mapping[str, str]) -> SessionConfig:
    try:
        body = _Body.model_validate(fields)
    except ValidationError as error:
        raise _bad_input(error, names) from None
    if body.wake_word.enabled and not body.wake_word.words:
        raise BadInput(
            "a wake word is asked for and none is named",
            param=f"{names.get('wake_word', 'wake_word_config')}.words",
            hint='give at least one, such as ["hey jarvis"], or set enabled to false',
        )
    for index, tool in enumerate(body.llm.tools):
        _check_tool(tool, f"{names.get('llm', 'llm_config')}.tools[{index}]")
    return SessionConfig(
        audio=AudioConfig(**body.audio.model_dump()),
        wake=WakeConfig(body.wake_word.enabled, tuple(body.wake_word.words), body.wake_word.mode),
        voice=VoiceConfig(**body.voice.model_dump()),
        llm=LlmConfig(**{**body.llm.model_dump(), "tools": tuple(body.llm.tools)}),
        turn_detection=TurnDetection(**body.turn_detection.model_dump()),
        turn=TurnConfig(**body.turn.model_dump()),
        ttl_minutes=body.session_ttl_minutes,
        record=body.record,
        resume_grace_s=body.resume_grace_s,
        spoken=body.spoken,
        transcribe_only=body.transcribe_only,
    )


def restore(fields: Mapping[str, Any]) -> SessionConfig:
    """What `store` gave. Raises BadInput where an older version wrote something that is no longer valid."""
    return _checked(fields, {})


def _check_tool(tool: Mapping[str, Any], param: str) -> None:
    """Raises BadInput unless it is OpenAI's function tool, nested (chat) or flat (realtime)."""
    function = tool.get("function", tool)
    name = function.get("name") if isinstance(function, Mapping) else None
    if tool.get("type", "function") != "function" or not isinstance(name, str) or not name:
        raise BadInput(
            "a tool must be a function with a name",
            param=param,
            hint='{"type": "function", "function": {"name": ..., "parameters": {...}}}',
        )


def store(config: SessionConfig) -> dict[str, Any]:
    """The whole configuration as JSON types, for `restore` after a restart of the server."""
    return {
        "audio": asdict(config.audio),
        "wake_word": {**asdict(config.wake), "words": list(config.wake.words)},
        "voice": asdict(config.voice),
        "llm": {**asdict(config.llm), "tools": [dict(tool) for tool in config.llm.tools]},
        "turn_detection": _without_null(asdict(config.turn_detection)),
        "turn": _without_null(asdict(config.turn)),
        "session_ttl_minutes": config.ttl_minutes,
        "record": config.record,
        "resume_grace_s": config.resume_grace_s,
        "spoken": config.spoken,
        "transcribe_only": config.transcribe_only,
    }


def _bad_input(error: ValidationError, names: Mapping[str, str]) -> BadInput:
    """The first complaint, under the name the client used. The value itself stays out of the message."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    long_names = {short: long for long, short in _SECTIONS.items()}
    path = ""
    for depth, part in enumerate(first["loc"]):
        if isinstance(part, int):
            path += f"[{part}]"
        elif depth == 0:
            path = names.get(part, long_names.get(part, part))
        else:
            path += f".{part}"
    message = first["msg"][:1].lower() + first["msg"][1:]
    return BadInput(f"{path}: {message}", param=path)
