"""All settings, read once at the start: `parley.toml`, then the environment, then the command line.

Every table of the file is a frozen dataclass of the package it belongs to; this module only knows which one. An
unknown key is an error that names the nearest known one, because a setting that silently does nothing costs hours.
"""

from __future__ import annotations

import difflib
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from llm.port import BackendConfig
from llm.routing.configured_backends import type_called
from llm.settings import LlmSettings
from models.errors import SettingsError
from models.registry import discover
from models.settings import ModelSettings
from voice.settings import VoiceSettings
from web.table_fields import fill, nearest_hint

__all__ = ["ENVIRONMENT", "Given", "ServerSettings", "Settings", "load", "unknown_environment"]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """`[server]`."""

    host: str = "127.0.0.1"
    port: int = 4000
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    max_body_mb: int = 32
    """Larger request bodies are refused."""
    allowed_hosts: tuple[str, ...] = ()
    """Names besides localhost that a server on loopback answers to (a reverse proxy's, for example)."""
    allowed_origins: tuple[str, ...] = ()
    """Other sites whose pages may use this server: "https://parley.example"."""
    send_timeout_s: float = 10.0
    """A voice client that takes nothing for this long is disconnected."""
    metrics: Literal["admin", "open", "off"] = "admin"
    """Who may read GET /metrics."""


@dataclass(frozen=True, slots=True)
class Settings:
    home: Path
    config_path: Path | None = None
    """The file that was read, None where there is none."""
    server: ServerSettings = ServerSettings()
    models: ModelSettings = ModelSettings()
    llm: LlmSettings = LlmSettings()
    voice: VoiceSettings = VoiceSettings()
    admin_key: str = field(default="", repr=False)
    """PARLEY_ADMIN_KEY. Empty: the key of the key file counts."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says; None where it says nothing."""

    config: Path | None = None
    host: str | None = None
    port: int | None = None
    log_level: str | None = None


ENVIRONMENT: Mapping[str, str] = {
    "PARLEY_HOME": "the folder for models, keys and kept sessions",
    "PARLEY_CONFIG": "the path of parley.toml",
    "PARLEY_HOST": "the address to listen on",
    "PARLEY_PORT": "the port to listen on",
    "PARLEY_ADMIN_KEY": "the admin key, in place of the random one",
    "PARLEY_LOG_LEVEL": "debug, info, warning or error",
    "PARLEY_SLOT_PORT_BASE": "the first port of the workers",
    # Taken by the Ollama-side router; named here so that setting them is no mistake.
    "PARLEY_ROUTER_PORT": "the port of the Ollama-compatible router, 0 for none",
    "PARLEY_ROUTER_DASHBOARD_PORT": "the port of the router's page, 0 for none",
}

_NOT_OURS = ("PARLEY_TEST_", "PARLEY_WORKER")
"""Names that tests and our own child processes use."""

_TABLES: Mapping[str, type[Any]] = {
    "server": ServerSettings,
    "models": ModelSettings,
    "llm": LlmSettings,
    "voice": VoiceSettings,
}


def load(given: Given = Given(), environment: Mapping[str, str] | None = None) -> Settings:
    """Read everything. Raises SettingsError that says which key of which file, and what to write instead.

    The file is the one of --config, else of PARLEY_CONFIG, else `parley.toml` here, else in PARLEY_HOME.
    Blocks on the disk.
    """
    env = os.environ if environment is None else environment
    home = _home(env)
    path = _config_path(given, env, home)
    settings = _from_file(home, path)
    server = settings.server
    server = replace(
        server,
        host=given.host or env.get("PARLEY_HOST") or server.host,
        port=_port(given.port, env, "PARLEY_PORT", server.port),
        log_level=_log_level(given.log_level or env.get("PARLEY_LOG_LEVEL") or server.log_level),
    )
    llm = replace(
        settings.llm, slot_port_base=_port(None, env, "PARLEY_SLOT_PORT_BASE", settings.llm.slot_port_base, lowest=1)
    )
    return replace(settings, server=server, llm=llm, admin_key=_admin_key(env))


def unknown_environment(environment: Mapping[str, str]) -> tuple[str, ...]:
    """What to say about PARLEY_* names that nobody reads: most likely a typing mistake."""
    return tuple(
        f"{name} is not a setting: {nearest_hint(name, ENVIRONMENT)}"
        for name in sorted(environment)
        if name.startswith("PARLEY_") and name not in ENVIRONMENT and not name.startswith(_NOT_OURS)
    )


