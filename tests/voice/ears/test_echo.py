"""Our own voice comes back from the loudspeaker: Parley does not take it for the user's, and hears who speaks."""

from __future__ import annotations

import numpy as np
import pytest

from tests.recordings import needs_recordings, recording
from tests.speaking import spoken
from tests.voice.room import RATE_HZ, STORY, Acoustics, Room, Sound, impulse_response
from voice.ears.echo import EchoCanceller
from voice.ears.echo_guard import EchoGuard
from voice.port import Pcm
from voice.session.outgoing import AudioOut, Interrupted, TurnComplete


def level_db(pcm: Pcm) -> float:
    return float(10 * np.log10(np.mean(pcm.astype(np.float64) ** 2) + 1e-9))


@pytest.mark.parametrize(
    ("gain_db", "delay_ms", "rt60_s"),
    [(-6, 50, 0.5), (-6, 400, 0.2), (-12, 200, 0.3), (-20, 120, 0.5), (-30, 50, 0.2), (-30, 400, 0.4)],
)
def test_it_hears_itself_out(gain_db: float, delay_ms: float, rt60_s: float) -> None:
    room = Room(Acoustics(gain_db, delay_ms, rt60_s)).run(18.0)
    assert room.guard.state == "present"
    assert room.told(Interrupted) == []
    (turn,) = room.told(TurnComplete)
    assert turn.heard_transcript == STORY
    assert room.requests == ["tell me a story"]


@pytest.mark.parametrize("reply", ["Yes.", "Good morning.", "It is half past nine."])
def test_the_echo_of_a_short_reply_is_no_question(reply: str) -> None:
    """Over before the echo can be known."""
    room = Room(Acoustics(-6, 400, 0.3), reply=reply).run(6.0)
    assert room.told(Interrupted) == []
    assert room.requests == ["tell me a story"]


@pytest.mark.parametrize(
    ("gain_db", "delay_ms", "stall"),
    [
        (-6, 400, (2.0, 0.6)),
        (-6, 120, (4.0, 0.45)),
        (-15, 120, (4.0, 0.8)),
        (-10, 15, (4.2, 1.5)),
        (-12, 250, (1.4, 2.2)),
    ],
)
def test_a_network_that_stalls_does_not_make_it_stop_itself(
    gain_db: float, delay_ms: float, stall: tuple[float, float]
) -> None:
    """The client's playout runs dry, and what comes back from then on is later than it was."""
    room = Room(Acoustics(gain_db, delay_ms, 0.3, stalls=(stall,))).run(8.0)
    assert room.told(Interrupted) == []
    late = np.concatenate(room.heard_pcm)[round((sum(stall) + 1.4) * RATE_HZ) :]
    assert level_db(late) < 30


@pytest.mark.parametrize(
    ("gain_db", "delay_ms", "stall"), [(-6, 60, (0.6, 0.9)), (-12, 250, (0.62, 0.7)), (-6, 380, (0.6, 1.0))]
)
def test_a_network_that_stalls_as_the_first_reply_begins_is_no_sign_that_it_is_not_heard(
    gain_db: float, delay_ms: float, stall: tuple[float, float]
) -> None:
    """The microphone's audio comes late, and says nothing of a reply that came as late to the loudspeaker."""
    room = Room(Acoustics(gain_db, delay_ms, 0.3, stalls=(stall,))).run(5.0)
    assert room.told(Interrupted) == []
    assert room.echo_states == ["present"]


@pytest.mark.parametrize(("gain_db", "delay_ms", "busy"), [(-6, 60, (1.2, 1.3)), (-12, 250, (3.0, 2.0))])
def test_a_server_that_was_busy_knows_that_the_microphone_was_on(
    gain_db: float, delay_ms: float, busy: tuple[float, float]
) -> None:
    """What waited all comes at once: the echo is where it was, and nothing of it has to be found again."""
    room = Room(Acoustics(gain_db, delay_ms, 0.3, busy=(busy,))).run(8.0)
    assert room.told(Interrupted) == []
    assert room.guard.finding == ("present", 0)


