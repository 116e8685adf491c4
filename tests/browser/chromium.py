"""A headless Chromium with a sound file as its microphone, driven over the Chrome DevTools Protocol."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import psutil

__all__ = ["Chromium", "PageError", "find_chromium", "running_chromium"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
_FAKE_DEVICE = ("--use-fake-device-for-media-stream",)
_ALLOW = ("--use-fake-ui-for-media-stream",)
_MOST_LOGGED = 200


class PageError(AssertionError):
    """What was waited for did not come; the message holds the page's own complaints."""


def find_chromium() -> str | None:
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One page. Use `running_chromium`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._news = anyio.Event()
        self.problems: deque[str] = deque(maxlen=_MOST_LOGGED)
        """Uncaught exceptions, console errors, refused requests."""
        self.requested: deque[str] = deque(maxlen=2000)
        """Every address that the page asked for."""

    async def read(self) -> None:
        async for frame in self._socket:
            message = json.loads(frame.data)
            if "id" in message:
                self._answers[message["id"]] = message
                self._news.set()
                self._news = anyio.Event()
            else:
                self._note(message.get("method", ""), message.get("params", {}))

    def _note(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                text = details.get("exception", {}).get("description", details["text"])
                self.problems.append(f"uncaught: {text}")
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                parts = [str(arg.get("value", arg.get("description", ""))) for arg in params["args"]]
                self.problems.append(f"console.{params['type']}: {' '.join(parts)}")
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                entry = params["entry"]
                self.problems.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")
            case "Network.requestWillBeSent":
                self.requested.append(params["request"]["url"])
            case "Network.webSocketCreated":
                self.requested.append(params["url"])

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the protocol. Raises PageError."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        with anyio.fail_after(60):
            while number not in self._answers:
                await self._news.wait()
        answer = self._answers.pop(number)
        if "error" in answer:
            raise PageError(f"{method}: {answer['error']['message']}")
        return dict(answer["result"])

    async def evaluate(self, expression: str, *, gesture: bool = False) -> Any:
        """The value of a JavaScript expression; promises are awaited. `gesture`: as if the user had clicked."""
        result = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=gesture
        )
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise PageError(f"{expression}: {details.get('exception', {}).get('description', details['text'])}")
        return result["result"].get("value")

    async def goto(self, url: str) -> None:
        await self.call("Page.navigate", url=url)

    async def wait_for(self, expression: str, what: str, timeout_s: float = 60) -> Any:
        """The first truthy value of `expression`. Raises PageError saying `what` did not come."""
        with anyio.move_on_after(timeout_s):
            while True:
                try:
                    value = await self.evaluate(
                        f"(() => {{ try {{ return {expression} }} catch {{ return null }} }})()"
                    )
                except PageError:
                    value = None  # between two pages there is nothing to ask
                if value:
                    return value
                await anyio.sleep(0.05)
        seen = await self.evaluate("window.parley ? JSON.stringify(window.parley, Object.keys(window.parley)) : ''")
        text = await self.evaluate("document.body?.innerText ?? ''")
        raise PageError(f"{what} did not come in {timeout_s} s; page: {text!r}; {seen}; problems: {[*self.problems]}")

    async def click(self, selector: str) -> None:
        """A real click of the mouse on the middle of an element."""
        place = await self.evaluate(
            f"(() => {{ const r = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2] })()"
        )
        await self.mouse("mousePressed", *place)
        await self.mouse("mouseReleased", *place)

    async def mouse(self, kind: str, x: float, y: float) -> None:
        await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def key(self, kind: str, key: str, code: str) -> None:
        """`kind`: keyDown or keyUp."""
        await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=ord(key[0]))

    async def press(self, key: str, code: str) -> None:
        await self.key("keyDown", key, code)
        await self.key("keyUp", key, code)

    async def type(self, text: str) -> None:
        await self.call("Input.insertText", text=text)

    async def size(self, width: int, height: int, *, mobile: bool = False, scale: float = 1.0) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )

    async def media(self, **features: str) -> None:
        """CSS media features, such as prefers_color_scheme="dark"."""
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        await self.call("Emulation.setEmulatedMedia", features=listed)


@asynccontextmanager
async def running_chromium(
    microphone: Path | None = None, *, allow: bool = True, name: str = ""
) -> AsyncIterator[Chromium]:
    """Chromium with one empty page, until the block ends. `microphone`: a WAV that is played once, when it is opened.

    `allow`: whether the page gets the microphone; the user is never asked. `name`: this machine's, beside localhost.
    """
    program = find_chromium()
    assert program is not None
    flags = [*_FLAGS, *_FAKE_DEVICE, *(_ALLOW if allow else ())]
    if name:
        flags.append(f"--host-resolver-rules=MAP {name} 127.0.0.1")
    if microphone is not None:
        flags.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    with tempfile.TemporaryDirectory(prefix="parley-chromium-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [program, *flags, f"--user-data-dir={folder}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            port = await _debugging_port(process, Path(folder) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as http, anyio.create_task_group() as tasks:
                async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    pages = [page for page in await answer.json() if page["type"] == "page"]
                async with http.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    page = Chromium(socket)
                    tasks.start_soon(page.read)
                    for domain in ("Page", "Runtime", "Log", "Network"):
                        await page.call(f"{domain}.enable")
                    yield page
                    tasks.cancel_scope.cancel()
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Chromium and the processes it made."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in psutil.wait_procs(family, timeout=5)[1]:
        child.kill()


async def _debugging_port(process: subprocess.Popen[bytes], path: Path) -> int:
    with anyio.fail_after(60):
        while process.poll() is None:
            if path.is_file() and (lines := path.read_text(encoding="utf-8").split()):
                return int(lines[0])
            await anyio.sleep(0.05)
    raise RuntimeError(f"Chromium ended with {process.returncode}")
