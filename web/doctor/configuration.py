"""The data folder, the settings, the models, the ports."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Mapping
from pathlib import Path

from llm.routing.routing_choice import RoutingFile, in_force
from llm.servers import ServersFile
from models.errors import ParleyError, SettingsError
from models.registry import discover
from models.store import Store
from voice.errors import VoiceError
from voice.parts import Kind, choose, wake_models
from voice.settings import SpeechServiceSettings
from web.doctor.finding import Finding
from web.keys import KeyFile
from web.serving.exposure import exposure
from web.settings import Settings, unknown_environment
from web.stages import better

__all__ = ["ears", "environment", "home", "ports", "stages"]

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
    if (exposed := exposure(settings.server.host)) is not None:
        found.append(Finding("warn", "Address", *exposed))
    return found


def home(settings: Settings) -> list[Finding]:
    """Can it be written to, is there room, are the keys private?"""
    folder = settings.home
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        return [Finding("fail", "Data folder", f"{existing} is a file", "set PARLEY_HOME to a folder")]
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
    for subject, read in (("Key file", KeyFile(keys).read), ("Servers", ServersFile(folder).read)):
        try:
            read()
        except ParleyError as error:
            found.append(Finding("fail", subject, error.message, error.hint))
    return found


def stages(settings: Settings) -> list[Finding]:
    """Which part would run each stage, why, and what would be better; and model files that are none."""
    store = Store(settings.home, [Path(path).expanduser() for path in settings.models.directories])
    voice = settings.voice
    found = [
        _speech("stt", "Recogniser", voice.stt, store),
        _language_model(settings, store),
        _speech("tts", "Voice", voice.tts, store),
    ]
    absent = [folder for folder in settings.models.directories if not Path(folder).expanduser().is_dir()]
    found += [
        Finding("warn", "Model folder", f"there is no folder {folder}", "mount it, or correct [models]")
        for folder in absent
    ]
    again = "fetch it again, or remove it"
    return found + [Finding("warn", "Model file", f"{bad.path}: {bad.reason}", again) for bad in store.problems()]


def _speech(kind: Kind, subject: str, settings: SpeechServiceSettings, store: Store) -> Finding:
    if settings.engine == "openai":
        return Finding("ok", subject, f"{settings.model or 'the default model'} at {settings.base_url} (configured)")
    try:
        chosen = choose(kind, settings, discover(f"voice.{kind}"), store.installed(kind))
    except (VoiceError, SettingsError) as error:
        return Finding("fail", subject, error.message, better(kind))
    text = f"{chosen.title} ({chosen.why})"
    return Finding("warn", subject, text, chosen.improve) if chosen.improve else Finding("ok", subject, text)


def _language_model(settings: Settings, store: Store) -> Finding:
    subject = "Language model"
    default = in_force(settings.llm, RoutingFile(settings.home).read())["default_model"]
    if configured := settings.voice.llm.model or default.value:
        how = "chosen on the admin page" if default.chosen and not settings.voice.llm.model else "configured"
        return Finding("ok", subject, f"{configured} ({how})")
    if (wanted := settings.llm.model) not in ("", "none"):
        try:
            return Finding("ok", subject, f"{store.find(wanted, 'llm').name} (configured)")
        except ParleyError as error:
            if not (settings.llm.model_url and settings.llm.auto_download_model):
                return Finding("fail", subject, f"llm.model: {error.message}", error.hint or better("llm"))
            return Finding("warn", subject, f"{wanted} is fetched at the start", "`parley up` shows how far it is")
    models = store.installed("llm")
    if models and settings.llm.model != "none":
        best = models[0]
        if best.bundled:
            return Finding("warn", subject, f"{best.name} (comes with Parley)", better("llm"))
        return Finding("ok", subject, f"{best.name} (best that is installed)")
    if settings.llm.backends:
        return Finding("ok", subject, ", ".join(backend.name for backend in settings.llm.backends))
    return Finding("fail", subject, "none", better("llm"))


def ears(settings: Settings) -> list[Finding]:
    """Load voice activity detection and wake words as the server does."""
    from voice.ears.ears import load_ears

    voice = settings.voice
    store = Store(settings.home, [Path(path).expanduser() for path in settings.models.directories])
    try:
        loaded = load_ears(voice.vad, voice.wake, wake_models(voice.wake, store))
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
