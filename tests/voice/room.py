"""A room on a virtual clock: a real voice, real ears and real echo around a real turn machine.

Silero, the segmenter, the echo guard and the turn machine are the product's; the replies are spoken by espeak-ng; the
way from loudspeaker to microphone is a synthetic room. Only the recogniser is a script: it knows what the user says,
and where our own voice reaches the microphone as it is, it hears that. Ten seconds take about one.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import time
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from models.registry import discover
from tests.speaking import spoken
from voice.ears.echo_guard import EchoGuard
from voice.ears.echo_prior import EchoPrior
from voice.ears.level_drop import LevelDrop
from voice.ears.segmenter import Onset, Segmenter
from voice.port import EngineConfig, Pcm, SpottingEngineStream, SttEngine, VadEngine
from voice.session.config import AudioConfig, SessionConfig, TurnConfig
from voice.session.outgoing import AudioOut, Interrupted, ServerEvent, TurnComplete
from voice.settings import STOP_PHRASES, TurnSettings
from voice.turn import events as heard
from voice.turn.actions import Abandon, Action, Speak, Tell, Think, Transcribe
from voice.turn.bargein import spotted_phrases
from voice.turn.machine import TurnMachine

E = TypeVar("E")

RATE_HZ = 16_000
FRAME = 320
VAD_FRAME = 512
STORY = (
    "Once upon a time there was a small cat, and it lived by the sea with its friends. Every morning it went down to"
    " the water and looked at the boats. One day a big ship came, and the captain asked whether it wanted to travel."
)


@dataclass(frozen=True)
class Acoustics:
    """How our voice comes back: `gain_db` None is no way back; `delay_ms` of the client and the air."""

    gain_db: float | None = None
    delay_ms: float = 150.0
    rt60_s: float = 0.3
    noise: float = 12.0
    """RMS of the room's own noise, of 32767."""
    stalls: tuple[tuple[float, float], ...] = ()
    """(from, for) seconds in which the network carries nothing, either way: it all comes at their end."""
    muted: tuple[tuple[float, float], ...] = ()
    """(from, for) seconds in which the microphone is off, and sends nothing."""
    switched_off: tuple[tuple[float, float], ...] = ()
    """(from, for) seconds in which the microphone is off, and the client sends silence."""
    busy: tuple[tuple[float, float], ...] = ()
    """(from, for) seconds in which we do nothing, for others have the machine: what comes waits to be heard."""


@dataclass(frozen=True)
class Sound:
    """Somebody or something at `at_s`; `words` is what a recogniser makes of it."""

    at_s: float
    pcm: Pcm
    words: str = ""

    @property
    def end_s(self) -> float:
        return self.at_s + len(self.pcm) / RATE_HZ


def impulse_response(rt60_s: float, seed: int) -> npt.NDArray[np.float64]:
    """Exponentially decaying noise after the direct path; its energy is 1."""
    rng = np.random.default_rng(seed)
    count = round(rt60_s * RATE_HZ)
    tail = rng.normal(0, 1, count) * 10 ** (-3 * np.arange(count) / count)
    tail *= 0.5 / np.sqrt(np.sum(tail**2))
    tail[0] = 0.9
    response: npt.NDArray[np.float64] = tail / np.sqrt(np.sum(tail**2))
    return response


def _within(spans: tuple[tuple[float, float], ...], at_s: float) -> bool:
    return any(begin <= at_s < begin + length for begin, length in spans)


def _said_by(sound: Sound, until_s: float) -> list[str]:
    """The words of which most is said by then."""
    loud = np.flatnonzero(np.abs(sound.pcm.astype(int)) > np.abs(sound.pcm.astype(int)).max() / 6)
    begin_s, end_s = (sound.at_s + at / RATE_HZ for at in (loud[0], loud[-1] + 1)) if loud.size else (0.0, 1.0)
    words, share = sound.words.split(), (until_s - begin_s) / (end_s - begin_s)
    return words[: max(0, int(len(words) * share + 0.4))]


@functools.cache
def _vad() -> VadEngine:
    return discover("voice.vad")["silero"].load(EngineConfig())