def _home(env: Mapping[str, str]) -> Path:
    if given := env.get("PARLEY_HOME"):
        return Path(given).expanduser().resolve()
    if sys.platform == "win32" and (local := env.get("LOCALAPPDATA")):
        return Path(local) / "parley"
    data = env.get("XDG_DATA_HOME") or "~/.local/share"
    return (Path(data) / "parley").expanduser().resolve()


def _config_path(given: Given, env: Mapping[str, str], home: Path) -> Path | None:
    named = given.config or (Path(env["PARLEY_CONFIG"]) if env.get("PARLEY_CONFIG") else None)
    if named is not None:
        named = named.expanduser()
        if not named.is_file():
            raise SettingsError(f"there is no configuration file {named}", hint="check --config and PARLEY_CONFIG")
        return named
    return next((path for path in (Path("parley.toml"), home / "parley.toml") if path.is_file()), None)


def _from_file(home: Path, path: Path | None) -> Settings:
    if path is None:
        return Settings(home)
    source = str(path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{source} cannot be read: {error.strerror}", hint="check who owns it") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{source} is not text in UTF-8", hint="check that this is a parley.toml") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{source} is not valid TOML: {error}") from None
    backends = _backends(tables.pop("backends", []), source)
    for name in tables:
        if name not in _TABLES:
            raise SettingsError(
                f"{source}: there is no table [{name}]", hint=nearest_hint(name, [*_TABLES, "backends"])
            )
    found = {
        name: fill(cls, tables[name], name, source, _WITHOUT.get(name, ()))
        for name, cls in _TABLES.items()
        if name in tables
    }
    settings = Settings(home, path, **found)
    return _checked(replace(settings, llm=replace(settings.llm, backends=backends)), source)


_WITHOUT = {"llm": ("backends",)}
"""Fields that have a place of their own in the file."""


def _backends(tables: object, source: str) -> tuple[BackendConfig, ...]:
    """The `[[backends]]` entries. A missing base_url is the usual one of its type."""
    if not isinstance(tables, list):
        raise SettingsError(f"{source}: backends must be written as [[backends]], once for each backend")
    specs = discover("llm.backends") if tables else {}
    found: list[BackendConfig] = []
    for index, table in enumerate(tables):
        where = f"backends[{index}]"
        kind = table.get("type") if isinstance(table, dict) else None
        if isinstance(kind, str) and (known := type_called(kind, specs)) in specs:
            table = {"base_url": specs[known].default_url, **table, "type": known}
        config = fill(BackendConfig, table, where, source)
        if config.type not in specs:
            raise SettingsError(
                f"{source}: {where}.type cannot be {config.type!r}", hint=nearest_hint(config.type, specs)
            )
        if not config.name or "/" in config.name or any(other.name == config.name for other in found):
            raise SettingsError(
                f"{source}: {where}.name {config.name!r} is empty, has a slash, or is used twice",
                hint="ask for a model as name/model",
            )
        if not config.base_url.startswith(("http://", "https://")):
            raise SettingsError(f"{source}: {where}.base_url must start with http:// or https://", hint="")
        for name, lowest in (("timeout_s", 0.001), ("connect_timeout_s", 0.001), ("first_token_timeout_s", 0.0)):
            if getattr(config, name) < lowest:
                raise SettingsError(f"{source}: {where}.{name} must be {'more than 0' if lowest else '0 or more'}")
        found.append(config)
    return tuple(found)


