"""A client without echo cancellation: what the loudspeaker plays comes back, over a real socket."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from tests.bench.live_client import OUT_HZ, live_client
from tests.bench.report import Options, Section, Table
from tests.bench.utterances import Utterance, utterances
from tests.parley_process import ParleyProcess, running_parley
from tests.voice.live_room import RoomClient

__all__ = ["Room", "run"]

_ASKED = ("tell me a story", "tell me something about the moon", "what can you do")
_OVER_S = 2.5
"""The user speaks so long after a reply began to sound."""


@dataclass(slots=True)
class Room:
    """What came of the replies in one room. `over`, `heard`: questions spoken over a reply, and those answered."""

    replies: int = 0
    spoke_s: float = 0.0
    held: int = 0
    stopped: int = 0
    turns: int = 0
    over: int = 0
    heard: int = 0


def run(options: Options) -> Section:
    delays, gains = ((120, 400), (-6, -25)) if options.quick else ((50, 120, 250, 400), (-6, -15, -25))
    rows = []
    with tempfile.TemporaryDirectory() as folder, running_parley(Path(folder)) as server:
        for gain in gains:
            for reverberant in (False, True):
                room = Room()
                anyio.run(_visit, server, room, float(gain), delays, reverberant)
                rows.append(
                    (
                        f"{gain} dB, {'reverberant' if reverberant else 'direct'}",
                        room.replies,
                        f"{room.spoke_s:.0f}",
                        room.held,
                        room.stopped,
                        room.turns,
                        f"{room.heard} of {room.over}",
                    )
                )
                print(rows[-1], flush=True)
    columns = ("echo", "replies", "seconds", "held", "stopped", "turns of its own", "people heard over it")
    return Section(
        "Echo",
        "A client without echo cancellation sends what it plays back to a `parley up` with the built-in parts: "
        "attenuated,"
        f" {', '.join(map(str, delays))} ms later, with and without the reverberation of a room (0.3 s). Every "
        "session"
        " is new, so nothing is known of the echo yet. In each, three replies are listened to, and a fourth is spoken"
        " over by a person as loud as at arm's length. `held`: pauses after which the reply went on. `stopped`:"
        " replies that stopped because of their own echo. `turns of its own`: questions that nobody asked.",
        (Table(columns, tuple(rows)),),
    )


async def _visit(
    server: ParleyProcess, room: Room, gain_db: float, delays_ms: Sequence[int], reverberant: bool
) -> None:
    """A session for each delay, at the same time; then one after the other somebody speaks over a reply."""
    async with anyio.create_task_group() as tasks:
        for delay_ms in delays_ms:
            tasks.start_soon(_listen, server, room, gain_db, float(delay_ms), reverberant)
    for delay_ms in delays_ms:
        await _speak_over(server, room, gain_db, float(delay_ms), reverberant)


def _client(client: RoomClient, gain_db: float, delay_ms: float, reverberant: bool) -> None:
    client.gain_db, client.delay_ms = gain_db, delay_ms
    if not reverberant:
        client.hears_directly()


async def _type(client: RoomClient, text: str) -> float:
    at_s = time.monotonic()
    await client.socket.send(json.dumps({"type": "end_turn", "transcript": text}))
    return at_s


async def _listen(server: ParleyProcess, room: Room, gain_db: float, delay_ms: float, reverberant: bool) -> None:
    async with live_client(server, {}, RoomClient) as client:
        _client(client, gain_db, delay_ms, reverberant)
        for text in _ASKED:
            at_s = await _type(client, text)
            await client.wait("turn_complete", at_s, timeout_s=60.0)
            await client.wait_quiet(1.5)
        room.replies += len(_ASKED)
        room.spoke_s += sum(len(each.pcm) for each in client.told("audio")) / OUT_HZ
        room.held += len(client.told("state", state="paused"))
        room.stopped += len(client.told("interrupted"))
        room.turns += len(client.told("turn_complete")) - len(_ASKED)


async def _speak_over(server: ParleyProcess, room: Room, gain_db: float, delay_ms: float, reverberant: bool) -> None:
    said: Utterance = utterances(4)[room.over % 4]
    async with live_client(server, {}, RoomClient) as client:
        _client(client, gain_db, delay_ms, reverberant)
        at_s = await _type(client, _ASKED[0])
        await client.wait("audio", at_s, audible=True)
        await anyio.sleep(_OVER_S)
        begin_s, _ = client.say(said)
        room.over += 1
        with anyio.move_on_after(60.0):  # the answer may be a story
            while not _answered(client, begin_s):
                await anyio.sleep(0.1)
            room.heard += 1


def _answered(client: RoomClient, after_s: float) -> bool:
    """A question that was not typed is answered."""
    done = client.told("turn_complete", after_s)
    return any(each.body["input_transcript"] not in ("", *_ASKED) for each in done)
