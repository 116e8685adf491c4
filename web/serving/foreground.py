"""The server in the foreground: listen, start all services, print where it is reached, wait, end in order."""

from __future__ import annotations

import gc
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Mapping

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskStatus

from models.clock import Clock, SystemClock
from models.errors import SettingsError
from voice.session.hub import Hub
from web.app import create_app
from web.composition import open_services
from web.keys import AdminKey, KeyFile, KeyRing, new_key
from web.rest.signin import link_path
from web.services import Services
from web.serving.data_folder import claimed, unwritable
from web.serving.ending_signals import ending_signals
from web.serving.runfile import RunFile, RunningServer
from web.serving.server import AddressTaken, address_of, listen, serve
from web.settings import Settings
from web.stages import stages_of
from web.terminal.welcome import Welcome

__all__ = ["keep_what_is_here", "run_server", "wants_browser"]

_log = structlog.get_logger("web")
_END_WITHIN_S = 4.5
"""After a signal everything has this long; then the process ends as it is. Workers end with it by their lifeline."""
_GC_AFTER = (10_000, 1, 1)
"""New objects until the youngest are looked through: Python's 700 are those of two requests. All are looked through
after some four times as many. With Python's ten and ten it would be a hundred times, and a session that is over
leaves a few hundred objects that refer to each other and hold a third of a megabyte.
"""
_READY_EVERY_S = 0.1
_PATIENCE_S = 60.0
"""A stage that is not ready after this long has something to say about it."""


async def run_server(settings: Settings, welcome: Welcome, *, open_browser: bool) -> None:
    """Run until a signal ends it. Raises AddressTaken, SettingsError and what opening the parts raises."""
    listener = await anyio.to_thread.run_sync(_listener, settings)
    async with anyio.create_task_group() as group:
        await group.start(_end_on_signal, group.cancel_scope, welcome)
        try:
            with claimed(settings.home):
                await _run(settings, welcome, listener, open_browser)
        finally:
            listener.close()
            gc.unfreeze()
            gc.collect()  # a session that was cut off may hold a resampler, which complains at the exit
        group.cancel_scope.cancel()


def keep_what_is_here() -> None:
    """What was made until now stays: to look through it for garbage again and again would make requests wait."""
    gc.collect()
    gc.set_threshold(*_GC_AFTER)
    gc.freeze()
    gc.collect()  # next to nothing is left now, and Python remembers that: it waits until it has grown by a quarter


def _listener(settings: Settings) -> socket.socket:
    try:
        return listen(settings.server.host, settings.server.port)
    except AddressTaken as error:
        running = RunFile(settings.home).read()
        if running is None or not running.url.endswith(f":{settings.server.port}"):
            raise
        hint = (
            f"your Parley runs already: {running.url}. `parley link` prints a link to it, `parley talk` speaks to it"
        )
        raise AddressTaken(error.message, hint=hint) from None


async def _run(settings: Settings, welcome: Welcome, listener: socket.socket, open_browser: bool) -> None:
    clock = SystemClock()
    started_s = clock.now()
    file = KeyFile(settings.home / "keys.json")
    try:
        admin, fresh_key, keys_ns = await anyio.to_thread.run_sync(_admin_key, settings, file)
    except OSError as error:
        raise unwritable(settings.home, error) from None
    local_key = new_key()
    keys = KeyRing(admin, local_key, settings.admin_key)
    run_file = RunFile(settings.home)
    url = address_of(listener)
    async with open_services(settings, keys, clock) as services, anyio.create_task_group() as group:
        group.start_soon(_watch_keys, keys, file, keys_ns, services.hub)
        app = create_app(services)
        keep_what_is_here()
        await group.start(serve, app, listener, services.hub.shut)
        try:
            await anyio.to_thread.run_sync(run_file.write, RunningServer(url, os.getpid(), local_key))
        except OSError as error:
            raise unwritable(settings.home, error) from None
        try:
            welcome.address(url, fresh_key)
            link = await _announce(services, welcome, clock, started_s, url)
            if open_browser and wants_browser(os.environ, sys.stdout.isatty()):
                await anyio.to_thread.run_sync(webbrowser.open, link, abandon_on_cancel=True)
            await anyio.sleep_forever()
        finally:
            run_file.remove()


async def _announce(services: Services, welcome: Welcome, clock: Clock, started_s: float, url: str) -> str:
    """Say each stage when it is ready; then the table and a link, which is returned.

    A stage that does not get ready does not keep the others waiting for ever: after a while the table says what is
    wrong with it.
    """
    shown: set[str] = set()
    with welcome.waiting() as status:
        while True:
            stages = stages_of(services)
            for stage in stages:
                if stage.ready and stage.name not in shown:
                    shown.add(stage.name)
                    welcome.stage_ready(stage, clock.now() - started_s)
            missing = [stage.name for stage in stages if not stage.ready]
            if not missing or clock.now() - started_s > _PATIENCE_S or services.pool.problem is not None:
                break
            status(f"starting: {', '.join(missing)}")
            await anyio.sleep(_READY_EVERY_S)
    welcome.table(stages)
    llm = services.settings.llm
    welcome.slots(llm.slot_port_base, llm.slots, len(services.pool.slots))
    link = url + link_path(services.codes.issue())
    welcome.link(link, missing, clock.now() - started_s)
    return link


def _admin_key(settings: Settings, file: KeyFile) -> tuple[AdminKey, str, int]:
    """The kept key; on the first start a new one, which comes along to be shown. With PARLEY_ADMIN_KEY nothing is
    shown, but the file is made all the same: the secret of the cookies is in it, and pages stay signed in. Then the
    time of the file that was read, or of an older one.
    """
    seen_ns = file.modified_ns()
    admin = file.read()
    if admin is not None:
        return admin, "", seen_ns
    fresh = file.reset()
    seen_ns = file.modified_ns()
    admin = file.read()
    assert admin is not None
    return admin, "" if settings.admin_key else fresh, seen_ns


async def _watch_keys(keys: KeyRing, file: KeyFile, seen_ns: int, hub: Hub) -> None:
    """Take over what `parley keys reset` writes while we run. A file that cannot be used changes nothing."""
    while True:
        await anyio.sleep(2.0)
        now_ns = await anyio.to_thread.run_sync(file.modified_ns)
        if now_ns == seen_ns:
            continue
        seen_ns = now_ns
        try:
            admin = await anyio.to_thread.run_sync(file.read)
        except SettingsError as error:
            _log.warning("keys.unusable", problem=error.message, hint=error.hint)
            continue
        if admin is not None:
            keys.replace(admin)
            _log.warning("keys.replaced")
            await hub.end_outdated()


async def _end_on_signal(
    scope: anyio.CancelScope, welcome: Welcome, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    with anyio.open_signal_receiver(*ending_signals()) as signals:
        task_status.started()
        async for number in signals:
            if scope.cancel_called:
                os._exit(128 + number)  # asked twice
            welcome.stopping()
            late = threading.Timer(_END_WITHIN_S, os._exit, (1,))
            late.daemon = True
            late.start()
            scope.cancel()


def wants_browser(environment: Mapping[str, str], is_terminal: bool) -> bool:
    """Is somebody sitting before this machine's screen?"""
    if not is_terminal or environment.get("SSH_CONNECTION") or environment.get("CI"):
        return False
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))
