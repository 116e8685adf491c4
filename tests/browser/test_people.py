"""People who do not use the page as its makers do: by a program, from another machine, in other scripts, by ear."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.browser.conftest import PageOpener
from tests.browser.speech import say, write_microphone
from tests.browser.test_live_page import start_talking, turn, type_turn
from tests.parley_process import ParleyProcess
from tests.scripted.process import ScriptedProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

MARKDOWN = """Two **bold** things, 2*3*4:

- [a page](https://example.org/a_b?c=1)
- [a trap](javascript:alert(1)) <img src=x onerror=alert(1)>

```python
print("*one*")
```

2. שלום"""
PARTS = """
[...document.querySelectorAll('.turn:last-child .reply > *')].map(e => [e.tagName, e.textContent])
"""


async def test_answers_are_shown_as_they_were_meant(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    scripted_service.reset()
    scripted_service.script(replies=[MARKDOWN], tts_ms_per_character=5)
    async with live_page(scripted_parley) as page:
        await type_turn(page, "שלום")
        await turn(page, 1)
        trap = "[a trap](javascript:alert(1)) <img src=x onerror=alert(1)>"
        assert await page.evaluate(PARTS) == [
            ["P", "Two bold things, 2*3*4:"],
            ["UL", f"a page{trap}"],
            ["PRE", 'print("*one*")'],
            ["OL", "שלום"],
        ]
        links = await page.evaluate("[...document.querySelectorAll('.reply a')].map(a => [a.href, a.rel])")
        assert links == [["https://example.org/a_b?c=1", "noopener noreferrer nofollow"]]
        assert await page.evaluate("document.querySelector('.reply strong').textContent") == "bold"
        aligned = "['.you', '.reply li[value]'].map(s => getComputedStyle(document.querySelector(s)).direction)"
        assert await page.evaluate(aligned) == ["rtl", "rtl"]
        spoken = await page.evaluate("document.getElementById('spoken').textContent")
        assert spoken == f'Parley: Two bold things, 2*3*4: a page {trap} print("*one*") שלום'
        assert await page.evaluate("document.querySelector('.reply .unheard')") is None
        assert not page.problems


async def test_what_was_heard_of_an_answer_with_code(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    """Code is written and not said: what comes behind it is not heard before it was played, nor much later."""
    scripted_service.reset()
    code = "for number in range(10):\n    print(number)\n" * 4
    first, last = "Look at this.", "That is all there is to say about it, and it is not much."
    scripted_service.script(replies=[f"{first}\n\n```\n{code}```\n\n{last}"], tts_ms_per_character=100)
    async with live_page(scripted_parley) as page:
        await type_turn(page, "show me")
        read = "document.querySelector('.reply > p:last-child .unheard')?.textContent"
        await page.wait_for(f"parley.playback.samples > 0 && {read} === {json.dumps(last)}", "the beginning")
        await page.wait_for(f"({read} ?? '').startsWith('say')", "the middle of what comes behind the code")
        assert await page.evaluate("parley.state") == "speaking"
        assert await page.evaluate("document.querySelector('.reply > pre .unheard')") is None


async def test_a_program_that_clicks(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    """Voice control, an extension: the browser keeps the sound off until a person does something."""
    scripted_service.reset()
    scripted_service.script(replies=["Yes.", "Yes.", "It is a long story, and I will take my time with it."])
    async with live_page(scripted_parley) as page:
        await page.evaluate("document.getElementById('typed').value = 'hello'")
        await page.evaluate("document.getElementById('composer').requestSubmit()")
        await turn(page, 1)
        await page.wait_for("parley.notice === 'quiet'", "the notice")
        await page.click("#notice-act")
        await page.wait_for("parley.notice === ''", "the sound")
        await type_turn(page, "hello")
        await page.wait_for("parley.playback.samples > 0 && parley.turns.length === 2", "an answer aloud")
    async with live_page(scripted_parley) as page:
        await page.evaluate("document.getElementById('talk').click()")
        await page.wait_for("parley.connection === 'open' && parley.microphone.on", "the conversation")
        await page.click("#talk")
        await type_turn(page, "tell me a story")
        hint = "document.getElementById('hint').textContent"
        await page.wait_for(f"parley.state === 'speaking' && {hint}", "the story")
        assert await page.evaluate(hint) != "Speak to interrupt", "the microphone is muted"


async def test_from_another_machine_without_https(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener
) -> None:
    scripted_service.reset()
    scripted_service.script(replies=["Yes."])
    async with live_page(scripted_parley, name="parley.example") as page:
        await page.click("#talk")
        await page.wait_for("parley.notice === 'insecure'", "the notice")
        said = await page.evaluate("document.getElementById('notice').innerText")
        assert f"http://localhost:{scripted_parley.port}/live" in said
        await page.click("#notice-close")
        await type_turn(page, "hello")
        assert (await turn(page, 1))["output_transcript"] == "Yes."
        assert await page.evaluate("parley.notice") == ""


async def test_a_permission_that_is_taken_back(
    scripted_service: ScriptedProcess, scripted_parley: ParleyProcess, live_page: PageOpener, tmp_path: Path
) -> None:
    scripted_service.reset()
    microphone = write_microphone(tmp_path / "mic.wav", *[say("Hello, can you hear me?")] * 20)
    async with live_page(scripted_parley, microphone) as page:
        await start_talking(page)
        await page.call(
            "Browser.setPermission",
            permission={"name": "microphone"},
            setting="denied",
            origin=scripted_parley.base_url,
        )
        await page.wait_for("parley.notice === 'denied'", "the notice")
        assert not await page.evaluate("parley.microphone.on")
