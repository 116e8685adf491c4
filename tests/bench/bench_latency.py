"""From the last speech sample to the first reply audio: before and after speculation, with parts of fixed delay
behind real HTTP and with the parts that come with Parley."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tests.bench.answering import Answered, ask_all
from tests.bench.report import Bars, Options, Section, Table, milliseconds, percentile
from tests.bench.utterances import Utterance, utterances
from tests.parley_process import running_parley
from tests.scripted.process import running_scripted
from tests.scripted.script import Script
from voice.settings import TurnSettings

__all__ = ["run"]

SILENCE_MS = 500
REPLY = "The capital of France is Paris. It lies on the river Seine, and some two million people live there."
FIRST_CLAUSE_TOKENS = len("The capital of France is Paris.".split())
PEER_MS = (("a peer, VAD stop 0.5 s", 1297), ("the same peer, its smart turn model", 999))
FAST: dict[str, float] = {"stt_delay_ms": 20, "first_token_ms": 20, "tokens_per_s": 400, "tts_delay_ms": 20}
"""Parts that have plenty of time in the silence: what is left is our own."""


def run(options: Options) -> Section:
    spoken = utterances(options.turns)
    some, few = spoken[: max(3, options.turns // 2)], spoken[: max(3, options.turns * 10 // 24)]
    kind = "recordings of people" if spoken[0].human else "espeak-ng speech"
    script = Script()
    best = _scripted(spoken, speculate=True)
    rows: dict[str, Answered] = {
        kind: best,
        f"{kind}, without speculation": _scripted(some, speculate=False),
    }
    if spoken[0].human and not options.quick:
        synthetic = utterances(max(6, options.turns // 4), synthetic=True)
        rows["espeak-ng speech"] = _scripted(synthetic, speculate=True)
    fast = _scripted(some, speculate=True, **FAST)
    own = {
        "its own parts": _embedded(few, speculate=True),
        "its own parts, without speculation": _embedded(few, speculate=False),
    }
    failures = [
        f"{name}: not answered: {', '.join(answered.unanswered)}"
        for name, answered in {**rows, "fast parts": fast}.items()
        if answered.unanswered or answered.no_words
    ]
    parts = script.stt_delay_ms + script.first_token_ms + script.tts_delay_ms
    clause = FIRST_CLAUSE_TOKENS * 1000 / script.tokens_per_s
    answers: list[tuple[object, ...]] = [_row(f"Parley, {name}", found) for name, found in {**rows, **own}.items()]
    answers += [(name, value, "", "", "", "", "") for name, value in PEER_MS]
    stages = [
        (label, *milliseconds(best.of(key)))
        for key, label in (
            ("revision", "the answer is begun: request at the recogniser"),
            ("speech_stopped", "the turn is over: `speech_stopped` at the client"),
            ("transcript", "final transcript at the client"),
            ("text", "first reply text at the client"),
            ("first_audio", "first reply audio at the client"),
        )
        if best.of(key)
    ]
    ends = (
        ("the turn is over -> first audio sent, server's ledger", ("ledger_endpoint", "ledger_first_audio_sent")),
        ("`speech_stopped` -> first reply audio, at the client", ("speech_stopped", "first_audio")),
    )
    return Section(
        "From the last word to the first answer",
        "Requests are sent through the WebSocket in 20 ms frames at real-time pace. The recogniser "
        f"({script.stt_delay_ms:.0f} ms), the model ({script.first_token_ms:.0f} ms to the first token, then "
        f"{script.tokens_per_s:.0f} tokens/s) and the voice ({script.tts_delay_ms:.0f} ms) are the scripted "
        f"service of `tests/scripted`, a process with an OpenAI-compatible API; endpointing waits {SILENCE_MS} ms. "
        "Times are measured at the client, from the moment the last voiced sample is recorded (including its 20 ms "
        "frame) to the first audible reply audio. `Its own parts` are the recogniser, model and voice of a fresh "
        "installation, on the cores of this machine. `Without speculation` is `speculate = false`: only the "
        "transcript is made ahead.\n\n"
        f"One after the other, the fixed parts take {SILENCE_MS} + {parts:.0f} + {clause:.0f} ms for the "
        f"{FIRST_CLAUSE_TOKENS} tokens of the first clause = **{SILENCE_MS + parts + clause:.0f} ms**. No server "
        "that waits for the end of the silence first can be faster. Parley begins at the first silent frame, "
        f"{TurnSettings().guess_ms} ms after the detector heard the voice end (about 100 ms after its real end), so "
        "most of this time passes during the silence. The silence, too, is counted from where the detector heard "
        "the voice end.",
        (
            Table(
                (
                    "last speech sample to first reply audio, ms",
                    *("p50", "p95", "worst", "turns", "no words heard", "not answered"),
                ),
                tuple(answers),
            ),
            Table(
                ("stage, speculation on, ms after the last speech sample", "p50", "p95", "worst", "turns"),
                tuple(stages),
            ),
            Table(
                ("parts that are done in time, ms", "p50", "p95", "worst", "turns"),
                tuple((label, *milliseconds(fast.between(*keys))) for label, keys in ends),
            ),
        ),
        Bars(
            "Last speech sample to first reply audio, p50, ms",
            (
                *((name, round(percentile(found.of("first_audio"), 50) * 1000)) for name, found in rows.items()),
                *((name, float(value)) for name, value in PEER_MS),
            ),
            SILENCE_MS,
            "silence that is waited for",
        ),
        (
            "The figures of the peer, another open-source voice server, were measured with the same fixed parts.",
            f"Answers begun for nothing, because the speaker went on: {_dropped(best)} a turn.",
            f"Parts that are done in time: {', '.join(f'{name} {value:.0f}' for name, value in FAST.items())}.",
        ),
        failures=tuple(failures),
    )


def _row(name: str, found: Answered) -> tuple[object, ...]:
    return (name, *milliseconds(found.of("first_audio")), len(found.no_words), len(found.unanswered))


def _dropped(found: Answered) -> str:
    wrong = found.of("dropped")
    return f"{sum(wrong) / len(wrong):.2f}" if wrong else "not known"


def _config(speculate: bool) -> str:
    return f"\n[voice.turn]\nsilence_ms = {SILENCE_MS}\nspeculate = {str(speculate).lower()}\n"


def _scripted(spoken: list[Utterance], *, speculate: bool, **delays: float) -> Answered:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_scripted() as service,
        running_parley(Path(folder), config=service.parley_config(_config(speculate))) as server,
    ):
        service.script(replies=[REPLY], tts_ms_per_character=20, **delays)
        found = ask_all(server, spoken)
        _note_revisions(found, service.requests("stt"))
    return found


def _note_revisions(found: Answered, asked: list[dict[str, Any]]) -> None:
    """When the answer that was given had been begun, and how many had been begun before it for nothing.

    The service's clock and the client's are the machine's.
    """
    for turn in found.turns:
        from_s, until_s = turn["last_s"] - turn["spoken_s"], turn["last_s"] + turn["first_audio"]
        begun = [record["at_s"] for record in asked if from_s < record["at_s"] < until_s]
        if begun:
            turn["revision"], turn["dropped"] = begun[-1] - turn["last_s"], len(begun) - 1


def _embedded(spoken: list[Utterance], *, speculate: bool) -> Answered:
    with tempfile.TemporaryDirectory() as folder, running_parley(Path(folder), config=_config(speculate)) as server:
        return ask_all(server, spoken)
