"""The same way with the parts that come with Parley: pocketsphinx, parley-mini, espeak-ng."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio

from tests.bench.live_client import LiveClient, live_client
from tests.bench.report import Options, Section, Table, milliseconds
from tests.bench.utterances import Utterance, utterances
from tests.parley_process import running_parley

__all__ = ["run"]

_STAGES = (
    ("endpoint", "the turn is over"),
    ("transcript", "transcript of the recogniser"),
    ("first_token", "first token of the model"),
    ("first_clause", "first clause to speak"),
    ("first_speech", "first samples of the voice"),
    ("first_audio_sent", "first reply audio sent"),
)


def run(options: Options) -> Section:
    spoken = utterances(options.turns)
    with tempfile.TemporaryDirectory() as folder, running_parley(Path(folder)) as server:

        async def main() -> list[dict[str, float]]:
            async with live_client(server) as client:
                turns = [await _turn(client, utterance) for utterance in [spoken[0], *spoken]]
                return [turn for turn in turns[1:] if turn.get("first_audio", 0) > 0]

        measured = anyio.run(main)
    rows = [
        (label, *milliseconds([turn[stage] for turn in measured if stage in turn]))
        for stage, label in (*_STAGES, ("first_audio", "first reply audio at the client"))
        if any(stage in turn for turn in measured)
    ]
    kind = "Recordings of people" if spoken[0].human else "espeak-ng speech"
    return Section(
        "With the parts that come with Parley",
        f"{kind} at real-time pace to a `parley up` without any configuration or download: the recogniser, the model "
        "and the voice are those of a fresh machine, on its own cores. From the last voiced sample; the stages are "
        "those of the turn's own ledger. What is said is not judged here. Turns in which the recogniser heard no "
        f"words are left out ({len(spoken) - len(measured)} of {len(spoken)}).",
        (Table(("stage, ms after the last speech sample", "p50", "p95", "worst", "turns"), tuple(rows)),),
    )


async def _turn(client: LiveClient, utterance: Utterance) -> dict[str, float]:
    """One question and its answer, seconds; empty when it was not understood."""
    first_s, last_s = client.say(utterance)
    try:
        done = await client.wait("turn_complete", first_s, timeout_s=15.0 + (last_s - first_s))
    except TimeoutError:
        return {}
    await client.wait_quiet()
    found = {stage: ms / 1000 for stage, ms in done.body["latency"].items()}
    sounds = [message.at_s for message in client.heard if first_s <= message.at_s <= done.at_s and message.audible]
    if sounds:
        found["first_audio"] = sounds[0] - last_s
    return found
