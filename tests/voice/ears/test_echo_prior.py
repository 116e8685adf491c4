"""A client whose echo is known before it is heard: it says so, or an earlier session found out."""

from __future__ import annotations

import pytest

from tests.recordings import needs_recordings, recording
from tests.voice.room import Acoustics, Room, Sound
from voice.ears.echo_guard import EchoGuard
from voice.ears.echo_prior import EchoPrior
from voice.session.devices import MOST, Devices
from voice.session.outgoing import Interrupted, StateOut

HEADSET = Acoustics(None, noise=60.0)


def pauses(room: Room) -> int:
    return sum(state.state == "paused" for state in room.told(StateOut))


@pytest.mark.parametrize(("gain_db", "delay_ms", "off_ms"), [(-6, 120, 40), (-18, 300, -40)])
def test_the_next_session_of_a_device_takes_its_echo_out_from_the_first_word_on(
    gain_db: float, delay_ms: float, off_ms: float
) -> None:
    """Its playout begins a little earlier or later than the last time."""
    first = Room(Acoustics(gain_db, delay_ms)).run(6.0)
    assert pauses(first) > 0
    prior = first.guard.found
    assert prior is not None
    assert prior.state == "present"
    again = Room(Acoustics(gain_db, delay_ms + off_ms), prior=prior).run(5.0)
    assert pauses(again) == 0
    assert again.told(Interrupted) == []
    assert again.guard.found is not None


@needs_recordings
@pytest.mark.parametrize("prior", [EchoPrior("absent"), EchoPrior("present", 2400, 0.2)])
def test_who_speaks_over_the_first_words_is_heard_though_the_device_has_changed(prior: EchoPrior) -> None:
    """A headset, where there was a loudspeaker: what was taken for an echo is heard after all."""
    user = recording("speech/commands_human/rs_what_time_is_it.wav").pcm()[:21_000]
    room = Room(HEADSET, (Sound(0.8, user, "what time is it"),), prior=prior).run(4.0)
    assert room.requests[-1] == "what time is it"
    assert len(room.told(Interrupted)) == 1


@pytest.mark.parametrize("gain_db", [-3, -12])
def test_a_client_that_says_it_cancels_and_does_not_still_stops_no_reply(gain_db: float) -> None:
    room = Room(Acoustics(gain_db, 150), echo="cancelled").run(6.0)
    assert room.told(Interrupted) == []
    assert room.guard.state == "present"


def test_nothing_is_remembered_of_an_echo_that_was_never_heard() -> None:
    guard = EchoGuard("auto", EchoPrior("present", 2400, 0.2))
    assert guard.found is None
    assert EchoGuard("headphones").found is None
    assert EchoGuard("cancelled").found == EchoPrior("absent")


def test_devices_are_remembered_by_user_and_name_and_not_for_ever() -> None:
    devices, found = Devices(), EchoPrior("present", 1600, 0.1)
    devices.learn("ann", "kitchen", found)
    devices.learn("ann", "", found)
    assert devices.echo_of("ann", "kitchen") == found
    assert devices.echo_of("bob", "kitchen") is None
    assert devices.echo_of("ann", "") is None
    for number in range(MOST):
        devices.learn("bob", str(number), found)
    assert devices.echo_of("ann", "kitchen") is None
    devices.learn("bob", "7", None)
    assert devices.echo_of("bob", "7") is None
