"""Makes the recordings of sessions/ anew, when a change of the machine is meant.

`python -m tests.golden.make_sessions`: a real server, real ears and codecs around the scripted recogniser, model and
voice; the words are masked.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt

from tests.bench.utterances import RATE_HZ, Utterance, quiet, utterances
from tests.scripted.process import ScriptedProcess, running_scripted
from tests.web.house import House, house

FOLDER = Path(__file__).parent / "sessions"
AUDIO = {"input_rate": RATE_HZ, "output_format": "pcm", "sample_rate": 16_000}
FRAME = 320

Socket = aiohttp.ClientWebSocketResponse
Talk = Callable[[Socket], Awaitable[None]]


async def _say(socket: Socket, *parts: npt.NDArray[np.int16]) -> None:
    pcm = np.concatenate(parts).astype("<i2")
    for start in range(0, len(pcm), FRAME):
        await socket.send_bytes(pcm[start : start + FRAME].tobytes())
        await asyncio.sleep(0.019)


async def _until(socket: Socket, kind: str, count: int = 1) -> None:
    while count:
        message = await socket.receive(timeout=60)
        if message.type is aiohttp.WSMsgType.TEXT and json.loads(message.data)["type"] == kind:
            count -= 1


def _talks(service: ScriptedProcess, said: list[Utterance]) -> dict[str, tuple[Talk, dict[str, Any]]]:
    first, second, third = said

    def script(milliseconds: float, *replies: str) -> None:
        service.reset()
        service.script(replies=list(replies), tts_ms_per_character=milliseconds)

    async def question(socket: Socket) -> None:
        script(25, "It is ten past nine, and the sun is out.")
        await _say(socket, quiet(0.2), first.pcm, quiet(0.9))
        await _until(socket, "turn_complete")

    async def interrupted(socket: Socket) -> None:
        script(50, "This is a long story, and there is more of it, and more, and still it goes on.", "Of course.")
        await socket.send_json({"type": "end_turn", "transcript": "tell me a story"})
        await _until(socket, "audio", 8)
        await _say(socket, second.pcm, quiet(0.9))
        await _until(socket, "turn_complete")

    async def pause(socket: Socket) -> None:
        script(25, "Done.")
        await _say(socket, quiet(0.1), first.pcm[: first.last], quiet(0.3), third.pcm[third.first :], quiet(0.9))
        await _until(socket, "turn_complete")

    async def button(socket: Socket) -> None:
        script(50, "One, two, three, four, five, six, seven.", "Yes.")
        await socket.send_json({"type": "end_turn", "transcript": "count"})
        await _until(socket, "audio", 5)
        await socket.send_json({"type": "interrupt"})
        await _until(socket, "turn_complete")
        await socket.send_json({"type": "end_turn", "transcript": "thanks"})
        await _until(socket, "turn_complete")

    return {
        "spoken_question": (question, {}),
        "story_interrupted": (interrupted, {}),
        "pause_in_a_sentence": (pause, {}),
        "stopped_by_button": (button, {"turn_detection": None}),
    }


async def _record(home: House, folder: Path, name: str, talk: Talk, body: dict[str, Any]) -> None:
    async with home.client.post("/v1/audio/live", json={"audio_config": AUDIO, **body}) as response:
        url = (await response.json())["websocket_url"]
    async with home.client.ws_connect(url) as socket:
        await _until(socket, "ready")
        await talk(socket)
        await socket.send_json({"type": "close"})
        async for _ in socket:
            pass
    await asyncio.sleep(0.5)
    [made] = folder.glob("recordings/*.jsonl")
    (FOLDER / f"{name}.jsonl").write_bytes(made.read_bytes())
    made.unlink()
    print(f"{name}: {(FOLDER / name).with_suffix('.jsonl').stat().st_size} bytes")


async def _main() -> None:
    with running_scripted() as service, tempfile.TemporaryDirectory() as folder:
        config = service.parley_config('[llm]\nmodel = "none"\n[voice.record]\nevents = true\n')
        async with house(Path(folder), config) as home:
            for name, (talk, body) in _talks(service, utterances(3)).items():
                await _record(home, Path(folder), name, talk, body)


if __name__ == "__main__":
    asyncio.run(_main())
