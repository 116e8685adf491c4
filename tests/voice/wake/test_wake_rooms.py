"""Two devices of one user in one room hear the same wake word: the nearer one answers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import anyio
import numpy as np

from models.clock import SystemClock
from tests.recordings import needs_recordings, recording
from tests.voice.scripted_parts import ScriptedMind, ScriptedStt, ScriptedVoice
from tests.voice.session.test_session import PCM, Wire
from voice.ears.ears import load_ears
from voice.session.config import SessionConfig, WakeConfig
from voice.session.hub import Hub
from voice.session.session import SessionParts
from voice.settings import VadSettings, VoiceSettings, WakeSettings

pytestmark = needs_recordings


async def woken(
    home: Path, owners: tuple[str, str], levels: tuple[float, float], *, second_writes: bool = False
) -> list[bool]:
    """Which of two devices woke, that hear one "alexa" at two levels over the same noise.

    `second_writes`: the second one only writes down what is said.
    """
    word = recording("wake/recordings/alexa/alexa_100.wav").pcm().astype(np.float64)
    ears, mind = load_ears(VadSettings(), WakeSettings()), ScriptedMind()
    parts = SessionParts(ears, ScriptedStt(), mind, ScriptedVoice(), mind.forget, SystemClock())
    hub = Hub(VoiceSettings(resume_grace_s=0), home / "live", SystemClock(), lambda: parts)
    config = SessionConfig(audio=PCM, wake=WakeConfig(True, ("alexa",)))
    configs = (config, replace(config, transcribe_only=second_writes))
    hearing = asyncio.get_running_loop().create_task(ears.run())
    wires = [Wire(), Wire()]
    rng = np.random.default_rng(0)
    async with anyio.create_task_group() as tasks:
        for wire, owner, config in zip(wires, owners, configs, strict=True):
            tasks.start_soon(hub.connect, hub.create(owner, config)[0], wire)
            await wire.wait("ready")
        for wire, level in zip(wires, levels, strict=True):
            sound = np.concatenate((np.zeros(16_000), word * level, np.zeros(16_000)))
            noisy = sound + rng.normal(0, 20, len(sound))
            wire.put(noisy.clip(-32768, 32767).astype(np.int16).tobytes())
        heard = "wake"
        with anyio.move_on_after(60):
            while not any(wire.of(heard) for wire in wires):
                await anyio.sleep(0.02)
        await anyio.sleep(0.5)
        for wire in wires:
            wire.hang_up()
    for wire in wires:
        wire.dispose()
    hearing.cancel()
    await asyncio.wait([hearing])
    return [bool(wire.of(heard)) for wire in wires]


async def test_the_nearer_one_answers(tmp_path: Path) -> None:
    assert await woken(tmp_path, ("me", "me"), (0.2, 1.0)) == [False, True]


async def test_two_users_are_both_answered(tmp_path: Path) -> None:
    assert await woken(tmp_path, ("me", "you"), (0.5, 1.0)) == [True, True]


async def test_one_that_only_writes_down_wakes_beside_the_one_that_answers(tmp_path: Path) -> None:
    assert await woken(tmp_path, ("me", "me"), (0.2, 1.0), second_writes=True) == [True, True]
