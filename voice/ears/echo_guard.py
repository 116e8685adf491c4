"""The echo canceller of one session: replies as they leave, microphone audio as it comes, on one clock. Pure.

The way of a sample from us to the loudspeaker is not known, and need not be: the canceller looks for it. What has to
be right is that the reference keeps its pace: a reply is placed where the microphone was when its first piece left.
The microphone's audio comes in pieces, and late when network or server are busy; where it is now is told by the
pieces of the last seconds that came the least late. After a long silence either all that waited comes at once, or the
microphone was off: then what comes is as late from now on.
"""

from __future__ import annotations

from math import inf
from typing import Literal

import numpy as np

from voice.ears.echo import RATE_HZ, EchoCanceller, EchoState
from voice.ears.echo_prior import EchoPrior
from voice.port import Pcm
from voice.resample import StreamResampler
from voice.session.outgoing import AudioOut

__all__ = ["EchoGuard", "EchoMode"]

EchoMode = Literal["auto", "headphones", "speaker", "cancelled"]

_LATE_S = 3.0
"""The last audio of the microphone is taken to be at most this old."""
_REMEMBERED_S = 2.0
"""For one to two times this long a piece that came early tells where the microphone is. Clocks drift apart by less
than a millisecond meanwhile, and a microphone that was off for a moment misleads no longer."""
_GAP_S = 0.3
"""No audio for this long: the microphone was off meanwhile, if its audio stays as late."""
_STALLED_S = 0.15
"""Audio that comes so late tells of a link that has stalled: our voice may come as late to the loudspeaker."""
_CATCH_UP_S = 0.2
"""Where we are not held up again, what has waited comes within this time, or goes on coming..."""
_FASTER = 1.3
"""... so many times as fast as it is spoken, at least."""
_HELD_UP_S = 0.06
"""A pause between two pieces, longer than the piece: no time to catch up in."""


class EchoGuard:
    """`mode` headphones: nothing is done, there is no echo. cancelled: there should be none; one that is
    there all the same is taken out. `prior`: what is known of this device from an earlier session."""

    def __init__(self, mode: EchoMode, prior: EchoPrior | None = None) -> None:
        self._canceller = EchoCanceller() if mode != "headphones" else None
        if self._canceller is not None and mode == "cancelled":
            self._canceller.expect(EchoPrior("absent"))
        elif self._canceller is not None and prior is not None:
            self._canceller.expect(prior)
        self._resampler: StreamResampler | None = None
        self._reply = ""
        self._heard_at: float | None = None
        self._past: Pcm = np.zeros(0, np.int16)
        self._heard = 0
        """Samples of the microphone, those that a gap swallowed included."""
        self._lags: tuple[float, float] = (inf, inf)
        """The least time of arrival less position, in seconds: of this window, of the one before."""
        self._window_from = -inf
        self._silence: tuple[float, int] | None = None
        """The first audio after one: when it came, and `_heard` then."""

    @property
    def state(self) -> EchoState:
        """What is known of this client: does its microphone hear us?"""
        return "absent" if self._canceller is None else self._canceller.state

    @property
    def found(self) -> EchoPrior | None:
        """What the next session with this device may expect."""
        return None if self._canceller is None else self._canceller.found

    @property
    def finding(self) -> tuple[EchoState, int]:
        """The state, and how often the echo was found somewhere else since: until then it was heard."""
        return self.state, 0 if self._canceller is None else self._canceller.moves

    def searches(self, count: int) -> bool:
        """To hear `count` more samples may take up to 50 ms of a core."""
        return self._canceller is not None and self._canceller.searches(count)

    def hear(self, pcm: Pcm, now: float) -> Pcm:
        """Microphone audio, int16 16 kHz, any length: the same without our voice, some of it a little later."""
        if self._canceller is None:
            return pcm
        silent_s = 0.0 if self._heard_at is None else now - self._heard_at - len(pcm) / RATE_HZ
        self._heard_at = now
        self._heard += len(pcm)
        if silent_s > (_GAP_S if self._silence is None else _HELD_UP_S):
            if self._silence is None:
                self._canceller.comes_back(round(self._late_s(now) * RATE_HZ))
            self._silence = now, self._heard
        self._after_silence(now)
        self._came(now)
        if self._late_s(now) >= _STALLED_S:
            self._canceller.came_late()
        heard, again = self._canceller.hear(pcm), self._canceller.hindsight
        missed = self._canceller.take_missed()
        if missed:
            self._silence = None
            self._heard += missed
        if len(again):
            self._canceller.hindsight = np.zeros(0, np.int16)
            if len(heard) < len(again):
                self._past, heard = again[: len(again) - len(heard)], again[len(again) - len(heard) :]
        return heard

    def take_past(self) -> Pcm:
        """What was given out just before the last audio, without our voice, if that has only now become known."""
        past, self._past = self._past, np.zeros(0, np.int16)
        return past

    def sent(self, audio: AudioOut, now: float) -> None:
        """A piece of a reply leaves for the client, now: not when it was put into a queue."""
        if self._canceller is None or self._heard_at is None or not len(audio.pcm):
            return  # nothing is heard: a client that only listens
        if self._resampler is None or audio.reply != self._reply:
            self._resampler, self._reply = StreamResampler(audio.rate_hz, RATE_HZ), audio.reply
        self._canceller.play(self._resampler.process(audio.pcm), self._late(now))

    def came_back(self, now: float) -> None:
        """The client was away, and its microphone with it: what it had not played will leave once more."""
        if self._canceller is not None:
            self._canceller.away()
        self._resampler = None
        self._lags, self._silence = (inf, inf), None
        if self._heard_at is not None:
            self._heard_at = now

    def stopped(self, now: float) -> None:
        """The client was told to drop what it has not played."""
        if self._canceller is not None:
            self._canceller.stop(self._late(now))
        self._resampler = None

    def _after_silence(self, now: float) -> None:
        """Was it the microphone that was silent, or we that did not hear?"""
        if self._silence is None or self._canceller is None:
            return
        (at, heard), missing_s = self._silence, self._late_s(now)
        if missing_s <= _GAP_S:
            self._silence = None
            self._canceller.was_on()
        elif now - at >= _CATCH_UP_S and self._heard - heard < _FASTER * (now - at) * RATE_HZ:
            self._silence = None
            self._canceller.gap(round(missing_s * RATE_HZ))
            self._heard += round(missing_s * RATE_HZ)

    def _came(self, now: float) -> None:
        lag_s = now - self._heard / RATE_HZ
        if now >= self._window_from + _REMEMBERED_S:
            self._lags, self._window_from = (inf, self._lags[0]), now
        self._lags = (min(self._lags[0], lag_s), self._lags[1])

    def _late(self, now: float) -> int:
        """Samples that the microphone has recorded by now and that have not come yet."""
        return round(min(self._late_s(now), _LATE_S) * RATE_HZ)

    def _late_s(self, now: float) -> float:
        """The same in seconds, however many: those of a microphone that was off count, too."""
        lag_s = min(self._lags)
        return 0.0 if lag_s == inf else max(0.0, now - lag_s - self._heard / RATE_HZ)
