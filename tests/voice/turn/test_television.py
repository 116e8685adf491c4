"""Others talk in the background: they stop no reply and ask no question, and the user is heard over them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.recordings import needs_recordings, recording
from tests.voice.room import RATE_HZ, STORY, Acoustics, Room, Sound
from voice.port import Pcm
from voice.session.outgoing import Interrupted, StateOut, TurnComplete
from voice.settings import TurnSettings

pytestmark = needs_recordings


def level_db(pcm: Pcm) -> float:
    """Of its loud parts."""
    powers = np.mean(pcm[: len(pcm) // 512 * 512].astype(np.float64).reshape(-1, 512) ** 2, axis=1)
    return float(10 * np.log10(np.quantile(powers, 0.85) + 1))


def asking() -> Pcm:
    return recording("speech/commands_human/rs_what_time_is_it.wav").pcm()[:21_000]


def television(below_db: float, length_s: float, file: str = "ami_dev00") -> Pcm:
    """People talk, so much softer than who asks."""
    return softer(recording(f"speech/conversation/{file}.wav").pcm()[: round(length_s * RATE_HZ)], below_db)


def softer(voice: Pcm, below_db: float) -> Pcm:
    """Than who asks."""
    gain = 10 ** ((level_db(asking()) - below_db - level_db(voice)) / 20)
    scaled: Pcm = (voice * gain).round().clip(-32768, 32767).astype(np.int16)
    return scaled


TELEVISION = TurnSettings(far_voice_db=12.0)
ASKED = Sound(0.5, asking(), "what time is it")


@pytest.mark.parametrize("below_db", [15, 20, 25])
def test_a_television_does_not_stop_a_reply(below_db: float) -> None:
    tv = Sound(4.0, television(below_db, 9.0), "and then I told him that we would have to go there")
    room = Room(Acoustics(None), (ASKED, tv), settings=TELEVISION).run(15.5, None)
    assert room.told(Interrupted) == []
    assert room.told(TurnComplete)[0].heard_transcript == STORY
    paused = [state for state in room.told(StateOut) if state.state == "paused"]
    assert len(paused) <= 3


@pytest.mark.parametrize("far_voice_db", [12.0, 0.0])
def test_it_is_a_setting(far_voice_db: float) -> None:
    tv = Sound(4.0, television(18, 9.0), "and then I told him that we would have to go there")
    room = Room(Acoustics(None), (ASKED, tv), settings=TurnSettings(far_voice_db=far_voice_db)).run(8.0, None)
    assert bool(room.told(Interrupted)) == (far_voice_db == 0)


@pytest.mark.parametrize("delay_s", [0.0, 2.5])
def test_the_user_is_heard_over_a_television(delay_s: float) -> None:
    """It began before them, and goes on after."""
    tv = Sound(3.5, television(18, 9.0))
    user = Sound(6.0 + delay_s, asking(), "what time is it")
    room = Room(Acoustics(None), (ASKED, tv, user), settings=TELEVISION, reply=STORY).run(9.5 + delay_s, None)
    (stopped,) = room.when(Interrupted)
    assert user.at_s + 0.5 < stopped < user.at_s + 1.6
    assert room.requests[-1] == "what time is it"


def test_a_user_who_walked_away_is_answered() -> None:
    far = softer(recording("speech/commands_human/r3_set_timer.wav").pcm(), 15)
    asked = [Sound(5.0 + 6 * number, far, f"set timer {word}") for number, word in enumerate(("one", "two", "three"))]
    room = Room(Acoustics(None), (ASKED, *asked), settings=TELEVISION, reply="Done.").run(21.0, None)
    assert len(room.told(TurnComplete)) == 4


def test_a_television_that_goes_on_is_not_answered() -> None:
    """Nobody knows of its first sentences what they are."""
    tv = Sound(4.0, np.concatenate([television(20, 20.0)] * 2), "and then I told him")
    room = Room(
        Acoustics(None), (ASKED, tv), settings=TELEVISION, reply="Noon. And that is all there is to be said."
    ).run(42.0, None)
    assert room.when(TurnComplete)[-1] < 15.0
