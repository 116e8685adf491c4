"""The first words of an answer after a long prompt: read while the user still spoke, or afterwards."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.bench.answering import Answered, ask_all
from tests.bench.report import Options, Section, Table, milliseconds
from tests.bench.utterances import Utterance, utterances
from tests.parley_process import running_parley

__all__ = ["run"]

WORDS = (60, 400, 700)
"""Of the system prompt; a word is a token, or a little more, and the bundled model has a context of 1024."""
SENTENCE = "You are the voice of a small hotel by the sea, you are kind, and you answer in one short sentence. "


def run(options: Options) -> Section:
    spoken = utterances(3 if options.quick else 6)
    rows = [
        (f"{words} words, {'read while the user speaks' if ahead else 'read when the turn is over'}", *_row(found))
        for words in (WORDS[::2] if options.quick else WORDS)
        for ahead in (True, False)
        for found in [_measure(spoken, words, ahead)]
    ]
    return Section(
        "A long prompt",
        "What a session is told before anybody speaks (instructions, tools, an earlier conversation) has to be read "
        "by the model once. Every turn here is the first of its session, with the parts that come with Parley: from "
        "the moment at which the model may begin (its transcript; without speculation the end of the turn, too) to "
        "its first token. `Read when the turn is over` is `speculate = false`.",
        (Table(("system prompt", "p50", "p95", "worst", "turns"), tuple(rows)),),
    )


def _row(found: Answered) -> tuple[object, ...]:
    return milliseconds([max(turn["waited"], 0.0) for turn in found.turns])


def _measure(spoken: list[Utterance], words: int, ahead: bool) -> Answered:
    config = f"[voice.turn]\nspeculate = {str(ahead).lower()}\n"
    prompt = " ".join((SENTENCE * (words // len(SENTENCE.split()) + 1)).split()[:words])
    every = Answered()
    with tempfile.TemporaryDirectory() as folder, running_parley(Path(folder), config=config) as server:
        for number, utterance in enumerate(spoken):
            # Another prompt each time: else a session would find what the one before it has left in the memory.
            asked = {"llm_config": {"system_prompt": f"Guest number {number + 1}. {prompt}"}}
            found = ask_all(server, [utterance], asked, warm_up=False)
            for turn in found.turns:
                since = (
                    turn["ledger_transcript"] if ahead else max(turn["ledger_transcript"], turn["ledger_endpoint"])
                )
                turn["waited"] = turn["ledger_first_token"] - since
            every.turns += found.turns
    return every