def test_a_server_that_is_held_up_again_while_it_catches_up_takes_no_microphone_for_off() -> None:
    """Two seconds wait; a tenth of a second of them is heard, then others have the machine for half a second."""
    guard, ours, frame, begin = EchoGuard("auto"), spoken(STORY)[: 8 * RATE_HZ], 320, RATE_HZ
    mic = np.concatenate((np.zeros(begin + RATE_HZ // 8, np.int16), (ours * 0.4).astype(np.int16)))
    heard = []
    for at in range(0, len(mic) - frame + 1, frame):
        spoken_s = (at + frame) / RATE_HZ
        now = 5.0 if 3.0 < spoken_s <= 3.1 else 5.5 if 3.1 < spoken_s <= 5.5 else spoken_s
        if at == begin:
            guard.sent(AudioOut("r", ours, RATE_HZ, "", True), now)
        heard.append(guard.hear(mic[at : at + frame], now))
    assert guard.finding == ("present", 0)
    late = slice(4 * RATE_HZ, None)
    assert level_db(np.concatenate(heard)[late]) < level_db(mic[late]) - 15


@pytest.mark.parametrize(("gain_db", "delay_ms"), [(-6, 60), (-12, 250), (-6, 400)])
@pytest.mark.parametrize("off_s", [0.5, 1.3, 3.6])
@pytest.mark.parametrize("sends_silence", [False, True])
def test_what_was_played_while_the_microphone_was_off_is_no_echo(
    gain_db: float, delay_ms: float, off_s: float, sends_silence: bool
) -> None:
    spans = ((3.0, off_s),)
    switched_off, muted = (spans, ()) if sends_silence else ((), spans)
    room = Room(Acoustics(gain_db, delay_ms, 0.3, muted=muted, switched_off=switched_off)).run(5.0 + off_s)
    assert room.told(Interrupted) == []
    assert room.guard.state == "present"
    heard = np.concatenate(room.heard_pcm)
    later = heard[round((4.5 + off_s * sends_silence) * RATE_HZ) :]
    assert level_db(later) < 30  # 54 to 64 where nothing is done; it is on again 1.5 s before


@pytest.mark.parametrize("sends_silence", [False, True])
def test_a_microphone_that_was_off_at_the_end_of_a_reply_hears_the_next_one_where_it_is(sends_silence: bool) -> None:
    spans = ((3.0, 6.0),)
    switched_off, muted = (spans, ()) if sends_silence else ((), spans)
    room = Room(Acoustics(-10, 200, 0.3, muted=muted, switched_off=switched_off), reply=STORY[:100])
    room.type(10.0)
    room.run(17.5)
    assert len(room.told(TurnComplete)) == 2
    assert room.told(Interrupted) == []


@needs_recordings
@pytest.mark.parametrize("sends_silence", [False, True])
def test_who_switches_the_microphone_on_to_speak_is_heard(sends_silence: bool) -> None:
    human = recording("speech/commands_human/rs_what_time_is_it.wav").pcm()[:21_000]
    spans = ((2.5, 2.0),)
    switched_off, muted = (spans, ()) if sends_silence else ((), spans)
    acoustics = Acoustics(-10, 150, 0.3, muted=muted, switched_off=switched_off)
    room = Room(acoustics, (Sound(4.7, human, "what time is it"),)).run(9.0)
    assert len(room.told(Interrupted)) == 1
    assert room.requests[-1] == "what time is it"


def test_without_an_echo_the_signal_passes_bit_for_bit() -> None:
    question = spoken("what time is it")
    room = Room(sounds=(Sound(12.0, question, "what time is it"),), reply="Fine, thank you.").run(14.0)
    assert room.guard.state != "present"
    heard = np.concatenate(room.heard_pcm)
    assert len(heard) == 14 * RATE_HZ
    assert abs(level_db(heard[12 * RATE_HZ : 12 * RATE_HZ + len(question)]) - level_db(question)) < 0.1


@needs_recordings
@pytest.mark.parametrize("gain_db", [-6, -12, -20, None])
def test_who_speaks_over_the_reply_is_heard(gain_db: float | None) -> None:
    human = recording("speech/commands_human/rs_what_time_is_it.wav").pcm()[:21_000]  # what follows is quiet
    room = Room(Acoustics(gain_db, 150, 0.3), (Sound(4.0, human, "what time is it"),)).run(9.0)
    assert len(room.told(Interrupted)) == 1
    assert 4.0 < room.when(Interrupted)[0] < 6.2
    assert room.requests[-1] == "what time is it"
    if gain_db is not None:
        said = slice(round(4.4 * RATE_HZ), round(5.2 * RATE_HZ))
        heard = np.concatenate(room.heard_pcm)[said]
        spoke = human[round(0.4 * RATE_HZ) : round(1.2 * RATE_HZ)]
        assert np.corrcoef(heard.astype(float), spoke.astype(float))[0, 1] > 0.85


@needs_recordings
@pytest.mark.parametrize("file", ["speech/read/jfk.wav", "speech/commands_human/r3_set_timer.wav"])
def test_another_voice_is_not_taken_for_an_echo(file: str) -> None:
    other = recording(file).pcm()
    canceller, ours = EchoCanceller(), spoken(STORY)
    for at in range(0, len(other) - 320, 320):
        canceller.play(ours[at : at + 320])
        assert np.array_equal(canceller.hear(other[at : at + 320]), other[at : at + 320])
    assert canceller.state == "absent"


def test_a_voice_over_a_tone_is_no_echo_of_it_and_the_tone_is() -> None:
    """A tone is correlated with every voice at some delay."""
    seconds = np.arange(4 * RATE_HZ) / RATE_HZ
    tone = sum(np.sin(2 * np.pi * 180 * n * seconds) / n for n in (1, 2, 3)) * (1 - 0.8 * np.cos(25 * seconds))
    ours: Pcm = (tone * 4000).astype(np.int16)
    noise = np.random.default_rng(5).normal(0, 12, len(ours))
    voice = np.zeros(len(ours))
    said = spoken("wait, what time is it")[: 2 * RATE_HZ]
    voice[RATE_HZ : RATE_HZ + len(said)] = said
    late = np.concatenate((np.zeros(2400), ours * 0.3))[: len(ours)]
    for heard, state in ((voice + noise, "absent"), (late + noise, "present")):
        canceller, microphone = EchoCanceller(), heard.round().astype(np.int16)
        for at in range(0, len(ours), 320):
            canceller.play(ours[at : at + 320])
            canceller.hear(microphone[at : at + 320])
        assert canceller.state == state


def test_a_silent_microphone_while_we_speak_hears_no_echo() -> None:
    canceller = EchoCanceller()
    room = np.random.default_rng(4).normal(0, 8, RATE_HZ).astype(np.int16)
    canceller.hear(room)
    canceller.play(spoken(STORY)[: 3 * RATE_HZ])
    for _ in range(3):
        canceller.hear(room)
    assert canceller.state == "absent"


def test_a_quiet_headset_is_known_before_its_user_could_speak() -> None:
    """Nothing comes back within half a second, and something should have."""
    room = Room(Acoustics(None, noise=30.0)).run(1.9)  # the reply begins at 0.65 s
    assert room.guard.state == "absent"


@needs_recordings
def test_an_echo_is_found_in_noise_as_loud() -> None:
    """A filter explains little of it; but the delay stays the same."""
    office = recording("noise/office_ambience.wav").pcm()[: 6 * RATE_HZ].astype(np.float64)
    echo_rms = np.sqrt(np.mean(spoken(STORY).astype(np.float64) ** 2)) * 10 ** (-15 / 20)
    noise = (office * echo_rms / np.sqrt(np.mean(office**2))).clip(-32768, 32767).astype(np.int16)
    room = Room(Acoustics(-15, 150, 0.3), (Sound(0.0, noise),)).run(5.0)
    assert room.guard.state == "present"
    assert room.told(Interrupted) == []
    headset = Room(Acoustics(None), (Sound(0.0, noise),)).run(3.5)
    assert headset.guard.state == "absent"


def test_any_size_of_pieces_gives_the_same_length() -> None:
    ours = spoken(STORY)[: 5 * RATE_HZ]
    canceller, rng, out, at = EchoCanceller(), np.random.default_rng(3), 0, 0
    canceller.play(ours)
    while at < len(ours):
        size = int(rng.integers(1, 3000))
        out += len(canceller.hear(ours[at : at + size] // 4))
        at += size
    assert canceller.state == "present"
    assert 0 <= len(ours) - out <= 512


def test_where_nothing_is_played_it_is_quiet_work() -> None:
    """After the last echo the signal passes unchanged, a block late."""
    ours = spoken("Good morning. How are you today? I hope that you are well.")
    canceller = EchoCanceller()
    canceller.play(ours)
    for at in range(0, len(ours), 320):
        canceller.hear(ours[at : at + 320] // 4)
    assert canceller.state == "present"
    for _ in range(100):
        canceller.hear(np.zeros(320, np.int16))
    tone = (np.sin(np.arange(RATE_HZ) * 0.1) * 5000).astype(np.int16)
    heard = np.concatenate([canceller.hear(tone[at : at + 320]) for at in range(0, RATE_HZ, 320)])
    assert abs(level_db(heard[1000:15_000]) - level_db(tone[1000:15_000])) < 0.1


def test_the_next_reply_may_start_a_little_earlier_or_later_than_the_last() -> None:
    """A client's playout jitters from reply to reply. Espeak speaks a little differently each time it is asked, and
    one start in some thirty is not found at once: one of these six may be missed."""
    found = [shift for shift in (0, 37, -60, 160, -200, 600) if is_found_again(shift)]
    assert len(found) >= 5


def test_a_reply_that_goes_on_after_a_dropped_connection_is_still_taken_out() -> None:
    """What was sent and not played leaves a second time, and the microphone was away meanwhile."""
    guard, ours = EchoGuard("auto"), spoken(STORY)[: 8 * RATE_HZ]
    frame, lead, cut, now = 320, 15 * 320, 5 * RATE_HZ, 100.0
    late = round(0.1 * RATE_HZ)
    mic = np.concatenate((np.zeros(late, np.int16), (ours * 0.4).astype(np.int16)))
    heard = [guard.hear(np.zeros(frame, np.int16), now)]
    guard.sent(AudioOut("r", ours[:lead], RATE_HZ, "", True), now)
    for at in range(0, len(ours) - lead - frame, frame):
        if at == cut:
            now += 5.0
            guard.came_back(now)
            guard.sent(AudioOut("r", ours[at : at + lead], RATE_HZ, "", True), now)
            mic = np.concatenate((mic[:at], np.zeros(800, np.int16), mic[at:]))  # its buffer is filled anew
        now += frame / RATE_HZ
        guard.sent(AudioOut("r", ours[at + lead : at + lead + frame], RATE_HZ, "", False), now)
        heard.append(guard.hear(mic[at : at + frame], now))
    assert guard.state == "present"
    assert level_db(np.concatenate(heard)[cut:]) < level_db(mic[cut:]) - 15


def test_replies_that_leave_while_the_microphone_is_late_are_taken_out() -> None:
    """A busy network or server: audio comes late in lumps, and each reply leaves in the midst of one."""
    guard, ours, chance = EchoGuard("auto"), spoken(STORY)[: 4 * RATE_HZ], np.random.default_rng(5)
    frame, lead, late, rest = 320, 15 * 320, round(0.12 * RATE_HZ), 2 * RATE_HZ
    turn = len(ours) + rest
    mic = np.zeros(5 * turn, np.int16)
    for number in range(5):
        begin = number * turn + rest // 2 + late
        mic[begin : begin + len(ours)] = (ours * 0.4).astype(np.int16)
    heard, done = [], 0
    for at in range(0, len(mic) - frame, frame):  # what happens at this moment: a piece leaves, or a lump comes in
        now, spoken_for = 50.0 + at / RATE_HZ, at % turn - rest // 2
        if 0 <= spoken_for < len(ours):
            first = 0 if spoken_for < frame else spoken_for + lead
            piece = ours[first : spoken_for + frame + lead]
            guard.sent(AudioOut(f"r{at // turn}", piece, RATE_HZ, "", first == 0), now)
        stalled = -0.5 * RATE_HZ < spoken_for < 0.05 * RATE_HZ or chance.random() < 0.7
        if not stalled:
            heard.append(guard.hear(mic[done : at + frame], now))
            done = at + frame
    assert guard.state == "present"
    clean = np.concatenate(heard)
    for number in range(1, 5):
        begin = number * turn + rest // 2 + late
        assert level_db(clean[begin : begin + len(ours)]) < level_db(mic[begin : begin + len(ours)]) - 15, number


def test_two_silences_in_a_reply_that_are_closer_than_its_echo_is_late_are_both_looked_for() -> None:
    """The reply breaks off and begins again before the echo of its first words is back; the client's playout, too,
    begins a little later than the last time."""
    story, late, shift = spoken(STORY), 6400, 600
    first, rest = spoken("The capital of France is Paris.")[:5600], spoken("It is a city of two million people.")
    sent = {RATE_HZ // 2: story[: 6 * RATE_HZ], 8 * RATE_HZ: first, 8 * RATE_HZ + 8000: rest}
    played = np.zeros(12 * RATE_HZ)
    for begin, pcm in sent.items():
        at = begin + late + (shift if begin > RATE_HZ else 0)
        played[at : at + len(pcm)] = pcm[: len(played) - at]
    echo = np.convolve(played, impulse_response(0.3, 0))[: len(played)] * 10 ** (-10 / 20)
    microphone = (echo + np.random.default_rng(0).normal(0, 12, len(echo))).round().astype(np.int16)
    canceller, out = EchoCanceller(), []
    for now in range(0, len(microphone), 320):
        if now in sent:
            canceller.play(sent[now])
        out.append(canceller.hear(microphone[now : now + 320]))
    heard = np.concatenate(out)
    words = slice(8 * RATE_HZ + late + shift, 8 * RATE_HZ + late + shift + len(first))
    assert level_db(heard[words]) < level_db(microphone[words]) - 15


def is_found_again(shift: int) -> bool:
    """Whether a reply is cancelled that begins `shift` samples off the time that the reply before taught."""
    replies = {RATE_HZ // 2: spoken(STORY)[: 6 * RATE_HZ], 8 * RATE_HZ: spoken("The capital of France is Paris.")}
    played = np.zeros(11 * RATE_HZ)
    for begin, pcm in replies.items():
        at = begin + 2400 + (shift if begin > RATE_HZ else 0)
        played[at : at + len(pcm)] = pcm
    echo = np.convolve(played, impulse_response(0.3, 0))[: len(played)] * 10 ** (-10 / 20)
    microphone = (echo + np.random.default_rng(0).normal(0, 12, len(echo))).round().astype(np.int16)
    canceller, out = EchoCanceller(), []
    for now in range(0, len(microphone), 320):
        for begin, pcm in replies.items():
            for piece in range(0, len(pcm), 1600):
                if now <= begin + max(0, piece - 3200) < now + 320:  # 0.2 s ahead of its time
                    canceller.play(pcm[piece : piece + 1600])
        out.append(canceller.hear(microphone[now : now + 320]))
    heard = np.concatenate(out)
    begin = 8 * RATE_HZ + 2400 + shift
    begins, rest = slice(begin, begin + 4800), slice(begin + 4800, begin + 19_200)
    soon = level_db(heard[begins]) < level_db(microphone[begins]) - 8
    return soon and level_db(heard[rest]) < level_db(microphone[rest]) - 25


def test_a_playout_that_moves_in_the_middle_of_a_reply_is_followed_at_once() -> None:
    """A buffer of the client's ran dry, or it skipped. Espeak speaks a little differently each time: one may take
    longer."""
    limits = {20: 0.6, -800: 0.9, 300: 0.8, 5600: 1.1}
    heard = {shift: heard_again_s(shift) for shift in limits}
    assert sum(heard[shift] <= limit for shift, limit in limits.items()) >= len(limits) - 1, heard


@pytest.mark.parametrize("change_db", [-14, 12])
def test_a_loudspeaker_that_is_turned_up_or_down_in_the_middle_of_a_reply_is_followed_at_once(
    change_db: float,
) -> None:
    ours, turned = spoken(STORY)[: 8 * RATE_HZ].astype(float), 4 * RATE_HZ
    played = np.concatenate((np.zeros(2400), ours[:turned], ours[turned:] * 10 ** (change_db / 20)))
    echo = np.convolve(played, impulse_response(0.3, 0))[: len(ours)] * 10 ** (-10 / 20)
    mixed = echo + np.random.default_rng(0).normal(0, 12, len(echo))
    microphone = mixed.round().clip(-32768, 32767).astype(np.int16)
    heard = cancelled(ours.astype(np.int16), microphone)
    later = slice(turned + RATE_HZ // 2, turned + RATE_HZ)
    assert level_db(heard[later]) < level_db(microphone[later]) - 30


def cancelled(ours: Pcm, microphone: Pcm) -> Pcm:
    """The microphone's signal without what we send meanwhile."""
    canceller, out = EchoCanceller(), []
    for now in range(0, len(ours), 320):
        canceller.play(ours[now : now + 320])
        out.append(canceller.hear(microphone[now : now + 320]))
    return np.concatenate(out)


def heard_again_s(shift: int) -> float:
    """How long the echo is heard after the client's playout moved by `shift` samples, 5.1 s into a reply."""
    ours, moved = spoken(STORY)[: 8 * RATE_HZ].astype(float), round(5.1 * RATE_HZ)
    played = np.zeros(len(ours) + RATE_HZ)
    played[2400 : 2400 + moved] = ours[:moved]
    played[2400 + moved + shift :][: len(ours) - moved] = ours[moved:]
    echo = np.convolve(played, impulse_response(0.3, 0))[: len(ours)] * 10 ** (-8 / 20)
    microphone = (echo + np.random.default_rng(0).normal(0, 12, len(echo))).round().astype(np.int16)
    whole = cancelled(ours.astype(np.int16), microphone)
    tenths = range(moved, len(whole) - 1600, 1600)
    loud = [at for at in tenths if level_db(microphone[at : at + 1600]) > 30]
    leaks = [at for at in loud if level_db(whole[at : at + 1600]) > level_db(microphone[at : at + 1600]) - 9]
    return (max(leaks) + 1600 - moved) / RATE_HZ if leaks else 0.0
