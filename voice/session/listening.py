"""What a session hears: audio -> echo taken out -> ring, ears -> what the turn machine is told of it.

Audio is decoded, our own voice is taken out of it, and what is left goes where it is kept (the ring, from which the
recogniser reads) and to the ears, whose frames become the beginnings and ends of speech. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
import anyio.lowlevel
import anyio.to_thread
import structlog

from models.clock import Clock
from voice.ears.ears import Ear, Ears
from voice.ears.echo_finder import EchoState
from voice.ears.echo_guard import EchoGuard
from voice.ears.echo_prior import EchoPrior
from voice.ears.events import AudioLost, EarEvent, EarFailed, VadFrame, WakeHeard
from voice.ears.intake import RATE_HZ, Intake
from voice.ears.level_drop import LevelDrop
from voice.ears.ring import AudioRing
from voice.ears.segmenter import Offset, Onset, Segmenter
from voice.ears.soft_onset import SoftOnset
from voice.port import Pcm
from voice.session.audio_origin import AudioOrigin
from voice.session.config import SessionConfig
from voice.session.outgoing import AudioOut, ErrorOut, Interrupted, ServerEvent
from voice.session.watcher import Watcher
from voice.settings import VoiceSettings
from voice.turn import events as heard

__all__ = ["Listening", "is_fading"]

FADING = 0.2
"""Over the threshold of speech: a voice that may be ending. Silero falls below this up to three frames before it
says silence; on 92 recordings the worst delay falls from 196 to 164 ms, for 0.1 more wrong guesses a request."""
DYING = 0.95
"""Where its level has fallen, a voice may be ending from this probability down: on 22 recordings, each at three
places between frames, answers are begun 113 instead of 134 ms after the last of a voice (median; p95 181 instead of
199), for 0.1 more wrong guesses a request. The level alone is no sign: the closure of a "k" is as quiet, and Silero
is surer there."""

log = structlog.get_logger(__name__)


def is_fading(probability: float, threshold: float, hushed: bool) -> bool:
    """A frame in which a voice may be ending; `hushed`: its level has fallen."""
    return probability < max(threshold + FADING, DYING if hushed else 0.0)


class Listening:
    """One session's. `hear` tells the turn machine, `woken` is called with wake words, `failed` with what the client
    is told of a part that is off for good, `came` with every new piece of clean audio."""

    def __init__(
        self,
        name: str,
        config: SessionConfig,
        settings: VoiceSettings,
        clock: Clock,
        ring: AudioRing,
        *,
        hear: Callable[[heard.TurnEvent], None],
        woken: Callable[[WakeHeard], None],
        failed: Callable[[ServerEvent], None],
        came: Callable[[], None],
        prior: EchoPrior | None = None,
    ) -> None:
        self._name, self._config, self._settings, self._clock = name, config, settings, clock
        self._hear, self._woken, self._failed, self._came = hear, woken, failed, came
        self._intake = Intake(config.audio)
        self._echo = EchoGuard(config.turn.echo, prior)
        self._left: list[tuple[ServerEvent, float]] | None = None
        """What has left for the client while the canceller is busy, and when: 50 ms of a reply."""
        self._ring = ring
        self._segmenter, self._soft_onset = self._new_segmenter(), SoftOnset()
        self._level_drop = LevelDrop()
        self._ear: Ear | None = None
        self._events: list[EarEvent] = []  # bounded by the ears: they hold seconds of audio
        self._news = anyio.Event()
        self.watchers: Sequence[Watcher] = ()
        self.samples = self.bytes = 0
        """What has come from the client: at its own rate, and of a container stream."""
        self.origin = AudioOrigin()

    @property
    def at_s(self) -> float:
        """Seconds of audio so far."""
        return self._ring.end / RATE_HZ

    @property
    def echo(self) -> EchoState:
        return self._echo.state

    @property
    def echo_found(self) -> EchoPrior | None:
        """What the next session with this device may expect."""
        return self._echo.found

    @property
    def searching(self) -> bool:
        """The canceller is busy, in a thread."""
        return self._left is not None

    def open(self, ears: Ears) -> None:
        self._ear = ears.open(self._listened, self._wake_words(), self._settings.wake.threshold)

    def close(self) -> None:
        if self._ear is not None:
            self._ear.close()
        self._ring.release()

    def reconfigure(self, config: SessionConfig) -> None:
        old, self._config = self._config, config
        self._intake.reconfigure(config.audio)
        if old.turn.echo != config.turn.echo:
            self._echo = EchoGuard(config.turn.echo)
            self._hear(heard.EchoHeard(self._echo.state))
        if old.wake != config.wake and self._ear is not None:
            self._ear.set_wake_words(self._wake_words())
        if (config.turn_detection.type == "none") != (old.turn_detection.type == "none"):
            self._segmenter = self._new_segmenter()  # who goes on speaking begins anew
        elif old.turn_detection != config.turn_detection:
            self._segmenter.change(self._threshold, self._pause_ms)

    # ---- audio ----------------------------------------------------------------------------------------------

    async def raw(self, data: bytes) -> None:
        """PCM16 at the client's rate."""
        self.samples += len(data) // 2
        await self._audio(self._intake.raw(data))

    async def container(self, data: bytes) -> None:
        """The next piece of a stream in the client's format. Raises AudioError. Others are served in between: it may
        hold ten minutes of audio, or many thousands of headers.
        """
        self.bytes += len(data)
        for pcm in self._intake.container(data):
            await self._audio(pcm)
            await anyio.lowlevel.checkpoint()

    async def _audio(self, pcm: Pcm) -> None:
        if len(pcm):
            before, pcm = self._echo.finding, await self._without_echo(pcm)
            self._ring.rewrite(self._echo.take_past())
            if self._echo.finding != before:
                self._echo_known()
        if len(pcm) and self._ear is not None:
            self._ring.append(pcm)
            self.origin.came(self.at_s, self._clock.now())
            for watcher in self.watchers:
                watcher.heard(pcm)
            self._ear.feed(pcm)
            self._came()

    # ---- our own voice --------------------------------------------------------------------------------------

    async def _without_echo(self, pcm: Pcm) -> Pcm:
        """What takes long is done in a thread: no other session waits for it. The client's next frame does, and what
        leaves for the client meanwhile is told to the canceller afterwards, with the time at which it left."""
        now = self._clock.now()
        if not self._echo.searches(len(pcm)):
            return self._echo.hear(pcm, now)
        self._left = []
        try:
            with anyio.CancelScope(shield=True):
                clean = await anyio.to_thread.run_sync(self._echo.hear, pcm, now)
        finally:
            left, self._left = self._left, None
            for event, at in left:
                self._leave(event, at)
        return clean

    def leaves(self, event: ServerEvent) -> None:
        """It leaves for the client, now."""
        if self._left is not None:
            self._left.append((event, self._clock.now()))
        else:
            self._leave(event, self._clock.now())

    def _leave(self, event: ServerEvent, at: float) -> None:
        if isinstance(event, AudioOut):
            self._echo.sent(event, at)
        elif isinstance(event, Interrupted):
            self._echo.stopped(at)

    def came_back(self) -> None:
        """The client was away."""
        self._echo.came_back(self._clock.now())

    def _echo_known(self) -> None:
        """From here on the audio is without our voice: what was heard of it so far is over."""
        if self._echo.state == "present":
            self._segmenter = self._new_segmenter()
        self._hear(heard.EchoHeard(self._echo.state))

    # ---- what the ears make of it ---------------------------------------------------------------------------

    def _listened(self, events: list[EarEvent]) -> None:
        """The ears' callback: it runs in the event loop, but in no task, so it only passes on."""
        self._events.extend(events)
        self._news.set()

    async def run(self) -> None:
        """Tell what the ears say, until cancelled."""
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            events, self._events = self._events, []
            for event in events:
                self._take_in(event)

    def _take_in(self, event: EarEvent) -> None:
        match event:
            case VadFrame(probability=probability, end_s=end_s, level_db=level_db):
                self._soft_onset.hear(probability, level_db, end_s)
                edge = self._segmenter.step(probability, end_s)
                voiced = self._segmenter.voiced or probability >= self._threshold
                if edge is not None:
                    self._hear(self._edge(edge))
                hushed = self._level_drop.step(level_db, self._segmenter.in_speech)
                fading = self._level_drop.gone or is_fading(probability, self._threshold, hushed)
                self._hear(heard.AudioClock(end_s, voiced, fading, self._segmenter.rising, level_db, hushed))
            case WakeHeard():
                self._woken(event)
            case AudioLost(start_s=start_s, end_s=end_s):
                log.warning("ears fell behind", session=self._name, lost_s=round(end_s - start_s, 2))
            case EarFailed(part=part, final=final):
                log.error("ears failed", session=self._name, part=part, final=final)
                if final:
                    self._failed(ErrorOut("ears_failed", f"The {part} engine failed", "reconnect; see the log"))

    def _edge(self, edge: Onset | Offset) -> heard.TurnEvent:
        if isinstance(edge, Onset):
            return heard.SpeechBegan(edge.at_s, self._soft_onset.begin(edge.at_s))
        return heard.SpeechEnded(edge.at_s)

    def _wake_words(self) -> tuple[str, ...]:
        return self._config.wake.words if self._config.wake.enabled else ()

    @property
    def _threshold(self) -> float:
        asked = self._config.turn_detection.threshold
        return asked if asked is not None else self._settings.vad.threshold

    @property
    def _pause_ms(self) -> int:
        usual_ms = self._settings.turn.pause_ms
        return min(usual_ms, self._config.turn_detection.silence_duration_ms or usual_ms)

    def _new_segmenter(self) -> Segmenter:
        return Segmenter(self._threshold, self._pause_ms, self._settings.turn.min_speech_ms)
