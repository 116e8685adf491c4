"""A person with a browser: opens the live page, speaks, is answered aloud, interrupts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser.chromium import Chromium
from tests.browser.conftest import PageOpener
from tests.browser.line import Line
from tests.browser.speech import RATE_HZ, read_wav, say, write_microphone
from tests.parley_process import ADMIN_KEY, ParleyProcess
from tests.scripted.process import ScriptedProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LONG = (
    "It is a long story, and I will take my time with it. Once upon a time there was a miller who had three sons, "
    "a mill, a donkey and a cat. When he died the eldest took the mill, the second took the donkey, and for the "
    "youngest nothing was left but the cat, who could speak, and asked for a pair of boots."
)
RECORD_STATES = """
window.seen = [];
new MutationObserver(() => window.seen.push(document.body.dataset.state))
  .observe(document.body, {attributes: true, attributeFilter: ['data-state']});
"""

SLOW_MICROPHONE = """
window.streams = [];
const granted = new Promise((resolve) => (window.grant = resolve));
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  await granted;
  const stream = await open(wanted);
  window.streams.push(stream);
  return stream;
};
"""
NO_LOUDSPEAKER = """
const add = AudioWorklet.prototype.addModule;
AudioWorklet.prototype.addModule = function (url) {
  const refused = !window.works && String(url).includes('playback');
  return refused ? Promise.reject(new Error('out of order')) : add.call(this, url);
};
"""
LIVE_TRACKS = "window.streams.flatMap(s => s.getTracks()).filter(t => t.readyState === 'live').length"

TONES_THROUGH_THE_RESAMPLER = """
import('/static/live/resampler.js').then(({Resampler}) => {
  const through = (rate, hz) => {
    const resampler = new Resampler(rate, 16000);
    let energy = 0, count = 0, input = 0;
    for (let block = 0; block < rate / 128; block++) {
      const wave = (_, i) => Math.sin(2 * Math.PI * hz * (block * 128 + i) / rate);
      const output = resampler.process(Float32Array.from({length: 128}, wave));
      if (block < 20) continue;
      input += 128;
      count += output.length;
      for (const sample of output) energy += sample * sample;
    }
    return [10 * Math.log10(2 * energy / count), rate * count / input];
  };
  const tones = [[48000, 300], [48000, 3000], [48000, 6500], [48000, 10000], [44100, 3000], [44100, 10000]];
  return Object.fromEntries(tones.map(([rate, hz]) => [`${rate} ${hz}`, through(rate, hz)]));
})
"""


async def turns(page: Chromium) -> list[dict[str, Any]]:
    return list(await page.evaluate("parley.turns"))


async def turn(page: Chromium, number: int, timeout_s: float = 60) -> dict[str, Any]:
    """The turn of this number, 1 for the first, when it is complete."""
    await page.wait_for(f"parley.turns.length >= {number}", f"turn {number}", timeout_s)
    return (await turns(page))[number - 1]


async def start_talking(page: Chromium) -> None:
    await page.click("#talk")
    await page.wait_for("parley.connection === 'open' && parley.microphone.on", "the conversation")


async def type_turn(page: Chromium, text: str) -> None:
    await page.click("#typed")
    await page.type(text)
    await page.click("#send")
    await page.evaluate("document.activeElement.blur()")


# ---- with the parts that come with Parley -------------------------------------------------------------------


@pytest.mark.parametrize("who", ["embedded voice", "human"])
async def test_speaks_and_is_answered(
    parley_server: ParleyProcess, live_page: PageOpener, tmp_path: Path, who: str, request: pytest.FixtureRequest
) -> None:
    if who == "human":
        recording = request.getfixturevalue("testdata") / "speech/commands_human/r3_what_time_is_it.wav"
        speech = read_wav(recording)
    else:
        speech = say("What is the capital of France?")
    async with live_page(parley_server, write_microphone(tmp_path / "mic.wav", 1.0, speech, 60.0)) as page:
        await start_talking(page)
        spoken = await turn(page, 1)
        assert spoken["input_transcript"]
        assert spoken["output_transcript"]
        assert spoken["latency"]["first_audio_played"] > 0
        shown = await page.evaluate("document.getElementById('turns').innerText")
        assert spoken["input_transcript"] in shown
        assert spoken["output_transcript"] in shown
        assert "ms to the first sound" in shown
        playback = await page.evaluate("parley.playback")
        assert playback["samples"] > 0.2 * playback["rate"]
        assert playback["peak"] > 0.01
        assert not page.problems
        own = urlsplit(parley_server.base_url).netloc
        asked = {urlsplit(url).netloc for url in page.requested if url.startswith(("http", "ws"))}
        assert asked == {own}


async def test_an_utterance_interrupts(parley_server: ParleyProcess, live_page: PageOpener, tmp_path: Path) -> None:
    """Some stories of the small model are over before the recording speaks: then another one is asked for."""
    speech = say("Stop, that is enough for now, thank you very much.")
    for _ in range(3):
        async with live_page(parley_server, write_microphone(tmp_path / "mic.wav", 0.2, speech, 60.0)) as page:
            await type_turn(page, "tell me a story")
            await page.wait_for("parley.state === 'speaking'", "the story")
            await start_talking(page)  # the recording begins with the microphone
            told = await turn(page, 1)
            if told["interrupted"]:
                assert told["output_transcript"].startswith(told["heard_transcript"])
                assert len(told["heard_transcript"]) < len(told["output_transcript"])
                assert "interrupted" in await page.evaluate("document.querySelector('.reply.cut').innerText")
                await turn(page, 2)
                return
    pytest.fail("three stories were told to their end")


# ---- with scripted parts: exact ------------------------------------------------------------------------------


async def test_every_sample_is_played_and_reported(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener, tmp_path: Path
) -> None:
    scripted_service.reset()
    reply = "Paris is the capital of France. It lies on the river Seine."
    scripted_service.script(transcripts=["what is the capital of france"], replies=[reply])
    microphone = write_microphone(tmp_path / "mic.wav", 1.0, say("What is the capital of France?"), 60.0)
    async with live_page(scripted_parley, microphone) as page:
        await start_talking(page)
        done = await turn(page, 1)
        assert done["input_transcript"] == "what is the capital of france"
        assert done["output_transcript"] == done["heard_transcript"] == reply
        assert not done["interrupted"]
        spoken = sum(len(record["request"]["input"]) for record in scripted_service.requests("tts"))
        expected = spoken * 0.060
        await page.wait_for(f"parley.playback.samples / parley.playback.rate > {expected - 0.1}", "all of the audio")
        heard_s = await page.evaluate("parley.playback.samples / parley.playback.rate")
        assert heard_s == pytest.approx(expected, abs=0.1)
        assert await page.evaluate("document.querySelector('.reply .unheard')") is None
        # A screen reader would talk into the open microphone.
        assert await page.evaluate("document.getElementById('spoken').textContent") == ""


@pytest.mark.parametrize("how", ["voice", "stop word", "space", "button"])
async def test_interrupting(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener, tmp_path: Path, how: str
) -> None:
    scripted_service.reset()
    words = "stop it please" if how == "stop word" else "and what did the cat do"
    scripted_service.script(transcripts=[words], replies=[LONG, "All right."])
    over = say("Please stop that now, I have heard enough of it.") if how in ("voice", "stop word") else 0.0
    microphone = write_microphone(tmp_path / "mic.wav", 1.0, over, 60.0)
    async with live_page(scripted_parley, microphone) as page:
        await page.evaluate(RECORD_STATES)
        await type_turn(page, "tell me a story")
        await page.wait_for("parley.state === 'speaking' && parley.playback.samples > 24000", "a second of the story")
        await start_talking(page)  # the recording begins with the microphone
        if how == "space":
            await page.press(" ", "Space")
        elif how == "button":
            await page.click("#interrupt")
        told = await turn(page, 1)
        assert told["interrupted"]
        assert LONG.startswith(told["heard_transcript"])
        assert 0 < len(told["heard_transcript"]) < len(LONG)
        # The page's own picture of what was heard is the server's.
        solid = await page.evaluate(
            "(cut => { cut.querySelectorAll('.unheard, .end').forEach(each => each.remove());"
            "return cut.textContent.trim() })(document.querySelector('.reply.cut').cloneNode(true))"
        )
        assert solid == told["heard_transcript"]
        if how == "voice":
            assert "paused" in await page.evaluate("window.seen")
            assert (await turn(page, 2))["input_transcript"] == words
        else:
            before = await page.evaluate("parley.playback.samples")
            await page.evaluate("new Promise(done => setTimeout(done, 600))")
            assert await page.evaluate("parley.playback.samples") == before  # not one sample more
            asked = [record["request"]["messages"][-1]["content"] for record in scripted_service.requests("llm")]
            assert "stop it please" not in asked, "nobody answers a stop"
        if how == "stop word":
            await page.wait_for("parley.state === 'idle'", "listening again")
            seen = await page.evaluate("window.seen")
            assert "thinking" not in seen[seen.index("paused") :], seen
            noted = f"document.querySelector('.note:last-child')?.textContent.includes('{words}')"
            await page.wait_for(noted, "what was heard")


async def test_a_cough_only_pauses(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener, tmp_path: Path
) -> None:
    scripted_service.reset()
    reply = "It is a long story about a miller, his three sons, a donkey and a cat who could speak to people."
    scripted_service.script(transcripts=[""], replies=[reply])
    cough = say("Ah ha!")[: int(0.25 * RATE_HZ)]
    microphone = write_microphone(tmp_path / "mic.wav", 1.0, cough, 60.0)
    async with live_page(scripted_parley, microphone) as page:
        await page.evaluate(RECORD_STATES)
        await type_turn(page, "tell me a story")
        await page.wait_for("parley.state === 'speaking'", "the story")
        await start_talking(page)  # the recording begins with the microphone
        told = await turn(page, 1)
        seen = await page.evaluate("window.seen")
        assert not told["interrupted"]
        assert told["heard_transcript"] == reply
        assert "paused" in seen
        assert seen[seen.index("paused") + 1] == "speaking"
        spoken = sum(len(record["request"]["input"]) for record in scripted_service.requests("tts"))
        heard_s = await page.evaluate("parley.playback.samples / parley.playback.rate")
        assert heard_s == pytest.approx(spoken * 0.060, abs=0.15)


async def test_push_to_talk(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener, tmp_path: Path
) -> None:
    scripted_service.reset()
    scripted_service.script(transcripts=["by the button", "by the space bar"], replies=["I heard you."])
    microphone = write_microphone(tmp_path / "mic.wav", *[say("Hello, can you hear me?"), 0.3] * 20)
    async with live_page(scripted_parley, microphone) as page:
        await page.evaluate("document.querySelector('[name=mode][value=hold]').click()")
        await start_talking(page)
        await page.evaluate("new Promise(done => setTimeout(done, 1500))")
        assert await turns(page) == []  # speech does not count while nothing is held
        place = await page.evaluate(
            "(() => { const r = document.getElementById('talk').getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2] })()"
        )
        await page.mouse("mousePressed", *place)
        await page.wait_for(
            "document.getElementById('talk-label').textContent === 'Release to send'", "the held button"
        )
        await page.evaluate("new Promise(done => setTimeout(done, 1500))")
        await page.mouse("mouseReleased", *place)
        assert (await turn(page, 1))["input_transcript"] == "by the button"
        await page.evaluate("document.activeElement.blur()")
        await page.key("keyDown", " ", "Space")
        await page.evaluate("new Promise(done => setTimeout(done, 1500))")
        await page.key("keyUp", " ", "Space")
        assert (await turn(page, 2))["input_transcript"] == "by the space bar"


async def test_typing_needs_no_microphone(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    scripted_service.reset()
    scripted_service.script(replies=["**Rome**, of course!"])
    async with live_page(scripted_parley) as page:
        await type_turn(page, "what is the capital of italy")
        done = await turn(page, 1)
        assert done["input_transcript"] == "what is the capital of italy"
        assert await page.evaluate("parley.playback.samples > 0 && parley.playback.peak > 0.01")
        assert not await page.evaluate("parley.microphone.on")


async def test_wake_word_mode(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener, tmp_path: Path
) -> None:
    scripted_service.reset()
    microphone = write_microphone(tmp_path / "mic.wav", 1.0, say("What is the capital of France?"), 60.0)
    async with live_page(scripted_parley, microphone) as page:
        await page.click("#open-settings")
        await page.click("[name=wake]")
        await page.wait_for("document.querySelectorAll('#wake-words option').length > 0", "the words of the server")
        words = await page.evaluate("[...document.querySelectorAll('#wake-words option')].map(o => o.value)")
        assert "hey jarvis" in [word.replace("_", " ") for word in words]
        await page.press("Escape", "Escape")
        await page.evaluate("document.getElementById('settings').close()")
        await start_talking(page)
        await page.wait_for("parley.state === 'asleep'", "sleep")
        await page.wait_for("document.querySelector('.note')?.textContent.includes('hey jarvis')", "the reminder")
        mode = "Object.assign(document.querySelector('[name=wake_mode]'), {value: 'post'})"
        await page.evaluate(f"{mode}.dispatchEvent(new Event('change', {{bubbles: true}}))")
        await page.wait_for("document.getElementById('hint').textContent.endsWith('last')", "what to do in this mode")
        assert await turns(page) == []


# ---- when something is wrong ---------------------------------------------------------------------------------


async def test_a_microphone_that_is_no_longer_wanted_is_closed(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    """The browser asks for it, which takes as long as the user likes; who presses twice meanwhile, or leaves, is not
    listened to by a microphone that nothing on the page can close."""
    scripted_service.reset()
    async with live_page(scripted_parley) as page:
        await page.evaluate(SLOW_MICROPHONE)
        await page.click("#talk")
        await page.click("#talk")
        await page.evaluate("window.grant()")
        await page.wait_for("parley.connection === 'open' && parley.microphone.on", "the conversation")
        assert await page.evaluate("window.streams.length") == 2
        assert await page.evaluate(LIVE_TRACKS) == 1
        await page.click("#end")
        await page.wait_for(f"{LIVE_TRACKS} === 0", "silence")
        assert not await page.evaluate("parley.microphone.on")


async def test_without_permission(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    scripted_service.reset()
    scripted_service.script(replies=["Yes."])
    async with live_page(scripted_parley, allow=False) as page:
        await page.call("Browser.setPermission", permission={"name": "microphone"}, setting="denied")
        await page.click("#talk")
        await page.wait_for("parley.notice === 'denied'", "the notice")
        assert "blocked" in await page.evaluate("document.getElementById('notice').innerText")
        assert await page.evaluate("document.querySelector('main').inert")
        await page.click("#notice-close")
        assert await page.evaluate("document.activeElement.id") == "typed"
        await type_turn(page, "hello")
        await turn(page, 1)


async def test_a_loudspeaker_that_does_not_start_is_told_and_tried_again(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    scripted_service.reset()
    scripted_service.script(replies=["Yes."])
    async with live_page(scripted_parley) as page:
        await page.evaluate(NO_LOUDSPEAKER)
        await type_turn(page, "hello")
        await turn(page, 1)
        await page.click("#notice-close")
        await page.click("#talk")
        await page.wait_for("parley.notice === 'silent'", "the notice")
        assert not await page.evaluate("parley.microphone.on")
        await page.evaluate("window.works = true")
        await page.click("#notice-act")
        await page.wait_for("parley.connection === 'open' && parley.microphone.on", "the conversation")
        await type_turn(page, "hello")
        await page.wait_for("parley.playback.samples > 0", "sound")


async def test_connection_lost_and_found(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    scripted_service.reset()
    scripted_service.script(replies=["Yes."])
    async with Line(scripted_parley.port) as line, live_page(scripted_parley, port=line.port) as page:
        await type_turn(page, "hello")
        await turn(page, 1)
        token = await page.evaluate("parley.token")
        await line.cut()
        await page.wait_for("parley.notice === 'waiting'", "the notice")
        assert "Trying again in" in await page.evaluate("document.getElementById('notice').innerText")
        await page.evaluate("new Promise(done => setTimeout(done, 1200))")
        assert await page.evaluate("parley.connection") != "open"
        await line.mend()
        await page.wait_for("parley.connection === 'open'", "the connection")
        assert await page.evaluate("parley.token") == token
        assert await page.evaluate("parley.notice") == ""
        await type_turn(page, "are you still there")
        await turn(page, 2)
        shown = await page.evaluate("document.getElementById('turns').innerText")
        assert shown.index("hello") < shown.index("are you still there")


async def test_a_cut_in_the_middle_of_a_reply_loses_none_of_it(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    scripted_service.reset()
    scripted_service.script(replies=[LONG[:120]], tts_ms_per_character=50)
    async with Line(scripted_parley.port) as line, live_page(scripted_parley, port=line.port) as page:
        await type_turn(page, "tell me a story")
        await page.wait_for("parley.playback.samples > 24000", "a second of the story")
        await line.cut()
        await page.wait_for("parley.notice === 'waiting'", "the notice")
        await line.mend()
        await page.wait_for("parley.resumes === 1", "the conversation going on")
        told = await turn(page, 1)
        assert not told["interrupted"] and told["heard_transcript"] == told["output_transcript"] == LONG[:120].strip()
        samples = await page.evaluate("parley.playback.samples")
        assert samples == pytest.approx(24_000 * 0.05 * 117, rel=0.03), "a piece of it was lost, or played twice"
        shown = await page.evaluate("document.getElementById('turns').innerText")
        assert "the conversation continues" in shown and "interrupted" not in shown


async def test_signed_out_and_in_again(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    scripted_service.reset()
    scripted_service.script(replies=["Yes."])
    async with live_page(scripted_parley) as page:
        await page.call("Network.clearBrowserCookies")
        await type_turn(page, "hello")
        await page.wait_for("parley.notice === 'signed-out'", "the notice")
        assert "parley link" in await page.evaluate("document.getElementById('notice').innerText")
        await page.wait_for("document.getElementById('typed').value === 'hello'", "what could not be sent")
        await page.evaluate(f"document.getElementById('key').value = {json.dumps(ADMIN_KEY)}")
        await page.click("#key-form button")
        await page.wait_for(
            "window.parley && parley.notice === '' && location.pathname === '/live'", "the page again"
        )
        await type_turn(page, "hello")
        await turn(page, 1)


# ---- the page itself -----------------------------------------------------------------------------------------


async def test_every_control_has_a_name_and_nothing_overflows(
    scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    async with live_page(scripted_parley) as page:
        await page.call("Accessibility.enable")
        tree = (await page.call("Accessibility.getFullAXTree"))["nodes"]
        controls = [node for node in tree if node.get("role", {}).get("value") in ("button", "textbox", "checkbox")]
        assert len(controls) >= 6
        assert all(node.get("name", {}).get("value") for node in controls)
        for width, height in ((320, 568), (360, 380), (390, 844), (844, 390), (768, 1024), (1920, 1080)):
            await page.size(width, height, mobile=width < 860)
            seen = await page.evaluate(
                "[...document.querySelectorAll('.top, .stage, .controls, .controls button, .composer')]"
                ".map(e => e.getBoundingClientRect()).every(r => r.width > 0 && r.left >= -1"
                " && r.right <= innerWidth + 1 && r.bottom <= innerHeight + 1)"
            )
            assert seen, (width, height)
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, (width, height)
        assert not page.problems


async def test_the_resampler_keeps_speech_and_drops_the_rest(
    scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    """Gains in dB of tones through 48 and 44.1 to 16 kHz; 10 kHz would fold back to 6."""
    async with live_page(scripted_parley) as page:
        gains = await page.evaluate(TONES_THROUGH_THE_RESAMPLER)
        assert all(rate == pytest.approx(16000, abs=60) for _, rate in gains.values())
        for name, (gain_db, _) in gains.items():
            if name.endswith("10000"):
                assert gain_db < -60, gains
            else:
                assert abs(gain_db) < 0.5, gains
