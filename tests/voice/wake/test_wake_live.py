"""Wake words said to a real server over a real socket: people's "alexa", real ears, the embedded recogniser."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import numpy as np

from tests.bench.live_client import Heard, live_client
from tests.golden.test_wake import ends
from tests.parley_process import ParleyProcess
from tests.recordings import needs_recordings, recording, silence
from tests.speaking import spoken
from tests.voice.live_room import RoomClient, utterance
from voice.port import Pcm

pytestmark = needs_recordings

Scene = Callable[[RoomClient], Awaitable[None]]


def tight(pcm: Pcm) -> Pcm:
    begin, end = ends(pcm)
    return pcm[begin:end]


def alexa() -> Pcm:
    return tight(recording("wake/recordings/phrases/alexa.wav").pcm())


def what_time() -> Pcm:
    return tight(recording("speech/commands_human/rs_what_time_is_it.wav").pcm())


def row(*sounds: Pcm, gap_s: float = 0.08) -> Pcm:
    """One after the other, as in one breath."""
    return np.concatenate([each for sound in sounds for each in (sound, silence(gap_s))])


async def scene(server: ParleyProcess, wake: dict[str, Any], play: Scene, **turn: Any) -> RoomClient:
    config = {"wake_word_config": {"enabled": True, "words": ["alexa"], **wake}, "turn_config": turn}
    async with live_client(server, config, RoomClient) as client:
        await play(client)
    return client


async def typed(client: RoomClient, text: str) -> None:
    await client.socket.send(json.dumps({"type": "end_turn", "transcript": text}))


def one_breath(pcm: Pcm, until: str = "turn_complete") -> Scene:
    async def play(client: RoomClient) -> None:
        client.say(utterance(pcm))
        await client.wait(until, 0.0)

    return play


def request(client: RoomClient) -> str:
    (turn,) = client.told("turn_complete")
    return str(turn.body["input_transcript"])


async def together(*scenes: Awaitable[RoomClient]) -> list[RoomClient]:
    """All at the same time, each in a session of its own."""
    found: list[RoomClient | None] = [None] * len(scenes)

    async def run(index: int, one: Awaitable[RoomClient]) -> None:
        found[index] = await one

    async with anyio.create_task_group() as tasks:
        for index, one in enumerate(scenes):
            tasks.start_soon(run, index, one)
    return [each for each in found if each is not None]


async def goes_on(client: RoomClient) -> None:
    """Asks, asks again while the follow-up window is open, and once more when it is shut."""
    await typed(client, "hey jarvis, what is the capital of france")
    first = await client.wait("turn_complete", 0.0)
    await client.state("idle", first.at_s)
    # not the recording of `what_time`: after digital silence Silero hears it late, and now and then not at all
    client.say(utterance(spoken("what is the capital of france")))
    second = await client.wait("turn_complete", first.at_s + 0.001)
    await client.state("asleep", second.at_s)
    client.say(utterance(spoken("what is the capital of france")))
    await client.wait("wake_word_required", second.at_s)


async def test_the_request_is_whole_and_the_wake_word_is_out_of_it(parley_server: ParleyProcess) -> None:
    """Devices of one user contend for a word that they hear within a second: one hears it later, one another word."""
    pre, post, follow_up = await together(
        scene(parley_server, {"mode": "pre"}, one_breath(row(alexa(), what_time()))),
        scene(parley_server, {"mode": "post"}, one_breath(row(silence(1.0), what_time(), alexa()))),
        scene(parley_server, {"words": ["hey jarvis"]}, goes_on, follow_up_s=2.5),
    )
    first, second = follow_up.told("turn_complete")
    assert second.body["input_transcript"].startswith("what"), "asked without the wake word"
    assert len(follow_up.told("transcript", is_final=True)) == 2, "what was said later was not listened to"
    for client in (pre, post):
        assert [wake.body["word"] for wake in client.told("wake")] == ["alexa"], "one spoken, one heard"
        assert request(client).startswith("what time"), "no first word clipped"


async def test_in_the_middle_and_by_a_phrase_that_has_no_model(parley_server: ParleyProcess) -> None:
    lights = row(tight(spoken("turn on the lights")), alexa(), tight(spoken("in the kitchen")))
    question, phrase = "what is the capital of france", {"words": ["good morning"]}
    mid, asked, not_asked = await together(
        scene(parley_server, {"mode": "mid"}, one_breath(lights)),
        scene(parley_server, phrase, one_breath(spoken(f"good morning {question}"))),
        scene(parley_server, phrase, one_breath(spoken(question), "wake_word_required")),
    )
    heard = request(mid).split()
    assert heard[:2] == ["turn", "on"] and heard[-2:] == ["the", "kitchen"]
    assert len(heard) <= 7, f"the recogniser heard nothing in place of the wake word: {heard}"
    assert request(asked) == question
    assert not_asked.told("audio") == not_asked.told("turn_complete") == []


async def story(client: RoomClient) -> Heard:
    await typed(client, "alexa, tell me a story")
    await client.wait("audio", 0.0, audible=True)
    await anyio.sleep(0.8)
    return client.told("audio")[-1]


def over_a_story(pcm: Pcm, wait_s: float = 0.0) -> Scene:
    async def play(client: RoomClient) -> None:
        await story(client)
        client.say(utterance(pcm))
        if wait_s:
            await anyio.sleep(len(pcm) / 16_000 + wait_s)
        else:
            await client.wait("interrupted", 0.0)
            await anyio.sleep(0.5)

    return play


async def test_over_a_reply(parley_server: ParleyProcess) -> None:
    """The wake word alone stops it; without a follow-up window another word does not."""
    by_word, shut = await together(
        scene(parley_server, {}, over_a_story(alexa())),
        scene(parley_server, {}, over_a_story(spoken("wait"), 1.5)),
    )
    assert len(by_word.told("wake")) == len(by_word.told("interrupted")) == 1
    assert shut.told("wake") == shut.told("interrupted") == shut.told("state", state="paused") == []
