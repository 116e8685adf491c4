"""The main job on a fresh machine: speak to a real server over a real socket with the embedded parts, be answered."""

from __future__ import annotations

import base64
import json
import urllib.request
from pathlib import Path

import anyio
import numpy as np
import pytest
from websockets.asyncio.client import connect

from models.espeak_ng import library
from tests.bench.live_client import LiveClient, live_client
from tests.bench.utterances import Utterance
from tests.parley_process import ParleyProcess
from tests.voice.recordings import webm
from voice.port import Pcm
from voice.resample import StreamResampler

COMMANDS = (
    ("r3_play_the_beatles", {"play", "beatles"}),
    ("rs_set_kitchen_lights_to_green", {"kitchen", "lights", "green"}),
    ("stp_lock_the_front_door", {"lock", "front", "door"}),
    ("stp_skip_on_tv", {"skip", "tv"}),
    ("rs_what_time_is_it", {"time"}),
)


def spoken(text: str) -> Utterance:
    """`text` by a synthetic voice, 16 kHz."""
    speech = library().speak(text, "en-us", wpm=150)
    pcm = StreamResampler(speech.rate_hz, 16_000).process(speech.pcm, last=True)
    loud = np.flatnonzero(np.abs(pcm) > 500)
    return Utterance(text, pcm, int(loud[0]), int(loud[-1]), human=False)


def recorded(testdata: Path, name: str) -> Utterance:
    import wave

    with wave.open(str(testdata / "speech/commands_human" / f"{name}.wav")) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return Utterance(name, pcm, 0, len(pcm) - 1, human=True)


def slots(server: ParleyProcess) -> list[dict[str, object]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.slot_port_base}/slots", timeout=60) as answer:
        found: list[dict[str, object]] = json.loads(answer.read())
        return found


def remembered(server: ParleyProcess) -> set[object]:
    """Conversations in the slot; clients of other tests may still be waited for."""
    return {slot["conversation"] for slot in slots(server)}


async def until_idle(server: ParleyProcess, before: set[object]) -> None:
    """The slot works for nobody, and remembers no conversation but those of before."""
    for _ in range(1200):
        busy = [
            slot for slot in slots(server) if slot["is_processing"] or slot["conversation"] not in before | {None}
        ]
        if not busy:
            return
        await anyio.sleep(0.05)
    pytest.fail(f"still held: {busy}")


def words(text: str) -> set[str]:
    return set(text.lower().replace(".", "").replace(",", "").split())


async def turn(client: LiveClient, utterance: Utterance) -> dict[str, object]:
    said_at, _ = client.say(utterance)
    return (await client.wait("turn_complete", said_at)).body


async def test_human_commands_come_back_as_transcript_text_and_audio(
    parley_server: ParleyProcess, testdata: Path
) -> None:
    hits, before = 0, remembered(parley_server)
    async with live_client(parley_server) as client:
        for name, expected in COMMANDS:
            said_at, _ = client.say(recorded(testdata, name))
            with anyio.move_on_after(45):
                done = await client.wait("turn_complete", said_at)
                await client.wait("audio", said_at, audible=True)
                hits += bool(expected & words(str(done.body["input_transcript"])))
                assert done.body["output_transcript"] == done.body["heard_transcript"] != ""
            await client.wait_quiet()
    assert hits >= 4, "the recogniser makes errors, but not about everything"
    await until_idle(parley_server, before)


async def test_speech_interrupts_a_story_and_is_answered(parley_server: ParleyProcess) -> None:
    async with live_client(parley_server) as client:
        await client.socket.send(json.dumps({"type": "end_turn", "transcript": "tell me a story"}))
        first = await client.wait("audio", 0.0, audible=True)
        await anyio.sleep(2.0)
        said_at, _ = client.say(spoken("what is the capital of france"))
        interrupted = await client.wait("interrupted", said_at)
        story = await client.wait("turn_complete", said_at)
        answer = await client.wait("turn_complete", story.at_s + 0.001)
    assert story.body["interrupted"] and story.body["heard_transcript"] == interrupted.body["partial_output"]
    assert story.body["usage"]["tokens_in"] > 10, "a reply that was cut off had a prompt, too"  # type: ignore[index]
    assert str(story.body["output_transcript"]).startswith(str(story.body["heard_transcript"]))
    old = [m.at_s for m in client.heard if m.type == "audio" and m.body.get("reply") == first.body.get("reply")]
    assert max(old) < interrupted.at_s
    assert not answer.body["interrupted"] and "capital" in str(answer.body["input_transcript"])


