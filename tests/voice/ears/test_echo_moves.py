"""What we say comes back later than it did: where the canceller then takes it to be."""

from __future__ import annotations

import numpy as np

from voice.ears.echo import EchoCanceller
from voice.ears.echo_guard import EchoGuard
from voice.ears.timeline import KEPT, RATE_HZ, Timeline
from voice.port import Pcm
from voice.session.outgoing import AudioOut

FRAME = 320


def voice(seconds: float, seed: int = 0) -> Pcm:
    """Noise in syllables: as broad as speech, and the same on every machine."""
    chance, count = np.random.default_rng(seed), round(seconds * RATE_HZ)
    syllables = np.repeat(chance.uniform(0.05, 1.0, count // 2400 + 1), 2400)[:count]
    smooth = np.convolve(chance.normal(0, 1, count), np.hanning(9), "same")
    return (smooth / smooth.std() * 2500 * syllables).astype(np.int16)


def power_db(pcm: Pcm) -> float:
    return float(10 * np.log10(np.mean(pcm.astype(np.float64) ** 2) + 1e-9))


def test_what_is_sent_next_does_not_wait_for_the_silence_behind_what_has_moved() -> None:
    line, quiet = Timeline(), np.zeros(FRAME, np.int16)
    line.play(voice(1.0), 0)
    for _ in range(65):
        line.hear(quiet)
    line.move(3200, KEPT - 8000)
    assert len(line.ahead) == 0  # it ended 0.1 s ago, as late as it is
    line.play(voice(0.5), 0)
    assert len(line.ahead) == RATE_HZ // 2


def test_what_is_sent_next_stands_behind_what_has_moved_and_still_sounds() -> None:
    line, quiet = Timeline(), np.zeros(FRAME, np.int16)
    line.play(voice(1.0), 0)
    for _ in range(65):
        line.hear(quiet)
    line.move(6400, KEPT - 8000)
    assert len(line.ahead) == 1600
    line.play(voice(0.5), 0)
    assert len(line.ahead) == 1600 + RATE_HZ // 2


def test_an_echo_that_is_found_elsewhere_is_taken_out_though_another_reflection_is_the_loudest_now() -> None:
    """The client's playout skips 0.2 s. Two ways lead into the microphone, seven samples apart; which of them is the
    louder one changes with the skip."""
    ours, skip, sooner, delay = voice(8.0, seed=1), 4 * RATE_HZ, 3200, 6400
    echo = np.zeros(len(ours) + delay + 7)
    for piece, at, first, second in (
        (ours[: skip - sooner], delay, 0.20, 0.25),
        (ours[skip:], skip + delay - sooner, 0.25, 0.20),
    ):
        echo[at : at + len(piece)] += first * piece
        echo[at + 7 : at + 7 + len(piece)] += second * piece
    noise = np.random.default_rng(1).normal(0, 12, len(ours))
    microphone = (echo[: len(ours)] + noise).round().astype(np.int16)
    canceller, out = EchoCanceller(), []
    for now in range(0, len(ours), FRAME):
        canceller.play(ours[now : now + FRAME])
        out.append(canceller.hear(microphone[now : now + FRAME]))
    heard, begin = np.concatenate(out), skip + delay - sooner
    later = slice(begin + 9600, begin + 25_600)
    assert power_db(heard[later]) < power_db(microphone[later]) - 45


def test_a_microphone_that_is_turned_down_while_we_speak_is_found_to_hear_us() -> None:
    """60 dB below what we play and 15 dB over the noise of the device: too quiet to be looked for at first, and loud
    enough for a detector of voices."""
    guard, ours = EchoGuard("auto"), voice(6.0)
    echo = np.concatenate((np.zeros(2400), ours * 0.006))[: len(ours)]
    microphone = (echo + np.random.default_rng(2).normal(0, 1, len(echo))).round().astype(np.int16)
    heard = [guard.hear(np.zeros(FRAME, np.int16), 10.0)]
    for at in range(0, len(ours), FRAME):
        now = 10.0 + (at + FRAME) / RATE_HZ
        guard.sent(AudioOut("r", ours[at : at + FRAME], RATE_HZ, "", at == 0), now)
        heard.append(guard.hear(microphone[at : at + FRAME], now))
    assert guard.state == "present"
    assert power_db(np.concatenate(heard)[-RATE_HZ:]) < power_db(microphone[-RATE_HZ:]) - 6


def test_what_comes_late_to_the_loudspeaker_after_a_pause_is_taken_out() -> None:
    """The reply stands still for half a second, and nothing of the rest is heard for another 1.6 s."""
    ours, pause, stall, delay = voice(8.0, seed=2), 24_000, 25_600, 3200
    rest = pause + RATE_HZ // 2
    echo = np.zeros(len(ours) + delay)
    echo[delay : delay + pause] = 0.3 * ours[:pause]
    begin = rest + delay + stall
    echo[begin : len(ours)] = 0.3 * ours[rest : rest + len(ours) - begin]
    noise = np.random.default_rng(3).normal(0, 12, len(ours))
    microphone = (echo[: len(ours)] + noise).round().astype(np.int16)
    canceller, out = EchoCanceller(), []
    for now in range(0, len(ours), FRAME):
        if not pause <= now < rest:
            canceller.play(ours[now : now + FRAME])
        out.append(canceller.hear(microphone[now : now + FRAME]))
    heard = np.concatenate(out)
    later = slice(begin + RATE_HZ // 4, begin + 2 * RATE_HZ)
    assert power_db(heard[later]) < power_db(microphone[later]) - 25
