"""From the onset of an utterance over a running reply to the last audio that is still sent."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio

from tests.bench.live_client import OUT_HZ, LiveClient, live_client
from tests.bench.report import Options, Section, Table, milliseconds
from tests.bench.utterances import Utterance, utterances
from tests.parley_process import running_parley
from tests.scripted.process import running_scripted

__all__ = ["run"]

# Long enough that no reply ends by itself while it is being interrupted.
REPLY = " ".join(f"This is sentence number {number} of a story that does not want to end." for number in range(1, 9))
INTO_REPLY_S = 1.5
PEER_MS = (("a peer", 344, 384),)


def run(options: Options) -> Section:
    spoken = utterances(options.turns)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_scripted() as service,
        running_parley(Path(folder), config=service.parley_config()) as server,
    ):
        service.script(replies=[REPLY])

        async def main() -> list[dict[str, float]]:
            async with live_client(server) as client:
                first_s, _ = client.say(spoken[0])
                await client.wait("audio", first_s, audible=True)
                return [await _interrupt(client, utterance) for utterance in spoken]

        measured = anyio.run(main)
    rows: list[tuple[object, ...]] = [
        ("Parley: last reply audio sent", *milliseconds([entry["last_audio"] for entry in measured])),
        (
            "Parley: `interrupted` at the client (drops what is buffered)",
            *milliseconds([e["told"] for e in measured]),
        ),
    ]
    rows.append(
        (
            "Parley: silence from a client that only knows `interrupted`",
            *milliseconds([e["silent"] for e in measured]),
        )
    )
    held = [entry["held"] for entry in measured]
    rows.insert(1, ("Parley: reply held while it is judged (`state` paused)", *milliseconds(held)))
    rows += [(f"{name}: last reply audio sent", p50, p95, "", "") for name, p50, p95 in PEER_MS]
    kind = "Recordings of people" if spoken[0].human else "espeak-ng speech"
    return Section(
        "From an interruption to silence",
        f"{kind}, spoken {INTO_REPLY_S:.1f} s into a reply through the WebSocket, with the scripted service as "
        "recogniser, model and voice; measured from the moment the first voiced sample is recorded. "
        "Parley first holds the reply at the onset: nothing more is sent, and a client that knows the state "
        "`paused` (the live page does) stops playing. It stops the reply for good when the voice has lasted long "
        "enough to be no cough; after a cough the reply goes on at the very sample. An older client plays what it "
        "has buffered, at most 300 ms, until it is told `interrupted`. A reply that a breath or the room of the "
        f"recording held before the first voiced sample counts as held after 0 ms: {held.count(0.0)} of {len(held)} "
        "were.",
        (Table(("onset of the interrupting voice to ..., ms", "p50", "p95", "worst", "interruptions"), tuple(rows)),),
    )


async def _interrupt(client: LiveClient, utterance: Utterance) -> dict[str, float]:
    """Speak over the reply that is playing; seconds after the onset. The next reply is playing afterwards."""
    await anyio.sleep(INTO_REPLY_S)
    first_s, last_s = client.say(utterance)
    told = await client.wait("interrupted", first_s)
    before = [message for message in client.heard if first_s <= message.at_s <= told.at_s]
    audio = [message.at_s - first_s for message in before if message.type == "audio" and len(message.pcm)]
    # What came before the onset plays on from the buffer, unless the client is told to drop it.
    plays_until_s = 0.0
    for message in client.heard:
        if message.type == "audio" and message.at_s <= told.at_s:
            plays_until_s = max(message.at_s, plays_until_s) + len(message.pcm) / OUT_HZ
    found = {
        "told": told.at_s - first_s,
        "last_audio": max(audio, default=0.0),
        "silent": min(told.at_s, plays_until_s) - first_s,
        "held": 0.0,
    }
    for message in before:
        if message.type == "state" and message.body.get("state") == "paused":
            found["held"] = message.at_s - first_s
            break
    await client.wait("audio", last_s, audible=True)
    return found