async def test_a_pause_inside_a_sentence_loses_no_words(parley_server: ParleyProcess) -> None:
    first, second = spoken("turn on the lights"), spoken("in the kitchen")
    gap = np.zeros(round(0.3 * 16_000), np.int16)
    whole: Pcm = np.concatenate((first.pcm[: first.last], gap, second.pcm[second.first :]))
    async with live_client(parley_server) as client:
        done = await turn(client, Utterance("both", whole, first.first, len(whole) - 1, human=False))
    assert {"turn", "kitchen"} <= words(str(done["input_transcript"])), done["input_transcript"]


async def test_webm_chunks_of_a_browser_cut_anywhere(parley_server: ParleyProcess) -> None:
    utterance = spoken("what is the capital of france")
    room = np.random.default_rng(0).normal(0, 10, 16_000).astype(np.int16)
    stream = webm(np.concatenate((room, utterance.pcm, room, room)))
    opened = parley_server.post("/v1/audio/live", {})  # the defaults of the protocol: webm in, opus out
    async with connect(parley_server.ws_url + str(opened["websocket_url"]), max_size=None) as socket:
        step = len(stream) // 37
        for at in range(0, len(stream), step):
            chunk = base64.b64encode(stream[at : at + step]).decode()
            await socket.send(json.dumps({"type": "audio", "audio": chunk, "transcript": "", "is_final": False}))
            await anyio.sleep(0.05)
        heard = []
        with anyio.fail_after(60):
            async for frame in socket:
                heard.append(json.loads(frame))
                if heard[-1]["type"] == "turn_complete":
                    break
    assert {"capital", "france"} & words(heard[-1]["input_transcript"])
    audio = [base64.b64decode(message["audio"]) for message in heard if message["type"] == "audio"]
    assert audio and all(piece.startswith(b"OggS") for piece in audio)


async def test_a_client_that_vanishes_in_the_middle_of_a_reply_leaves_nothing(parley_server: ParleyProcess) -> None:
    before = remembered(parley_server)
    body = {"audio_config": {"output_format": "pcm"}, "resume_grace_s": 0.2}
    opened = parley_server.post("/v1/audio/live", body)
    socket = await connect(parley_server.ws_url + str(opened["websocket_url"]), max_size=None)
    await socket.send(json.dumps({"type": "end_turn", "transcript": "tell me a story"}))
    async for frame in socket:
        if json.loads(frame)["type"] == "audio":
            break
    socket.transport.abort()
    await until_idle(parley_server, before)


async def test_what_was_said_is_remembered_in_the_next_connection(parley_server: ParleyProcess) -> None:
    opened = parley_server.post("/v1/audio/live", {"audio_config": {"output_format": "pcm"}})
    for said in ("hello", "good bye"):
        async with connect(parley_server.ws_url + str(opened["websocket_url"]), max_size=None) as socket:
            await socket.send(json.dumps({"type": "end_turn", "transcript": said}))
            async for frame in socket:
                if json.loads(frame)["type"] == "turn_complete":
                    break
        await anyio.sleep(0.2)
    request = urllib.request.Request(
        f"{parley_server.base_url}/v1/audio/live/{opened['session_token']}", headers=parley_server.headers
    )
    state = await anyio.to_thread.run_sync(lambda: json.loads(urllib.request.urlopen(request, timeout=60).read()))
    assert [entry["content"] for entry in state["history"] if entry["role"] == "user"] == ["hello", "good bye"]
