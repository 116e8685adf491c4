"""An admin with a browser: loads a model, watches a download, chooses who answers, finds it so after a restart."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from aiohttp import web

from tests.browser.chromium import Chromium, running_chromium
from tests.browser.line import Line
from tests.llm.slot_house import small_model
from tests.parley_process import ParleyProcess, running_parley
from tests.scripted.process import ScriptedProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

MARKUP = "<img src=x onerror=alert(1)>"
LONG = "a-very-long-name-" * 17
EXTRA = f"""
[[backends]]
name = "{MARKUP}"
type = "openai"
base_url = "http://127.0.0.1:9/v1"

[[backends]]
name = "{LONG}"
type = "openai"
base_url = "http://127.0.0.1:9/v1"

[llm]
model = "parley-mini"
[llm.engine]
ctx_size = 256
parallel = 2
"""


BARS = """
import('/static/admin/pictures.js').then(({Bars}) => {
  const bars = new Bars();
  bars.show([1, 0, 2, 300], 'four requests');
  return [bars.path.getAttribute('d').split('M').length - 1, bars.element.getAttribute('aria-label')];
})
"""


class SlowHub:
    """Serves one file, and holds back its second half until `go_on`."""

    url = ""

    def __init__(self) -> None:
        self.go_on = anyio.Event()
        self.model_bytes = small_model().read_bytes()

    async def model(self, request: web.Request) -> web.Response:
        siblings = [{"rfilename": "model.gguf", "size": len(self.model_bytes)}]
        return web.json_response({"id": "owner/repo", "siblings": siblings, "tags": [], "downloads": 0})

    async def file(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(self.model_bytes)), "ETag": '"1"'})
        await response.prepare(request)
        half = len(self.model_bytes) // 2
        await response.write(self.model_bytes[:half])
        await self.go_on.wait()
        await response.write(self.model_bytes[half:])
        return response


@pytest.fixture
async def hub() -> AsyncIterator[SlowHub]:
    hub = SlowHub()
    app = web.Application()
    app.router.add_get("/api/models/owner/repo", hub.model)
    app.router.add_get("/owner/repo/resolve/{revision}/model.gguf", hub.file)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield hub
    hub.go_on.set()
    await runner.cleanup()


async def section(page: Chromium, name: str) -> None:
    await page.click(f'.sections a[href="#{name}"]')
    await page.wait_for(f"parley.loaded === '{name}'", name)


async def click(page: Chromium, selector: str) -> None:
    """On an element that may lie below the fold."""
    await page.wait_for(f"document.querySelector({selector!r})?.checkVisibility()", selector)
    await page.evaluate(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
    await page.click(selector)


async def overflowing(page: Chromium) -> int:
    await page.size(360, 740, mobile=True)
    wide = int(await page.evaluate("document.documentElement.scrollWidth"))
    await page.size(1280, 900)
    return wide - 360


async def test_an_admin_looks_after_the_server(
    tmp_path: Path, scripted_service: ScriptedProcess, hub: SlowHub
) -> None:
    (tmp_path / "models").mkdir()
    shutil.copyfile(small_model(), tmp_path / "models" / "tiny.gguf")
    config, env = scripted_service.parley_config(EXTRA), {"HF_ENDPOINT": hub.url}
    async with running_chromium() as page:
        await page.size(1280, 900)
        with running_parley(tmp_path, config=config, env=env) as server:
            async with Line(server.port) as line:
                await sign_in(page, server, line.port)
                await performance(page, server)
                await slots(page)
                await downloads(page, hub)
                await choosing(page)
                await turns(page)
                assert not page.problems
                await section(page, "slots")
                await line.cut()
                await page.wait_for("parley.connection === 'waiting'", "the news that the server is away")
                await page.size(360, 740, mobile=True)
                assert await page.evaluate("document.querySelector('.connection').clientHeight") < 60, "two lines"
                await page.size(1280, 900)
                await click(page, "#slots .card-head button")
                said = "document.querySelector('dialog[open] .problem').innerText"
                await page.wait_for(f"{said} === 'The server does not answer.'", "the same news in the dialog")
                await line.mend()
                await page.wait_for("parley.connection === 'open'", "the server again")
                await page.call("Network.clearBrowserCookies")
                await page.wait_for("document.activeElement.id === 'key'", "a field for the key that can be reached")
                await page.type(server.admin_key)
                await page.click("#key-form button")
                await page.wait_for("parley.connection === 'open'", "the page again")
        with running_parley(tmp_path, config=config, env=env) as server:
            await page.goto(f"{server.base_url}/admin/#backends")
            await page.wait_for("parley.loaded === 'backends'", "the backends after the restart")
            assert await page.evaluate("document.querySelector('[name=backend]').value") == "scripted"
            assert "Chosen here" in await page.evaluate("document.querySelector('#backends form').innerText")
            await click(page, "#backends .actions button[type=button]")
            await page.wait_for("document.querySelector('[name=backend]').value === ''", "the settings again")
            await click(page, "footer button")
            await page.wait_for("location.pathname === '/signin'", "the sign-in page")
            await page.goto(f"{server.base_url}/admin/")
            await page.wait_for("location.pathname === '/signin' && document.forms.length", "the sign-in page again")


async def sign_in(page: Chromium, server: ParleyProcess, port: int) -> None:
    link = server.post("/admin/api/signin-links", {})["path"]
    await page.goto(f"http://127.0.0.1:{port}{link}")
    await page.wait_for("!document.getElementById('open-admin').hidden", "the way to the admin page")
    await page.click("#open-admin")
    await page.wait_for("location.pathname === '/admin/' && parley.connection === 'open'", "the admin page")


async def performance(page: Chromium, server: ParleyProcess) -> None:
    assert "Nothing has been asked yet" in await page.evaluate("document.getElementById('performance').innerText")
    body = {"model": "parley-mini", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
    await anyio.to_thread.run_sync(server.post, "/v1/chat/completions", body)
    await page.wait_for("document.querySelector('.performance-row .name').innerText === 'parley-mini'", "its row")
    row = await page.evaluate("document.querySelector('.performance-row').innerText")
    assert "slot 1" in row and "Requests\n1" in row and "Errors\nnone" in row
    assert await page.evaluate(BARS) == [3, "four requests"]
    assert await overflowing(page) <= 0


async def slots(page: Chromium) -> None:
    await section(page, "slots")
    assert await page.evaluate("document.querySelectorAll('.slot').length") == 7
    assert "parley-mini" in await page.evaluate("document.getElementById('slot-1').innerText")
    await click(page, "#slot-3 button[aria-label^='Load']")
    await page.wait_for("!!document.querySelector('dialog[open] option[value$=\"tiny.gguf\"]')", "the models")
    await page.evaluate(
        "(s => { s.value = [...s.options].find(o => o.value.endsWith('tiny.gguf')).value })"
        "(document.querySelector('dialog[open] [name=model]'))"
    )
    await page.click("dialog[open] [type=submit]")
    await page.wait_for("!!document.querySelector('#slot-3[data-status=ready]')", "the model in its slot")
    assert "tiny" in await page.evaluate("document.getElementById('slot-3').innerText")
    await click(page, "#slot-3 button[aria-label='Unload slot 3']")
    await page.wait_for("!!document.querySelector('#slot-3[data-status=empty]')", "the empty slot")
    assert await overflowing(page) <= 0


async def downloads(page: Chromium, hub: SlowHub) -> None:
    await section(page, "downloads")
    await page.click("#downloads input[name=model]")
    await page.type("owner/repo")
    await page.click("#downloads [type=submit]")
    half = "Number(document.querySelector('.job [role=progressbar]').getAttribute('aria-valuenow')) === 50"
    await page.wait_for(half, "half of the file")
    assert "50 % · " in await page.evaluate("document.querySelector('.job').innerText")
    hub.go_on.set()
    await page.wait_for("!!document.querySelector('.job[data-status=done]')", "the whole file")
    await page.evaluate("document.querySelector('#downloads input[name=model]').value = 'no-such-name'")
    await page.click("#downloads [type=submit]")
    await page.wait_for("!!document.querySelector('.said.wrong')?.innerText.includes('no-such-name')", "the error")
    page.problems.clear()  # the browser's own line about the 404
    assert await overflowing(page) <= 0


async def choosing(page: Chromium) -> None:
    await section(page, "backends")
    shown = await page.evaluate("document.getElementById('backends').innerText")
    assert MARKUP in shown and LONG[:40] in shown and "does not answer" in shown
    assert await page.evaluate("document.querySelectorAll('#backends img').length") == 0
    assert LONG not in await page.evaluate("document.querySelector('.asked').innerText")
    await page.evaluate(
        "(s => { s.value = 'scripted'; s.dispatchEvent(new Event('change')) })"
        "(document.querySelector('[name=backend]'))"
    )
    await click(page, "#backends [type=submit]")
    chosen = "document.querySelector('#backends form').innerText.includes('Chosen here')"
    await page.wait_for(chosen, "the choice")
    assert "Now asked: scripted" in await page.evaluate("document.querySelector('.asked').innerText")
    assert await overflowing(page) <= 0


async def turns(page: Chromium) -> None:
    await section(page, "turns")
    assert "Nobody has spoken" in await page.evaluate("document.getElementById('turns').innerText")
    nameless = "[...document.querySelectorAll('button, input, select, a')].filter(e => e.checkVisibility())"
    names = f"{nameless}.filter(e => !(e.innerText || e.ariaLabel || e.labels?.length)).map(e => e.outerHTML)"
    assert await page.evaluate(names) == []
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    await page.evaluate(hide.replace("%s", "true") + "document.dispatchEvent(new Event('visibilitychange'))")
    await anyio.sleep(1.5)  # what was under way has come
    before = len(page.requested)
    await anyio.sleep(2.5)
    assert len(page.requested) == before, "a page that nobody sees asks for nothing"
    await page.evaluate(hide.replace("%s", "false") + "document.dispatchEvent(new Event('visibilitychange'))")
    with anyio.fail_after(60):
        while len(page.requested) == before:
            await anyio.sleep(0.05)