def _checked(settings: Settings, source: str) -> Settings:
    """Ranges that would only show later, far from their cause."""
    voice, turn = settings.voice, settings.voice.turn
    rules = (
        ("server.port", 0 <= settings.server.port <= 65535, "0 to 65535"),
        ("server.max_body_mb", 1 <= settings.server.max_body_mb <= 4096, "1 to 4096"),
        ("server.send_timeout_s", settings.server.send_timeout_s > 0, "more than 0"),
        ("llm.slots", 0 <= settings.llm.slots <= 20, "0 to 20; the ports after them are the speech workers'"),
        ("llm.slot_queue", 1 <= settings.llm.slot_queue <= 100_000, "1 to 100000"),
        ("llm.idle_unload_s", settings.llm.idle_unload_s >= 0, "0 (never) or more"),
        ("llm.swap_patience_s", settings.llm.swap_patience_s >= 0, "0 or more"),
        ("llm.memory_floor_mib", settings.llm.memory_floor_mib >= 0, "0 or more"),
        ("llm.slot_port_base", 1 <= settings.llm.slot_port_base <= 65000, "1 to 65000"),
        ("voice.vad.threshold", 0 < voice.vad.threshold < 1, "between 0 and 1"),
        ("voice.realtime.session_minutes", 0 < voice.realtime.session_minutes <= 10_080, "between 0 and 10080"),
        ("voice.wake.threshold", 0 < voice.wake.threshold < 1, "between 0 and 1"),
        (
            "voice.turn.stop_words",
            len(turn.stop_words) <= 64 and all(0 < len(each) <= 64 for each in turn.stop_words),
            "at most 64, of 1 to 64 characters",
        ),
        ("voice.turn.silence_ms", 32 <= turn.silence_ms <= 10_000, "32 to 10000"),
        ("voice.turn.pause_ms", 32 <= turn.pause_ms <= turn.silence_ms, "32 to silence_ms"),
        ("voice.turn.guess_ms", 32 <= turn.guess_ms <= 10_000, "32 to 10000"),
        (
            "voice.turn.max_silence_ms",
            turn.silence_ms <= turn.max_silence_ms <= 30_000,
            "silence_ms to 30000",
        ),
        ("voice.turn.lead_ms", 20 <= turn.lead_ms <= 5_000, "20 to 5000"),
        ("voice.turn.unsure_ms", 0 <= turn.unsure_ms <= 2_000, "0 to 2000"),
        ("voice.turn.max_turn_s", 1 <= turn.max_turn_s <= 600, "1 to 600"),
        ("voice.tools.timeout_s", 0 < voice.tools.timeout_s <= 50, "more than 0, up to 50"),
        ("voice.tools.max_rounds", 1 <= voice.tools.max_rounds <= 32, "1 to 32"),
        ("voice.tools.filler_after_ms", 0 <= voice.tools.filler_after_ms <= 60_000, "0 to 60000"),
        ("voice.record.max_mb", voice.record.max_mb >= 1, "at least 1"),
        ("voice.record.keep_days", 1 <= voice.record.keep_days <= 3650, "1 to 3650"),
        ("voice.resume_grace_s", 0 <= voice.resume_grace_s <= 600, "0 to 600"),
        ("voice.max_sessions", 1 <= voice.max_sessions <= 10_000, "1 to 10000"),
    )
    for name, holds, wanted in rules:
        if not holds:
            raise SettingsError(f"{source}: {name} is out of range", hint=f"{wanted}")
    _check_choice(source, "voice.turn.detector", turn.detector, ("auto", *discover("voice.turn_detection")))
    for stage, speech in (("stt", voice.stt), ("tts", voice.tts)):
        if speech.engine == "openai" and not speech.base_url:
            raise SettingsError(
                f'{source}: voice.{stage}.engine is "openai" and voice.{stage}.base_url is missing',
                hint='base_url = "http://127.0.0.1:8000/v1", for example',
            )
        known = ("auto", "openai", *discover(f"voice.{stage}"))
        _check_choice(source, f"voice.{stage}.engine", speech.engine, known)
    return settings


def _check_choice(source: str, name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1)
        raise SettingsError(
            f"{source}: {name} cannot be {value!r}",
            hint=f'did you mean "{near[0]}"?' if near else f"one of {', '.join(known)}",
        )


def _port(given: int | None, env: Mapping[str, str], name: str, default: int, lowest: int = 0) -> int:
    text = str(given) if given is not None else env.get(name) or str(default)
    if not text.strip().isdecimal() or not lowest <= int(text) <= 65535:
        raise SettingsError(f"{name} must be a port from {lowest} to 65535, not {text[:20]!r}")
    return int(text)


def _log_level(text: str) -> Literal["debug", "info", "warning", "error"]:
    match text.strip().lower():
        case "debug":
            return "debug"
        case "info":
            return "info"
        case "warning" | "warn":
            return "warning"
        case "error" | "critical":
            return "error"
    raise SettingsError(f"PARLEY_LOG_LEVEL cannot be {text[:20]!r}", hint="debug, info, warning or error")


def _admin_key(env: Mapping[str, str]) -> str:
    key = env.get("PARLEY_ADMIN_KEY", "").strip()
    if key and (not key.isascii() or not key.isprintable() or " " in key):
        raise SettingsError(
            "PARLEY_ADMIN_KEY is not usable as a key", hint="use letters, digits and punctuation, without spaces"
        )
    return key
