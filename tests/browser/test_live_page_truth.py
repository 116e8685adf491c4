"""What the live page shows and reports is so, also after an end, a cut, and a device that goes away."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.browser.conftest import PageOpener
from tests.browser.line import Line
from tests.browser.speech import say, write_microphone
from tests.browser.test_live_page import LONG, start_talking, turn, type_turn
from tests.parley_process import ParleyProcess
from tests.scripted.process import ScriptedProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

RECORD_SENT = """
window.sent = [];
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  if (typeof data === 'string') window.sent.push(JSON.parse(data));
  send.call(this, data);
};
"""
OWN_MICROPHONE = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  window.stream = await open(wanted);
  if (window.pulled) window.stream.getTracks()[0].stop();
  return window.stream;
};
"""
FASTER = """
const [every, once, limit] = [window.setInterval, window.setTimeout, AbortSignal.timeout];
window.setInterval = (work, ms) => every(work, ms / 10);
window.setTimeout = (work, ms) => once(work, ms > 10000 ? ms / 10 : ms);
AbortSignal.timeout = (ms) => limit.call(AbortSignal, ms / 10);
"""
LABEL = "document.getElementById('talk-label').textContent"

END_AFTER_THE_LAST_SAMPLE = """
import('/static/live/speaker.js').then(async ({Speaker}) => {
  const reports = [];
  const speaker = new Speaker((reply, ms, isEnd) => reports.push([reply, ms, isEnd]));
  await speaker.open();
  speaker.play('reply-1', new Int16Array(2400).buffer);
  while (speaker.last.samples < 2400) await new Promise(done => setTimeout(done, 10));
  speaker.end('reply-1');
  for (let i = 0; i < 50 && !reports.at(-1)[2]; i++) await new Promise(done => setTimeout(done, 20));
  return reports.at(-1);
})
"""

PUT_TO_SLEEP = """
Promise.all([import('/static/live/speaker.js'), import('/static/live/microphone.js')])
  .then(async ([{Speaker}, {Microphone}]) => {
    const parts = [new Speaker(() => {}), new Microphone(() => {}, () => {})];
    for (const part of parts) {
      await part.open({deviceId: '', echoCancellation: true});
      await part.context.suspend();
      while (part.context.state !== 'running') await new Promise(done => setTimeout(done, 50));
    }
    return parts.map(part => part.context.state);
  })
"""

REPLY_OVER_A_NOTE = """
import('/static/live/conversation.js').then(({Conversation}) => {
  document.getElementById('turns').replaceChildren();
  const conversation = new Conversation(document);
  conversation.final('tell me a story');
  conversation.note('The connection is back.');
  conversation.partial('hm');
  if (%s) conversation.drop();
  conversation.write('reply-7', 'Once upon a time.');
  const [turn] = document.querySelectorAll('.turn');
  return [turn.innerText, turn.querySelectorAll('.waiting').length];
})
"""

STOP_WORD = """
import('/static/live/conversation.js').then(({Conversation}) => {
  document.getElementById('turns').replaceChildren();
  const conversation = new Conversation(document);
  const said = (text, is_final, is_request) => conversation.transcript({text, is_final, is_request});
  said('tell me a story', true, true);
  conversation.write('reply-8', 'Once upon a time.');
  said('stop', false, false);
  said('stop it', true, false);
  return [...document.getElementById('turns').children].map((line) => line.innerText.replaceAll(/\\s+/g, ' '));
})
"""


# ---- conversations and connections -----------------------------------------------------------------------------


