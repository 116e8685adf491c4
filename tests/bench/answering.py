"""Ask a running server aloud, turn after turn, and note when what of the answer came.

A turn that is not answered is a figure, too: it is counted and named, never left out in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio

from tests.bench.live_client import LiveClient, live_client
from tests.bench.utterances import Utterance
from tests.parley_process import ParleyProcess

__all__ = ["Answered", "ask_all"]

PATIENCE_S = 15.0
"""From the last word to the end of the turn; then it is counted as not answered."""


@dataclass(slots=True)
class Answered:
    """Seconds after the last voiced sample, by what came; beside it the turns without an answer.

    Keys: speech_stopped, transcript, text, first_audio at the client; `ledger_...` for the stages of the server's own
    ledger, which counts from where its detector heard the voice end; `last_s` on the machine's clock, `spoken_s`
    before it.
    """

    turns: list[dict[str, float]] = field(default_factory=list)
    no_words: list[str] = field(default_factory=list)
    """The recogniser made no words of it."""
    early: list[str] = field(default_factory=list)
    """Answered before its last sample: there was a pause in it, and no latency can be told."""
    unanswered: list[str] = field(default_factory=list)

    def of(self, key: str) -> list[float]:
        return [turn[key] for turn in self.turns if key in turn]

    def between(self, first: str, then: str) -> list[float]:
        return [turn[then] - turn[first] for turn in self.turns if first in turn and then in turn]


def ask_all(
    server: ParleyProcess,
    spoken: list[Utterance],
    config: Mapping[str, object] | None = None,
    *,
    warm_up: bool = True,
) -> Answered:
    """All of them in one session. `warm_up`: the first one is asked once before, for connections and caches."""
    found = Answered()

    async def main() -> None:
        async with live_client(server, dict(config) if config else None) as client:
            if warm_up:
                await _ask(client, spoken[0], Answered())
            for utterance in spoken:
                await _ask(client, utterance, found)

    anyio.run(main)
    for kind, names in (
        ("NOT ANSWERED", found.unanswered),
        ("no words heard", found.no_words),
        ("early", found.early),
    ):
        if names:
            print(f"{kind}: {', '.join(names)}", flush=True)
    return found


async def _ask(client: LiveClient, utterance: Utterance, found: Answered) -> None:
    """One question. The answer is cut off at its first sound: what comes after is not what is measured."""
    first_s, last_s = client.say(utterance)
    try:
        audio = await client.wait("audio", first_s, timeout_s=PATIENCE_S + last_s - first_s, audible=True)
    except (TimeoutError, RuntimeError):
        finals = [m for m in client.heard if m.at_s >= first_s and m.type == "transcript" and m.body.get("is_final")]
        silent = [m for m in finals if not str(m.body.get("text", m.body.get("transcript", ""))).strip()]
        (found.no_words if silent else found.unanswered).append(utterance.name)
        await client.wait_quiet()
        return
    await client.socket.send('{"type": "interrupt"}')
    done = await client.wait("turn_complete", first_s, timeout_s=PATIENCE_S)
    await client.wait_quiet()
    if audio.at_s <= last_s:
        found.early.append(utterance.name)
        return
    turn = {"first_audio": audio.at_s - last_s, "last_s": last_s, "spoken_s": last_s - first_s}
    for message in client.heard:
        if first_s <= message.at_s <= done.at_s:
            kind = message.type
            final = kind == "transcript" and message.body.get("is_final")
            if kind == "speech_stopped":
                turn[kind] = message.at_s - last_s
            elif final or (kind == "text" and message.body.get("text")):
                turn.setdefault(kind, message.at_s - last_s)
    for stage, ms in done.body["latency"].items():
        turn[f"ledger_{stage}"] = ms / 1000
    found.turns.append(turn)