@dataclass
class Room:
    acoustics: Acoustics = Acoustics()
    sounds: tuple[Sound, ...] = ()
    reply: str = STORY
    echo: str = "auto"
    settings: TurnSettings = TurnSettings()
    stt_s: float = 0.25
    recogniser: SttEngine | None = None
    """Instead of the script: hears the microphone, and takes what it takes of a core."""
    prior: EchoPrior | None = None
    seed: int = 0
    said: list[tuple[float, ServerEvent]] = field(default_factory=list)
    actions: list[tuple[float, Action]] = field(default_factory=list)

    def __post_init__(self) -> None:
        turn = TurnConfig(echo=self.echo)  # type: ignore[arg-type]
        config = SessionConfig(audio=AudioConfig("pcm", "pcm", RATE_HZ), turn=turn)
        self.machine = TurnMachine(config, self.settings)
        self.guard = EchoGuard(turn.echo, self.prior)
        self.now = 0.0
        self.heard_pcm: list[Pcm] = []
        self.echo_states: list[str] = []
        """What was found out of the echo, in order."""
        self._queue: list[tuple[float, int, heard.TurnEvent]] = []
        self._order = itertools.count()
        self._busy_until, self._spotted_at = 0.0, 0.0
        """When the recogniser is free; until when it is at what cannot be abandoned."""
        self._gone: set[int] = set()
        self._played = np.zeros(0)
        """What the loudspeaker has to play, from the session's beginning."""
        self._response = impulse_response(self.acoustics.rt60_s, self.seed)
        self._rng = np.random.default_rng(self.seed)

    def type(self, at_s: float) -> None:
        """The user types then, too."""
        self._at(at_s, heard.Typed("tell me a story"))

    def run(self, until_s: float, asked_at_s: float | None = 0.5) -> Room:
        """The user types at `asked_at_s` and is answered by voice; then time passes. None: nobody types."""
        vad, segmenter, level_drop = _vad(), self._segmenter(), LevelDrop()
        stream, pending, at = vad.open(), np.zeros(0, np.int16), 0
        recorded: list[Pcm] = []
        if asked_at_s is not None:
            self.type(asked_at_s)
        self._step(heard.EchoHeard(self.guard.state))
        try:
            for start in range(0, round(until_s * RATE_HZ), FRAME):
                end_s, frame = (start + FRAME) / RATE_HZ, self._microphone(start)
                if not _within(self.acoustics.muted, end_s):
                    recorded.append(frame)
                if _within(self.acoustics.busy, end_s):
                    self.now = end_s
                    continue
                self._until(end_s)
                while recorded and self._arrives_s() <= self.now:
                    before = self.guard.finding
                    clean = self.guard.hear(recorded.pop(0), self.now)
                    self._again(self.guard.take_past())
                    if self.guard.finding != before:
                        if self.guard.state == "present":
                            segmenter = self._segmenter()
                        self.echo_states.append(self.guard.state)
                        self._step(heard.EchoHeard(self.guard.state))
                    self.heard_pcm.append(clean)
                    pending = np.concatenate((pending, clean))
                    while len(pending) >= VAD_FRAME:
                        frame, pending = pending[:VAD_FRAME], pending[VAD_FRAME:]
                        at += VAD_FRAME
                        probability = float(vad.step([stream], frame[None].astype(np.float32) / 32768)[0])
                        edge = segmenter.step(probability, at / RATE_HZ)
                        if edge is not None:
                            began = isinstance(edge, Onset)
                            self._step(heard.SpeechBegan(edge.at_s) if began else heard.SpeechEnded(edge.at_s))
                        voiced = segmenter.voiced or probability >= 0.5
                        level_db = float(10 * np.log10(frame.astype(np.float64).var() + 1))
                        hushed = level_drop.step(level_db, segmenter.in_speech)
                        self._step(heard.AudioClock(at / RATE_HZ, voiced, False, segmenter.rising, level_db, hushed))
        finally:
            vad.close(stream)
        return self

    def _again(self, past: Pcm) -> None:
        """What was heard last, without the echo that has only now become known."""
        if len(past):
            whole = np.concatenate(self.heard_pcm)
            whole[max(0, len(whole) - len(past)) :] = past[-len(whole) :]
            self.heard_pcm = [whole]

    # ---- what came of it ------------------------------------------------------------------------------------

    def told(self, kind: type[E]) -> list[E]:
        return [event for _, event in self.said if isinstance(event, kind)]

    def when(self, kind: type[ServerEvent], **fields: object) -> list[float]:
        return [
            time
            for time, event in self.said
            if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items())
        ]

    @property
    def requests(self) -> list[str]:
        """What was answered, or begun to be."""
        thinks = [action for _, action in self.actions if isinstance(action, Think)]
        done = [turn.input_transcript for turn in self.told(TurnComplete)]
        return list(dict.fromkeys([*done, *(think.messages[-1].content for think in thinks)]))

    # ---- the world ------------------------------------------------------------------------------------------

    def _segmenter(self) -> Segmenter:
        return Segmenter(0.5, self.settings.pause_ms, self.settings.min_speech_ms)

    def _at(self, time_s: float, event: heard.TurnEvent) -> None:
        heapq.heappush(self._queue, (time_s, next(self._order), event))

    def _until(self, time_s: float) -> None:
        while True:
            wakes = self.machine.wakes_at
            due = min(self._queue[0][0] if self._queue else time_s + 1, wakes if wakes is not None else time_s + 1)
            if due > time_s:
                self.now = time_s
                return
            self.now = max(self.now, due)
            if wakes is not None and wakes <= due:
                self._step(heard.Tick())
            else:
                self._step(heapq.heappop(self._queue)[2])

    def _step(self, event: heard.TurnEvent) -> None:
        if getattr(event, "revision", None) in self._gone:
            return
        for action in self.machine.step(event, self.now):
            self.actions.append((self.now, action))
            self._do(action)

    def _do(self, action: Action) -> None:
        match action:
            case Tell(event=AudioOut() as audio):
                self.said.append((self.now, audio))
                self.guard.sent(audio, self.now)
                begin = max(len(self._played), round(self._arrives_s() * RATE_HZ))
                self._played = np.concatenate((self._played, np.zeros(begin - len(self._played)), audio.pcm))
            case Tell(event=event):
                self.said.append((self.now, event))
                if isinstance(event, Interrupted):
                    self.guard.stopped(self.now)
                    self._played = self._played[: round(self._arrives_s() * RATE_HZ)]
            case Think(revision=revision):
                self._at(self.now + 0.1, heard.TokensArrived(revision, self.reply))
                self._at(self.now + 0.1, heard.MindFinished(revision, 30, 40))
            case Speak(revision=revision, clause=clause, text=text):
                pcm = spoken(text)
                self._at(self.now + 0.05, heard.ClauseAudio(revision, clause, pcm, RATE_HZ, is_last=True))
            case Transcribe() if self.recogniser is not None:
                self._transcribe(action, self.recogniser)
            case Transcribe(revision=revision, from_s=from_s, until_s=until_s):
                text = self._recognised(from_s, self.now if until_s is None else until_s)
                self._at(self.now + self.stt_s, heard.TranscriptReady(revision, text))
            case Abandon(revision=revision):
                self._gone.add(revision)
                self._busy_until = max(self.now, min(self._busy_until, self._spotted_at))

    def _transcribe(self, action: Transcribe, engine: SttEngine) -> None:
        audio = np.concatenate(self.heard_pcm)
        until = None if action.until_s is None else round(action.until_s * RATE_HZ)
        stream, begin = engine.open("en"), max(self.now, self._busy_until)
        try:
            stream.feed(audio[round(action.from_s * RATE_HZ) : until])
            if action.spot and isinstance(stream, SpottingEngineStream):
                before = time.thread_time()
                phrase = stream.spot(spotted_phrases(STOP_PHRASES))
                begin += time.thread_time() - before
                self._at(begin, heard.PhraseSpotted(action.revision, phrase))
            self._spotted_at, before = begin, time.thread_time()
            text = stream.transcribe().text
            self._busy_until = begin + time.thread_time() - before
            self._at(self._busy_until, heard.TranscriptReady(action.revision, text))
        finally:
            stream.close()

    def _recognised(self, from_s: float, until_s: float) -> str:
        words = [word for sound in self.sounds if sound.end_s > from_s + 0.05 for word in _said_by(sound, until_s)]
        if words:
            return " ".join(words)
        raw = self.acoustics.gain_db is not None and self.guard.state != "present"
        return " ".join(self.reply.split()[:4]) if raw else ""

    def _arrives_s(self) -> float:
        """When what is sent now arrives."""
        ends = (begin + length for begin, length in self.acoustics.stalls if begin <= self.now < begin + length)
        return max(ends, default=self.now)

    def _microphone(self, start: int) -> Pcm:
        if _within(self.acoustics.switched_off, start / RATE_HZ):
            return np.zeros(FRAME, np.int16)
        mixed = self._rng.normal(0, self.acoustics.noise, FRAME)
        if self.acoustics.gain_db is not None:
            mixed += self._echo(start) * 10 ** (self.acoustics.gain_db / 20)
        for sound in self.sounds:
            first = start - round(sound.at_s * RATE_HZ)
            piece = sound.pcm[max(0, first) : max(0, first + FRAME)]
            offset = max(0, -first)
            mixed[offset : offset + len(piece)] += piece
        samples: Pcm = mixed.round().clip(-32768, 32767).astype(np.int16)
        return samples

    def _echo(self, start: int) -> npt.NDArray[np.float64]:
        late = start - round(self.acoustics.delay_ms * RATE_HZ / 1000)
        first = late - len(self._response) + 1
        piece = self._played[max(0, first) : max(0, late + FRAME)]
        padded = np.zeros(len(self._response) - 1 + FRAME)
        offset = max(0, -first)
        padded[offset : offset + len(piece)] = piece
        echo: npt.NDArray[np.float64] = np.convolve(padded, self._response, "valid")
        return echo