async def test_conversations_end_and_begin_anew(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    scripted_service.reset()
    scripted_service.script(replies=[LONG, "Yes, certainly."])
    async with live_page(scripted_parley) as page:
        await page.evaluate(RECORD_SENT)
        await start_talking(page)
        await type_turn(page, "tell me a story")
        await page.wait_for("parley.playback.samples > 48000", "two seconds of the story")
        await page.click("#end")
        assert not await page.evaluate("parley.microphone.on")
        await start_talking(page)
        await page.evaluate("window.sent.length = 0")
        await type_turn(page, "hello")
        told = await turn(page, 1)
        assert told["output_transcript"] == told["heard_transcript"] == "Yes, certainly."
        assert told["latency"]["first_audio_played"] > 0
        reports = "window.sent.filter(m => m.type === 'played').map(m => m.ms)"
        length_ms = 60 * len("Yes, certainly.")
        await page.wait_for(f"{reports}.at(-1) === {length_ms}", "the report of the last sample")
        assert await page.evaluate(f"Math.max(...{reports})") == length_ms
        url = f"{scripted_parley.ws_url}/v1/audio/live/ws/{await page.evaluate('parley.token')}"
        async with aiohttp.ClientSession() as http, http.ws_connect(url):
            await page.wait_for("parley.connection === 'closed'", "the end, as the user talks elsewhere")
            assert not await page.evaluate("parley.microphone.on")
            assert await page.evaluate(LABEL) == "Start talking"
            assert "Press Start talking" in await page.evaluate("document.querySelector('.note').innerText")
            await start_talking(page)


async def test_an_end_while_the_connection_is_cut(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    """What is heard of the next conversation is counted from its own beginning."""
    scripted_service.reset()
    async with Line(scripted_parley.port) as line, live_page(scripted_parley, port=line.port) as page:
        await start_talking(page)
        token = await page.evaluate("parley.token")
        await line.cut()
        await page.wait_for("parley.notice === 'waiting'", "the notice")
        await page.click("#end")
        assert await page.evaluate("[parley.notice, parley.connection]") == ["", "closed"]
        await line.mend()
        await start_talking(page)
        assert await page.evaluate("parley.token") != token
        assert await page.evaluate("parley.resumes") == 0


async def test_what_was_typed_while_the_conversation_was_lost_is_asked_in_the_next(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    scripted_service.reset()
    scripted_service.script(replies=["Yes."])
    async with Line(scripted_parley.port) as line, live_page(scripted_parley, port=line.port) as page:
        await type_turn(page, "hello")
        await turn(page, 1)
        url = f"{scripted_parley.base_url}/v1/audio/live/{await page.evaluate('parley.token')}"
        await line.cut()
        await page.wait_for("parley.notice === 'waiting'", "the notice")
        await type_turn(page, "are you still there")
        await page.wait_for("document.getElementById('typed').value === ''", "the sent line")
        async with aiohttp.ClientSession() as http:
            (await http.delete(url, headers=scripted_parley.headers)).raise_for_status()
        await line.mend()
        assert (await turn(page, 2))["input_transcript"] == "are you still there"


async def test_a_server_that_takes_requests_and_says_nothing(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    scripted_service.reset()
    scripted_service.script(replies=["Yes."])
    async with Line(scripted_parley.port) as line, live_page(scripted_parley, port=line.port) as page:
        await page.evaluate(FASTER)
        await page.evaluate(OWN_MICROPHONE)
        await line.cut()
        await line.mend(silent=True)
        await page.click("#talk")
        await page.wait_for("['silent', 'failed'].includes(parley.notice)", "the notice, and no half start")
        assert "does not answer" in await page.evaluate("document.getElementById('notice').innerText")
        await page.wait_for("window.stream.getTracks()[0].readyState === 'ended'", "the closed microphone")
        await line.cut()
        await line.mend()
        await page.click("#notice-close")
        await page.call("Fetch.enable", patterns=[{"urlPattern": "*/v1/audio/live"}])  # held back, never gone on with
        await type_turn(page, "hello")
        await page.wait_for("parley.notice === 'waiting'", "the end of patience")
        assert "does not answer" in await page.evaluate("document.getElementById('notice').innerText")
        assert await page.evaluate("document.getElementById('typed').value") == "hello"
        await page.call("Fetch.disable")
        await page.wait_for("parley.connection === 'open'", "the conversation")
        await line.cut()
        await line.mend(silent=True)
        await page.wait_for("parley.connection === 'connecting'", "a socket that nobody answers")
        await page.wait_for("parley.connection === 'waiting'", "the end of patience")
        await line.cut()
        await line.mend()
        await page.wait_for("parley.resumes === 1", "the conversation going on")


# ---- the microphone ------------------------------------------------------------------------------------------


async def test_another_microphone_and_none(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener, tmp_path: Path
) -> None:
    """The server is told whether the browser cancels the echo; one that is unplugged hears nothing, and says so."""
    scripted_service.reset()
    scripted_service.script(replies=["Yes."])
    microphone = write_microphone(tmp_path / "mic.wav", *[say("Hello, can you hear me?")] * 20)
    async with live_page(scripted_parley, microphone) as page:
        await page.evaluate(RECORD_SENT)
        await page.evaluate(OWN_MICROPHONE)
        await type_turn(page, "hello")
        await turn(page, 1)
        await start_talking(page)
        echo = "window.sent.findLast(m => m.type === 'update')?.turn_config.echo"
        await page.wait_for(f"{echo} === 'cancelled'", "the news of the microphone")
        await page.evaluate("document.querySelector('[name=echo]').click()")
        await page.wait_for(f"{echo} === 'auto'", "the news of the other one")
        await page.wait_for("parley.microphone.level > 0.02", "a sound")
        await page.evaluate(
            "(track => { track.stop(); track.dispatchEvent(new Event('ended')) })(window.stream.getTracks()[0])"
        )
        assert await page.evaluate("[parley.microphone.on, parley.microphone.level]") == [False, 0]
        assert await page.evaluate("document.getElementById('meter').getAttribute('aria-valuenow')") == "0"
        await page.evaluate("window.pulled = true")
        await page.click("#talk")
        await page.wait_for("parley.notice === 'failed'", "the notice")
        assert not await page.evaluate("parley.microphone.on")


# ---- single parts, in the browser ----------------------------------------------------------------------------


async def test_parts(scripted_parley: ParleyProcess, live_page: PageOpener) -> None:
    """A reply's end is reported also when it is told after its last sample; audio that the system puts to sleep is
    woken; a reply stands in its turn and not in a note that came after it; a stop word is noted once."""
    async with live_page(scripted_parley) as page:
        assert await page.evaluate(END_AFTER_THE_LAST_SAMPLE, gesture=True) == ["reply-1", 100, True]
        assert await page.evaluate(PUT_TO_SLEEP, gesture=True) == ["running", "running"]
        for dropped in ("true", "false"):
            text, dots = await page.evaluate(REPLY_OVER_A_NOTE % dropped)
            assert "Once upon" in text and dots == 0
        assert await page.evaluate(STOP_WORD) == ["tell me a story Once upon a time.", "I heard “stop it”"]
