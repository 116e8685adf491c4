"""Ways of our own voice back to us: through Opus, over a telephone, with our wake word in it."""

from __future__ import annotations

import numpy as np
import pytest

from models.registry import discover
from tests.recordings import needs_recordings, recording
from tests.speaking import spoken
from tests.voice.room import RATE_HZ, STORY, Acoustics, Room, Sound, impulse_response
from voice.ears.batch import EarBatch, Line
from voice.ears.echo_guard import EchoGuard
from voice.ears.events import WakeHeard
from voice.ears.wake_trigger import WakeTrigger
from voice.port import EngineConfig, Pcm
from voice.resample import StreamResampler
from voice.session.outgoing import AudioOut, Interrupted
from voice.turn.actions import Action, Tell

FRAME = 320


def coded(pcm: Pcm) -> Pcm:
    """What Opus makes of a message, which is a file of its own."""
    opus = discover("voice.codecs")["opus"]
    assert opus.encoder is not None
    decoder = opus.decoder(RATE_HZ)
    return np.concatenate((decoder.feed(opus.encoder(RATE_HZ).encode(pcm)), decoder.finish()))


class OpusRoom(Room):
    """Loudspeaker and microphone get and give Opus."""

    def _do(self, action: Action) -> None:
        begin = max(len(self._played), round(self._arrives_s() * RATE_HZ))
        super()._do(action)
        match action:
            case Tell(event=AudioOut(pcm=pcm)) if len(pcm):
                self._played = np.concatenate((self._played[:begin], coded(pcm)))

    def _microphone(self, start: int) -> Pcm:
        return coded(super()._microphone(start))


def test_through_opus_both_ways_it_hears_itself_out() -> None:
    room = OpusRoom(Acoustics(-6, 120, 0.3)).run(5.0)
    assert room.guard.state == "present"
    assert room.told(Interrupted) == []
    later = np.concatenate(room.heard_pcm)[3 * RATE_HZ :].astype(np.float64)
    assert 10 * np.log10(np.mean(later**2) + 1) < 25  # of 60


def wakes(pcm: Pcm) -> list[float]:
    """When the ears hear the wake word."""
    vad, wake = (discover(f"voice.{kind}")[name] for kind, name in (("vad", "silero"), ("wake", "openwakeword")))
    batch, line, found = EarBatch(vad.load(EngineConfig()), wake.load(EngineConfig())), Line(), []
    batch.add(line)
    batch.listen_for(line, {"alexa": "alexa"}, WakeTrigger(0.5, 1500))
    for at in range(0, len(pcm), 1600):
        line.take(at, pcm[at : at + 1600])
        while batch.step():
            pass
        found += [event.start_s for event in line.take_events() if isinstance(event, WakeHeard)]
    batch.remove(line)
    return found


@needs_recordings
def test_a_reply_that_says_the_wake_word_does_not_wake_us_and_the_user_does() -> None:
    word = recording("wake/recordings/alexa/alexa_100.wav").pcm()[: 3 * RATE_HZ]
    user = recording("wake/recordings/alexa/alexa_107.wav").pcm()[: 3 * RATE_HZ]
    story = spoken(STORY)
    ours = np.concatenate((story[: 4 * RATE_HZ], word, story[: 4 * RATE_HZ]))
    way = np.concatenate((np.zeros(1920), impulse_response(0.3, 0))) * 10 ** (-6 / 20)
    echo = np.convolve(ours, way)[: len(ours)]
    said = np.zeros(len(ours))
    said[8 * RATE_HZ : 8 * RATE_HZ + len(user)] = user
    mic = (echo + said + np.random.default_rng(0).normal(0, 12, len(ours))).round().clip(-32768, 32767)
    microphone: Pcm = mic.astype(np.int16)
    guard, now, lead, out = EchoGuard("auto"), 10.0, 15 * FRAME, []
    guard.hear(np.zeros(FRAME, np.int16), now)
    guard.sent(AudioOut("r", ours[:lead], RATE_HZ, "", True), now)
    for at in range(0, len(ours) - FRAME, FRAME):
        now += FRAME / RATE_HZ
        guard.sent(AudioOut("r", ours[at + lead : at + lead + FRAME], RATE_HZ, "", False), now)
        out.append(guard.hear(microphone[at : at + FRAME], now))
    assert any(4 < at_s < 7 for at_s in wakes(microphone))
    heard = wakes(np.concatenate(out))
    assert len(heard) == 1
    assert heard[0] > 8


class TwoLoudspeakers(Room):
    """One on the desk that is turned away, and one farther away that plays 120 ms later and is heard directly."""

    def __post_init__(self) -> None:
        super().__post_init__()
        near, late = self._response.copy(), round(0.12 * RATE_HZ)
        near[0] *= 0.2
        self._response = np.concatenate((near, np.zeros(late)))
        self._response[late : late + len(near)] += 0.5 * impulse_response(self.acoustics.rt60_s, self.seed + 1)


@pytest.mark.parametrize(("gain_db", "delay_ms"), [(-12, 250), (-18, 380)])
def test_from_two_loudspeakers_it_hears_itself_out(gain_db: float, delay_ms: float) -> None:
    room = TwoLoudspeakers(Acoustics(gain_db, delay_ms, 0.2)).run(7.0)
    assert room.guard.state == "present"
    assert room.told(Interrupted) == []


class TelephoneRoom(Room):
    """Loudspeaker and microphone get and give G.711 at 8 kHz; `lost`: frames of the microphone that never come."""

    lost = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        law = discover("voice.codecs")["g711_ulaw"]
        assert law.encoder is not None
        self._encoder, self._decoder = law.encoder(8000), law.decoder(8000)
        self._down, self._up = StreamResampler(RATE_HZ, 8000), StreamResampler(8000, RATE_HZ)
        self._waiting: Pcm = np.zeros(2 * FRAME, np.int16)

    def _microphone(self, start: int) -> Pcm:
        wire = self._encoder.encode(self._down.process(super()._microphone(start)))
        self._waiting = np.concatenate((self._waiting, self._up.process(self._decoder.feed(wire))))
        heard, self._waiting = self._waiting[:FRAME], self._waiting[FRAME:]
        return heard[:0] if self._rng.random() < self.lost else heard


@pytest.mark.parametrize(("gain_db", "delay_ms", "lost"), [(0, 400, 0.0), (-12, 120, 0.004)])
def test_over_a_telephone_it_hears_itself_out(gain_db: float, delay_ms: float, lost: float) -> None:
    room = TelephoneRoom(Acoustics(gain_db, delay_ms, 0.3))
    room.lost = lost
    room.run(7.0)
    assert room.guard.state == "present"
    assert room.told(Interrupted) == []


@needs_recordings
def test_what_the_user_said_before_a_reply_is_no_sign_that_it_is_not_heard() -> None:
    """The request is still in the window in which the reply's echo is looked for."""
    voice = recording("speech/commands_human/rs_whats_the_weather.wav").pcm()[: 2 * RATE_HZ]
    room = Room(Acoustics(-18, 150, 0.3), (Sound(0.5, voice, "tell me a story"),), seed=4).run(7.0, None)
    assert room.guard.state == "present"
    assert "absent" not in room.echo_states
