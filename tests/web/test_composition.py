"""The composition root takes everything down again."""

from __future__ import annotations

import threading
from pathlib import Path

import anyio

from models.clock import SystemClock
from tests.ports import free_port_block
from tests.scripted.process import ScriptedProcess
from voice.session.config import SessionConfig
from web.composition import open_services
from web.keys import AdminKey, KeyRing
from web.settings import Given, load


async def test_what_is_to_be_kept_is_on_the_disk_when_it_is_cancelled(
    tmp_path: Path, scripted_service: ScriptedProcess
) -> None:
    """The disk is slow, and a signal ends the server just after a session was made."""
    scripted_service.reset()
    path = tmp_path / "parley.toml"
    path.write_text(scripted_service.parley_config('[llm]\nmodel = "none"\n'), encoding="utf-8")
    settings = load(
        Given(config=path), {"PARLEY_HOME": str(tmp_path), "PARLEY_SLOT_PORT_BASE": str(free_port_block())}
    )
    keys = KeyRing(AdminKey.of("sk-the-key-of-the-house"), "sk-local")
    disk = threading.Event()
    with anyio.CancelScope() as scope:
        async with open_services(settings, keys, SystemClock()) as services:
            services.hub._files._writer.submit(disk.wait)
            services.hub.create("me", SessionConfig())
            threading.Timer(1.0, disk.set).start()
            scope.cancel()
            await anyio.sleep_forever()
    assert len(list((tmp_path / "sessions").glob("*.json"))) == 1
