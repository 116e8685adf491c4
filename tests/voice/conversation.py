"""A conversation on a virtual clock: a scripted user, recogniser, model and voice around a real TurnMachine.

The user is a list of (start_s, end_s, words). Everything the machine asks for comes back after a scripted delay,
and everything it tells the client is kept with its time. Thirty seconds of talk take a few milliseconds.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from llm.messages import ToolCall
from voice.port import Word
from voice.session.config import AudioConfig, SessionConfig
from voice.session.outgoing import AudioOut, ServerEvent
from voice.settings import ToolSettings, TurnSettings
from voice.turn import events as heard
from voice.turn.actions import (
    Abandon,
    Action,
    Contest,
    Listen,
    RunTool,
    ScoreTurn,
    Speak,
    StopListening,
    Tell,
    Think,
    Transcribe,
)
from voice.turn.machine import TurnMachine

E = TypeVar("E")

FRAME_S = 0.032
RATE_HZ = 8_000
CHARACTERS_PER_S = 15.0


@dataclass(frozen=True)
class Delays:
    """Seconds."""

    stt: float = 0.10
    first_token: float = 0.15
    token: float = 0.02
    tts: float = 0.08


@dataclass
class Conversation:
    """`answer(last message) -> the model's reply`, or the calls it makes and the words before them. `said` is what
    the client was told: (time, event). `tools` of the server: name -> (seconds, result).
    """

    answer: Callable[[str], str | tuple[str | ToolCall, ...]] = lambda asked: (
        f"You said {asked}. That is all I know, and it is enough for now."
    )
    delays: Delays = Delays()
    config: SessionConfig = SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ))
    settings: TurnSettings = TurnSettings()
    audible: frozenset[str] = frozenset()
    word_times: bool = True
    frame_s: float = FRAME_S
    tools: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    tool_settings: ToolSettings = ToolSettings()
    scoring: bool = False
    failing: int = 0
    """So many transcripts fail."""
    wins: bool = True
    """No other device of the user heard a wake word better."""
    probability: Callable[[], float | None] = lambda: None
    """What the turn detector's model says; None: it does not answer."""
    said: list[tuple[float, ServerEvent]] = field(default_factory=list)
    actions: list[tuple[float, Action]] = field(default_factory=list)

    def __post_init__(self) -> None:
        schemas = {name: {"type": "function", "function": {"name": name}} for name in self.tools}
        self.machine = TurnMachine(
            self.config,
            self.settings,
            audible=self.audible,
            system_prompt="Be brief.",
            tools=self.tool_settings,
            server_tools=schemas,
            scoring=self.scoring,
        )
        self.now = 0.0
        self.heard_s = 0.0
        self._queue: list[tuple[float, int, heard.TurnEvent]] = []
        self._order = itertools.count()
        self._speech: list[tuple[float, float, str]] = []
        self._abandoned: set[int] = set()
        self._asked: dict[int, str] = {}

    # ---- the script -----------------------------------------------------------------------------------------

    def speak(self, *utterances: tuple[float, float, str]) -> None:
        """The user says words from start_s to end_s. Utterances that touch are one stretch of voice."""
        self._speech.extend(utterances)
        stretches: list[list[float]] = []
        for start_s, end_s, _ in utterances:
            if stretches and start_s - stretches[-1][1] < 0.16:
                stretches[-1][1] = end_s
            else:
                stretches.append([start_s, end_s])
        for start_s, end_s in stretches:
            if end_s - start_s >= 0.096:
                self.at(start_s + 0.096, heard.SpeechBegan(start_s))
                self.at(end_s + 0.160, heard.SpeechEnded(end_s))

    def at(self, time_s: float, event: heard.TurnEvent) -> None:
        heapq.heappush(self._queue, (time_s, next(self._order), event))

    def run(self, until_s: float, *, microphone_until_s: float | None = None) -> Conversation:
        """Let time pass. The microphone gives a frame every 32 ms until `microphone_until_s`."""
        ends = until_s if microphone_until_s is None else microphone_until_s
        frames = self._frames(ends)
        frame = next(frames, None)
        ticks = 0
        while True:
            wakes = self.machine.wakes_at
            due = self._queue[0][0] if self._queue else float("inf")
            if frame is not None and frame.at_s < due:
                due = frame.at_s
            if min(due, wakes if wakes is not None else float("inf")) > until_s:
                self.now = until_s
                return self
            if frame is not None and frame.at_s == due and (wakes is None or wakes >= due):
                self.now = self.heard_s = due
                self._step(frame)
                frame = next(frames, None)
            elif wakes is not None and wakes < due:
                ticks = ticks + 1 if wakes <= self.now else 0
                assert ticks < 100, "it wants to be woken again and again, and nothing comes of it"
                self.now = max(self.now, wakes)
                self._step(heard.Tick())
            else:
                self.now, _, event = heapq.heappop(self._queue)
                if isinstance(event, heard.AudioClock):
                    self.heard_s = event.at_s
                self._step(event)

    def _frames(self, until_s: float) -> Iterator[heard.AudioClock]:
        """What the microphone gives from here on."""
        at_s = self.heard_s + self.frame_s
        spoken, begun, voiced_until = sorted(self._speech), 0, -1.0
        while at_s <= until_s:
            middle = at_s - self.frame_s / 2
            while begun < len(spoken) and spoken[begun][0] <= middle:
                voiced_until = max(voiced_until, spoken[begun][1])
                begun += 1
            yield heard.AudioClock(at_s, middle <= voiced_until)
            at_s += self.frame_s

    # ---- the world ------------------------------------------------------------------------------------------

    def _step(self, event: heard.TurnEvent) -> None:
        if getattr(event, "revision", None) in self._abandoned:
            return
        for action in self.machine.step(event, self.now):
            self.actions.append((self.now, action))
            self._do(action)

    def _do(self, action: Action) -> None:
        later = self.now
        match action:
            case Transcribe(revision=revision) if self.failing:
                self.failing -= 1
                self.at(later + self.delays.stt, heard.TranscriptFailed(revision, "stt_failed", "The script", ""))
            case Transcribe(revision=revision, from_s=from_s, until_s=until_s):
                text = self._words(from_s, self.now if until_s is None else until_s)
                self.at(later + self.delays.stt, heard.TranscriptReady(revision, text))
            case ScoreTurn(revision=revision):
                probability = self.probability()
                if probability is not None:
                    self.at(later + 0.06, heard.TurnScored(revision, probability))
            case Think(revision=revision, messages=messages):
                reply = self.answer(messages[-1].content)
                later += self.delays.first_token
                parts = reply if isinstance(reply, tuple) else (reply,)
                calls = tuple(part for part in parts if isinstance(part, ToolCall))
                tokens = [token + " " for part in parts if isinstance(part, str) for token in part.split()]
                for token in tokens:
                    self.at(later, heard.TokensArrived(revision, token))
                    later += self.delays.token
                reason = "tool_calls" if calls else "stop"
                self.at(later, heard.MindFinished(revision, 40, len(tokens) + 10 * len(calls), reason, calls))
            case Speak(revision=revision, clause=clause, text=text):
                self._speak(revision, clause, text, later + self.delays.tts)
            case RunTool(call_id=call_id, name=name):
                delay_s, output = self.tools[name]
                self.at(later + delay_s, heard.ToolResult(call_id, output))
            case Abandon(revision=revision):
                self._abandoned.add(revision)
            case Tell(event=event):
                self.said.append((self.now, event))
            case Contest(revision=revision):
                self.at(later, heard.ContestDecided(revision, self.wins))
            case Listen() | StopListening():
                return

    def _speak(self, revision: int, clause: int, text: str, at: float) -> None:
        words, position = [], 0.0
        for word in text.split():
            length = (len(word) + 1) / CHARACTERS_PER_S
            words.append(Word(word, position, position + length))
            position += length
        pcm = np.ones(max(1, round(position * RATE_HZ)), np.int16)
        half = len(pcm) // 2
        self.at(at, heard.ClauseAudio(revision, clause, pcm[:half], RATE_HZ))
        times = tuple(words) if self.word_times else ()
        self.at(at + 0.01, heard.ClauseAudio(revision, clause, pcm[half:], RATE_HZ, times, is_last=True))

    def _words(self, from_s: float, until_s: float) -> str:
        return " ".join(
            words for start, end, words in self._speech if end > from_s + 0.05 and start < until_s - 0.05 and words
        )

    # ---- what came of it ------------------------------------------------------------------------------------

    def told(self, kind: type[E]) -> list[E]:
        return [event for _, event in self.said if isinstance(event, kind)]

    def time_of(self, kind: type[ServerEvent], number: int = 0) -> float:
        return [time for time, event in self.said if isinstance(event, kind)][number]

    def audio_s(self, replies: Sequence[str] | None = None) -> float:
        return sum(
            len(event.pcm) / event.rate_hz
            for event in self.told(AudioOut)
            if replies is None or event.reply in replies
        )
