"""A server that runs: is it well, and could a browser or a microphone use it?"""

from __future__ import annotations

from importlib.util import find_spec

from models.errors import ParleyError
from web.doctor.finding import Finding
from web.serving.runfile import RunningServer
from web.terminal.api_client import ApiClient, Target

__all__ = ["microphone", "server"]


async def server(running: RunningServer | None) -> list[Finding]:
    """Ask the server itself, stage by stage."""
    if running is None:
        return [Finding("ok", "Server", "none of yours runs now", "`parley up` starts one")]
    try:
        async with ApiClient(Target(running.url, running.key)) as client:
            health = await client.get("/health")
    except ParleyError as error:
        return [Finding("fail", "Server", error.message, "look at its log, then end it and start it again")]
    found = []
    for part in health.get("parts", []):
        ready = bool(part.get("ready"))
        text = f"{part.get('part')}: {'ready' if ready else part.get('why') or 'not ready'}"
        found.append(Finding("ok" if ready else "fail", f"Stage {part.get('stage')}", text, part.get("improve", "")))
    status = str(health.get("status"))
    found.append(Finding("ok" if status == "ok" else "fail", "Server", f"{running.url} says: {status}"))
    return found


def microphone() -> list[Finding]:
    """For `parley talk` without a file. A browser needs nothing of this."""
    if find_spec("sounddevice") is None:
        return [
            Finding(
                "ok",
                "Microphone",
                "the live page uses the browser's; `parley talk` without a file needs sounddevice",
                'pip install "parley-voice[mic]"',
            )
        ]
    try:
        import sounddevice

        devices = list(sounddevice.query_devices())
    except OSError as error:
        return [
            Finding("warn", "Microphone", f"sounddevice cannot be used: {error}", "sudo apt install libportaudio2")
        ]
    inputs = [str(device["name"]) for device in devices if device["max_input_channels"] > 0]
    if not inputs:
        return [
            Finding("ok", "Microphone", "this machine has none; `parley talk FILE` and the live page need none here")
        ]
    return [Finding("ok", "Microphone", ", ".join(inputs[:4]))]
