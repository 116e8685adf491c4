"""The data folder, the settings, the models, the ports."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Mapping
from pathlib import Path

from models.store import Store
from voice.errors import VoiceError
from web.doctor.finding import Finding
from web.guards.origin import is_loopback
from web.settings import Settings, unknown_environment

__all__ = ["ears", "environment", "home", "installed_models", "ports"]

_GIB = 2**30
_SPEECH_PORTS = (20, 21)
"""The speech workers' ports, above the first slot's."""


def environment(settings: Settings, env: Mapping[str, str]) -> list[Finding]:
    """The configuration was read, or we would not be here; what may still be a slip?"""
    source = str(settings.config_path) if settings.config_path else "no parley.toml: everything has its default"
    found = [Finding("ok", "Configuration", source)]
    found += [
        Finding("warn", "Environment", notice, "unset it, or correct its name") for notice in unknown_environment(env)
    ]
    if not is_loopback(settings.server.host):
        found.append(
            Finding(
                "warn",
                "Address",
                f"listens on {settings.server.host}, so other machines can reach it, without encryption",
                "browsers give pages the microphone over HTTPS or on localhost only: put a reverse proxy with a "
                "certificate in front",
            )
        )
    return found


def home(settings: Settings) -> list[Finding]:
    """Can it be written to, is there room, are the keys private?"""
    folder = settings.home
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        return [Finding("fail", "Data folder", f"{folder} cannot be written to", "set PARLEY_HOME to another folder")]
    free = shutil.disk_usage(existing).free
    room = f"{folder}, {free / _GIB:.1f} GiB free"
    if free < _GIB // 8:
        found = [Finding("fail", "Data folder", room, "make room: sessions and keys could not be written")]
    elif free < 2 * _GIB:
        found = [Finding("warn", "Data folder", room, "there is little room for models")]
    else:
        found = [Finding("ok", "Data folder", room)]
    keys = folder / "keys.json"
    if os.name == "posix" and keys.exists() and stat.S_IMODE(keys.stat().st_mode) & 0o077:
        found.append(Finding("warn", "Key file", f"{keys} can be read by others", f"chmod 600 {keys}"))
    return found


def installed_models(settings: Settings) -> list[Finding]:
    """What is there, what comes with Parley, and what looks like a model and is none."""
    store = Store(settings.home, [Path(path).expanduser() for path in settings.models.directories])
    found = []
    names = {"llm": "Language models", "stt": "Recognition models", "tts": "Voices"}
    commands = {"llm": "a .gguf file", "stt": "a Whisper model in CTranslate2 form", "tts": "a Piper voice"}
    for kind, subject in names.items():
        models = [model for model in store.installed() if model.kind == kind]
        own = [model.name for model in models if not model.bundled]
        bundled = [model.name for model in models if model.bundled]
        if own:
            found.append(Finding("ok", subject, ", ".join(own[:8])))
        elif bundled or kind != "llm":
            text = (
                f"only what comes with Parley: {', '.join(bundled)}"
                if bundled
                else "none: the built-in engine does it"
            )
            found.append(Finding("warn", subject, text, f"put {commands[kind]} into {store.root}"))
        elif settings.llm.backends:
            names_of = ", ".join(backend.name for backend in settings.llm.backends)
            found.append(Finding("ok", subject, f"none here; backends: {names_of}"))
        else:
            found.append(Finding("fail", subject, "none", f"put {commands[kind]} into {store.root}"))
    again = "fetch it again, or remove it"
    problems = [Finding("warn", "Model file", f"{bad.path}: {bad.reason}", again) for bad in store.problems()]
    return found + problems


def ears(settings: Settings) -> list[Finding]:
    """Load voice activity detection and wake words as the server does."""
    from voice.ears import load_ears

    try:
        loaded = load_ears(settings.voice.vad, settings.voice.wake)
    except VoiceError as error:
        return [Finding("fail", "Ears", error.message, error.hint)]
    words = ", ".join(loaded.known_words()) or "none"
    return [Finding("ok", "Ears", f"{settings.voice.vad.engine}; wake words that are heard in the sound: {words}")]


def ports(settings: Settings, running_url: str | None) -> list[Finding]:
    """Are the ports free? Those of a running server of ours are taken, and should be."""
    if running_url is not None:
        return [Finding("ok", "Ports", f"a server of yours runs at {running_url}")]
    server, base = settings.server, settings.llm.slot_port_base
    found = []
    if not _is_free(server.host, server.port):
        found.append(
            Finding(
                "fail", "Port", f"{server.port} is in use by another program", "parley up --port with another one"
            )
        )
    taken = [port for port in (base, *(base + offset for offset in _SPEECH_PORTS)) if not _is_free("127.0.0.1", port)]
    if taken:
        text = f"{', '.join(map(str, taken))} of the workers are in use by another program"
        found.append(Finding("fail", "Ports", text, "PARLEY_SLOT_PORT_BASE moves them"))
    return found or [Finding("ok", "Ports", f"{server.port} and the workers' from {base} on are free")]


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
