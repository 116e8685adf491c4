"""From the last speech sample to the first reply audio, with parts of fixed delay behind real HTTP."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio

from tests.bench.live_client import LiveClient, live_client
from tests.bench.report import Bars, Options, Section, Table, milliseconds, percentile
from tests.bench.utterances import Utterance, utterances
from tests.parley_process import running_parley
from tests.scripted.process import running_scripted
from tests.scripted.script import Script

__all__ = ["run"]

SILENCE_MS = 500
REPLY = "The capital of France is Paris. It lies on the river Seine, and some two million people live there."
FIRST_CLAUSE_TOKENS = len("The capital of France is Paris.".split())
PEER_MS = (("a peer, VAD stop 0.5 s", 1297), ("the same peer, its smart turn model", 999))


def run(options: Options) -> Section:
    spoken = utterances(options.turns)
    default = _kind(spoken)
    measured = {default: _measure(spoken, speculate=True)}
    if spoken[0].human:
        synthetic = utterances(options.turns, synthetic=True)
        measured[_kind(synthetic)] = _measure(synthetic, speculate=True)
    measured[f"{default}, only the transcript ahead"] = _measure(spoken, speculate=False)
    script = Script()
    parts = script.stt_delay_ms + script.first_token_ms + script.tts_delay_ms
    clause = FIRST_CLAUSE_TOKENS * 1000 / script.tokens_per_s
    rows: list[tuple[object, ...]] = [
        (f"Parley, {name}", *milliseconds([entry["first_audio"] for entry in turns]))
        for name, turns in measured.items()
    ]
    rows += [(name, value, "", "", "") for name, value in PEER_MS]
    best = measured[default]
    stages = [
        (label, *milliseconds([entry[key] for entry in best if key in entry]))
        for key, label in (
            ("stopped", "`speech_stopped` at the client"),
            ("transcript", "final transcript at the client"),
            ("text", "first reply text at the client"),
            ("first_audio", "first reply audio at the client"),
        )
        if any(key in entry for entry in best)
    ]
    return Section(
        "From the last word to the first answer",
        "Requests, sent through the WebSocket in 20 ms frames at real-time pace. The recogniser "
        f"({script.stt_delay_ms:.0f} ms), the model ({script.first_token_ms:.0f} ms to the first token, then "
        f"{script.tokens_per_s:.0f} tokens/s) and the voice ({script.tts_delay_ms:.0f} ms) are the scripted "
        f"service of `tests/scripted`, a process behind OpenAI-compatible HTTP; endpointing waits {SILENCE_MS} ms. "
        "Measured at the client, from the moment the last voiced sample is recorded (20 ms frame included) to the "
        "first audible reply audio.\n\n"
        f"One after the other the fixed parts are {SILENCE_MS} + {parts:.0f} + {clause:.0f} ms for the "
        f"{FIRST_CLAUSE_TOKENS} tokens of the first clause = **{SILENCE_MS + parts + clause:.0f} ms**; no server "
        f"that waits out the silence first can be faster. Started at the first pause (160 ms) they take "
        f"**{160 + parts + clause:.0f} ms**. The detector hears a voice end some 110 ms after its last sample, which "
        "is in the figures. `Only the transcript ahead` is `speculate = false`: the model waits for the turn's end.",
        (
            Table(("last speech sample to first reply audio, ms", "p50", "p95", "worst", "turns"), tuple(rows)),
            Table(
                ("stage, speculation on, ms after the last speech sample", "p50", "p95", "worst", "turns"),
                tuple(stages),
            ),
        ),
        Bars(
            "Last speech sample to first reply audio, p50, ms",
            (
                *(
                    (name, round(percentile([e["first_audio"] for e in turns], 50) * 1000))
                    for name, turns in measured.items()
                ),
                *((name, float(value)) for name, value in PEER_MS),
            ),
            SILENCE_MS,
            "silence that is waited for",
        ),
        ("The figures of the peer, another open-source voice server, were measured with the same fixed parts.",),
    )


def _kind(spoken: list[Utterance]) -> str:
    return "recordings of people" if spoken[0].human else "espeak-ng speech"


def _measure(spoken: list[Utterance], *, speculate: bool) -> list[dict[str, float]]:
    turn = f"\n[voice.turn]\nsilence_ms = {SILENCE_MS}\nspeculate = {str(speculate).lower()}\n"
    with (
        tempfile.TemporaryDirectory() as folder,
        running_scripted() as service,
        running_parley(Path(folder), config=service.parley_config(turn)) as server,
    ):
        service.script(replies=[REPLY], tts_ms_per_character=20)  # short answers: the bench waits them out

        async def main() -> list[dict[str, float]]:
            async with live_client(server) as client:
                await _turn(client, spoken[0])  # warms up connections; not counted
                turns = [await _turn(client, utterance) for utterance in spoken]
                # Answered before its end: the speaker paused for longer than the silence. No latency to speak of.
                return [turn for turn in turns if turn["first_audio"] > 0]

        return anyio.run(main)


async def _turn(client: LiveClient, utterance: Utterance) -> dict[str, float]:
    """One question and its whole answer; seconds after the last voiced sample."""
    first_s, last_s = client.say(utterance)
    audio = await client.wait("audio", first_s, audible=True)
    done = await client.wait("turn_complete", first_s)
    # The answer plays to its end before the next question: what follows is a turn, not an interruption.
    await client.wait_quiet()
    found = {"first_audio": audio.at_s - last_s}
    for message in client.heard:
        if message.at_s < first_s or message.at_s > done.at_s:
            continue
        if message.type == "speech_stopped":
            found["stopped"] = message.at_s - last_s
        elif message.type == "transcript" and message.body.get("is_final") and "transcript" not in found:
            found["transcript"] = message.at_s - last_s
        elif message.type == "text" and message.body.get("text") and "text" not in found:
            found["text"] = message.at_s - last_s
    return found
