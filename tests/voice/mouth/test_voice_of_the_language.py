"""Answers in the language of the question, by Piper voices that lie in the model folder."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from tests.scripted.process import ScriptedProcess
from tests.voice.tts.test_piper_voices import ENGLISH, GERMAN, install
from tests.web.house import House, house

SLOW = {"inference": {"noise_scale": 0.667, "length_scale": 2.0, "noise_w": 0.8}}
"""The German voice takes twice as long: that is how it is known by its sound."""


async def _answer_s(home: House, question: str, **voice: Any) -> float:
    """So long is the answer to a typed question, seconds of sound."""
    body = {"audio_config": {"output_format": "pcm", "sample_rate": 16_000}, "voice_config": voice}
    async with home.client.post("/v1/audio/live", json=body) as response:
        url = (await response.json())["websocket_url"]
    async with home.client.ws_connect(url) as socket:
        await socket.send_json({"type": "end_turn", "transcript": question})
        count = 0
        async for message in socket:
            event = message.json()
            if event["type"] == "audio":
                count += len(base64.b64decode(event["audio"])) // 2
            elif event["type"] == "turn_complete":
                assert event["heard_transcript"] == "Hello."
                return count / 16_000
    raise AssertionError("closed before the answer was over")


async def test_the_voice_follows_the_language_of_the_question(
    tmp_path: Path, scripted_service: ScriptedProcess
) -> None:
    install(tmp_path / "models" / "one", ENGLISH)
    install(tmp_path / "models" / "other", GERMAN, **SLOW)
    config = scripted_service.parley_config('[llm]\nmodel = "none"\n')
    piper = f'[voice.tts]\nengine = "piper"\nmodel = "{ENGLISH}"\n'
    before, _, after = config.partition("[voice.tts]")
    config = before + piper + "\n[voice.llm]" + after.partition("[voice.llm]")[2]
    scripted_service.reset()
    scripted_service.script(replies=["Hello."], first_token_ms=10, tokens_per_s=400)
    async with house(tmp_path, config) as home:
        async with home.client.get("/v1/audio/voices") as response:
            voices = {voice["id"]: voice["language"] for voice in (await response.json())["voices"]}
        assert voices == {ENGLISH: "en-US", GERMAN: "de-DE"}
        english_s = await _answer_s(home, "What is the weather like today?")
        german_s = await _answer_s(home, "Wie wird denn das Wetter morgen?")
        assert german_s > 1.5 * english_s
        by_name_s = await _answer_s(home, "What is the weather like today?", voice_id=GERMAN)
        assert by_name_s > 1.5 * english_s
