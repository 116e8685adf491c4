"""Sessions written down and taken again: the codec, the masking of words, the files."""

from __future__ import annotations

import json
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.messages import ToolCall
from models.clock import SystemClock
from tests.voice.conversation import RATE_HZ, Conversation
from tests.web.moved_clock import MovedClock
from voice.errors import BadRecording
from voice.records.codec import decode, encode, known_classes
from voice.records.masking import Mask
from voice.records.recording import Recording
from voice.records.recordings import Recordings
from voice.records.replay import Replay, describe
from voice.session.config import AudioConfig, LlmConfig, SessionConfig, WakeConfig
from voice.session.outgoing import AudioOut, TurnComplete
from voice.settings import RecordSettings, TurnSettings
from voice.turn import events as heard
from voice.turn.actions import Action, Tell
from voice.turn.history import Item
from voice.turn.machine import TurnMachine
from voice.turn.machine_start import MachineStart
from web.main import main

SECRET = "my pin number is 4711 said anna"


class Watched:
    """A conversation on the virtual clock whose steps are written down."""

    def __init__(self, mask: Mask | None, config: SessionConfig | None = None) -> None:
        config = config or SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ))
        self.talk = Conversation(config=config)
        self.start = MachineStart(config, self.talk.settings, system_prompt="Be brief.")
        self.recording = Recording("s-1", self.start, mask)
        self.lines = [self.recording.head]
        self.steps: list[tuple[heard.TurnEvent, float, list[Action]]] = []
        self.talk.machine = _Shown(self.start.machine(), self)  # type: ignore[assignment]


class _Shown:
    def __init__(self, machine: TurnMachine, watched: Watched) -> None:
        self._machine, self._watched = machine, watched

    def step(self, event: heard.TurnEvent, now: float) -> list[Action]:
        actions = self._machine.step(event, now)
        self._watched.lines.append(self._watched.recording.step(event, now, actions))
        self._watched.steps.append((event, now, actions))
        return actions

    @property
    def wakes_at(self) -> float | None:
        return self._machine.wakes_at


def _story(watched: Watched) -> Watched:
    talk = watched.talk
    talk.speak((1.0, 2.0, SECRET))
    talk.speak((5.0, 5.15, ""), (7.0, 9.0, "stop and tell me something else"))
    talk.at(20.0, heard.Typed("thank you anna"))
    talk.run(30.0)
    assert len(talk.told(TurnComplete)) == 3
    return watched


@pytest.mark.parametrize("mask", [None, Mask(b"key")], ids=["words", "masked"])
def test_a_conversation_replays_to_the_same_actions(mask: Mask | None) -> None:
    lines = _story(Watched(mask)).lines
    steps = list(Replay(lines).steps())
    assert len(steps) == len(lines) - 1 and all(step.same for step in steps)
    text = "\n".join(line for step in steps for line in describe(step))
    assert "TurnComplete" in text and "AudioClock" not in text


def test_without_consent_no_word_is_left_and_the_course_is_the_same() -> None:
    watched = _story(Watched(Mask(b"key")))
    text = "".join(watched.lines)
    for word in (*SECRET.split(), "something", "thank", "brief"):
        if len(word) > 2:
            assert word not in text.lower(), word
    assert '"differs"' not in text


@pytest.mark.parametrize(
    "arguments",
    [
        '{"room":"Anna\'s \\"den\\"\\n\\u00e9"}',
        '{"n":null,"l":[10,20,-305,[]]}',
        '{"e":1e5,"t":-20.05}',
        "{bad",
        "[1]",
        '{"n":NaN}',
    ],
)
def test_a_masked_call_is_made_as_it_was(arguments: str) -> None:
    lamp = {"type": "function", "function": {"name": "lamp"}}
    watched = Watched(Mask(b"key"), SessionConfig(AudioConfig(sample_rate=RATE_HZ), llm=LlmConfig(tools=(lamp,))))
    replies = iter([(ToolCall("c1", "lamp", arguments),), "It is on."])
    watched.talk.answer = lambda asked: next(replies)
    watched.talk.at(1.0, heard.Typed("switch that on"))
    watched.talk.at(3.0, heard.ToolResult("c1", "done"))
    watched.talk.run(12.0)
    [turn] = watched.talk.told(TurnComplete)
    assert turn.tools_called == ("lamp",) and turn.status == "completed"
    text = "".join(watched.lines)
    assert '"differs"' not in text and "Anna" not in text and "305" not in text
    assert all(step.same for step in Replay(watched.lines).steps())


def test_words_that_the_rules_know_stay() -> None:
    mask = Mask(b"key", ("hey jarvis",))
    assert mask.text("What? Stop!") == "What? Stop!" and mask.text("hey Jarvis") == "hey Jarvis"
    assert mask.text("Anna and Anna") != "Anna and Anna"


@given(st.text())
def test_masking_keeps_lengths_and_everything_but_letters_and_digits(text: str) -> None:
    masked = Mask(b"key").text(text)
    assert len(masked) == len(text)
    assert all(a == b for a, b in zip(text, masked, strict=True) if not a.isalnum())


def test_a_change_of_the_machine_shows_at_its_first_step() -> None:
    lines = _story(Watched(None)).lines
    head = json.loads(lines[0])
    assert head["start"]["settings"]["silence_ms"] == 500
    head["start"]["settings"]["silence_ms"] = 900
    different = next(step for step in Replay([json.dumps(head) + "\n", *lines[1:]]).steps() if not step.same)
    assert different.difference().startswith("action 1\n  recorded: ")


def test_a_field_that_one_version_lacks_is_no_difference() -> None:
    lines = _story(Watched(None)).lines
    older, fields = [], 0
    for line in lines[1:]:
        step = json.loads(line)
        for action in step["actions"]:
            fields += action.pop("from_s", None) is not None
            action["of_another_version"] = True
        older.append(json.dumps(step) + "\n")
    assert fields and all(step.same for step in Replay([lines[0], *older]).steps())


def test_every_event_and_action_is_known_by_name_and_comes_back() -> None:
    names = known_classes()
    for union in (heard.TurnEvent, Action):
        for kind in union.__args__:
            assert f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}" in names
    watched = _story(Watched(None))
    for event, _, actions in watched.steps:
        for value in (event, *actions):
            assert encode(decode(json.loads(json.dumps(encode(value))))) == encode(value)


def test_secrets_of_tools_are_not_written(tmp_path: Path) -> None:
    from voice.settings import HttpToolSettings, ToolSettings

    tool = HttpToolSettings(name="weather", description="x", url="http://weather.example/?key=sk-secret")
    start = MachineStart(SessionConfig(), TurnSettings(), tools=ToolSettings(http=(tool,)))
    assert "sk-secret" not in Recording("s", start, None).head


@pytest.mark.parametrize(
    "text", ["", "{", "[]\n", '{"parley_recording": 99}\n', '{"parley_recording": 1}\n', "nonsense\n"]
)
def test_what_is_no_recording_says_so(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadRecording):
        Replay([text])
    (tmp_path / "x.jsonl").write_text(text)
    assert main(["replay", str(tmp_path / "x.jsonl")]) == 2
    assert capsys.readouterr().err.startswith("parley: ")


def test_a_file_that_ends_in_the_middle_of_a_line_replays_up_to_there() -> None:
    lines = _story(Watched(None)).lines
    assert len(list(Replay([*lines[:50], lines[50][:20]]).steps())) == 49


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        (0, '"silence_ms": 500', '"silence_ms": "long"'),
        (0, '"silence_ms": 500', '"silence_ms": NaN'),
        (0, '"detector": "auto"', '"detector": "oracle"'),
        (0, '"$": "config.WakeConfig"', '"$": "config.VoiceConfig"'),
        (1, '"$": "', '"$": "no.such.'),
        (1, '"event": {', '"event": {"$": "actions.Tell"}, "x": {'),
        (1, '"event": ', '"event": ' + "[" * 100_000),
        (0, '"start": ', '"start": ' + "[" * 700 + "]" * 700 + ', "x": '),
        (1, '"event": ', '"event": ' + "[" * 700 + "]" * 700 + ', "x": '),
        (-1, '"$pcm": ', '"$pcm": 1000000000000'),
        (-1, '"$pcm": ', '"$pcm": -'),
    ],
)
def test_a_damaged_recording_says_so(line: int, old: str, new: str) -> None:
    lines = [json.dumps(json.loads(text)) + "\n" for text in _story(Watched(None)).lines]
    at = line if line >= 0 else next(at for at, text in enumerate(lines) if at and old in text.split('"actions"')[0])
    damaged = lines[at].replace(old, new, 1)
    assert damaged != lines[at]
    with pytest.raises(BadRecording):
        list(Replay([*lines[:at], damaged, *lines[at + 1 :]]).steps())


def test_empty_lines_are_no_damage() -> None:
    lines = _story(Watched(None)).lines
    assert len(list(Replay([*lines[:50], "\n", *lines[50:], "\n"]).steps())) == len(lines) - 1


# ---- files ------------------------------------------------------------------------------------------------------


def _recorded(folder: Path, settings: RecordSettings, consent: bool) -> Path:
    """The path of what was recorded, or of nothing."""
    recordings = Recordings(folder, settings, SystemClock())
    watched = _story(Watched(None))
    recorder = recordings.record("s-1", watched.start, consent=consent)
    recorder.heard(np.ones(16_000, np.int16))
    for event, now, actions in watched.steps:
        recorder.stepped(event, now, actions)
    recorder.ended(30.0)
    recordings.close()
    return _only(folder) or folder / "nothing.jsonl"


def _only(folder: Path) -> Path | None:
    """The recording in `folder`, that was made now."""
    found = [path for path in folder.glob("*-s-1.jsonl")] if folder.is_dir() else []
    assert len(found) <= 1
    return found[0] if found else None


def test_with_consent_words_and_audio_are_kept_for_the_owner_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _recorded(tmp_path / "recordings", RecordSettings(), True)
    assert "4711" in path.read_text() and path.stat().st_mode & 0o077 == 0
    with wave.open(str(path.with_suffix(".user.wav"))) as file:
        assert (file.getnframes(), file.getframerate()) == (16_000, 16_000)
    with wave.open(str(path.with_suffix(".parley.wav"))) as file:
        assert file.getframerate() == RATE_HZ and file.getnframes() > RATE_HZ
    assert path.with_suffix(".user.wav").stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0
    assert main(["replay", str(path)]) == 0
    out = capsys.readouterr().out
    assert "TurnComplete" in out and "the same actions" in out
    lines = path.read_text().splitlines(keepends=True)
    last = json.loads(lines[-1])
    last["actions"].insert(0, {"$": "actions.Listen", "turn": 9, "from_s": 0.0})
    path.write_text("".join([*lines[:-1], json.dumps(last) + "\n"]))
    assert main(["replay", "--quiet", str(path)]) == 1
    assert "action 1" in capsys.readouterr().out


def test_a_sample_rate_that_changes_leaves_the_voice_as_it_is(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "recordings", RecordSettings(), SystemClock())
    recorder = recordings.record("s-1", Watched(None).start, consent=True)
    for rate_hz in (8_000, 24_000, 24_000, 16_000, 8_000):  # a second of a tone each
        tone = (9000 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)).astype(np.int16)
        recorder.stepped(heard.Tick(), 1.0, [Tell(AudioOut("reply-1", tone, rate_hz, "", False))])
    recorder.ended(9.0)
    recordings.close()
    path = _only(tmp_path / "recordings")
    assert path is not None
    with wave.open(str(path.with_suffix(".parley.wav"))) as file:
        assert file.getframerate() == 8_000 and abs(file.getnframes() - 40_000) < 400
        samples = np.frombuffer(file.readframes(-1), np.int16)
    for second in range(5):
        middle = samples[second * 8_000 + 2_000 :][:4_000]
        assert np.argmax(np.abs(np.fft.rfft(middle))) == 220  # of bins of 2 Hz


def test_consent_can_be_taken_back(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "recordings", RecordSettings(), SystemClock())
    watched = _story(Watched(None))
    recorder = recordings.record("s-1", watched.start, consent=True)
    half = len(watched.steps) // 2
    for event, now, actions in watched.steps[:half]:
        recorder.stepped(event, now, actions)
    recorder.heard(np.ones(16_000, np.int16))
    recorder.stepped(heard.ConfigChanged(SessionConfig()), 15.0, [])
    recorder.heard(np.ones(16_000, np.int16))
    for event, now, actions in watched.steps[half:]:
        recorder.stepped(event, now, actions)
    recorder.ended(30.0)
    recordings.close()
    path = _only(tmp_path / "recordings")
    assert path is not None and len(path.read_text().splitlines()) == half + 1
    with wave.open(str(path.with_suffix(".user.wav"))) as file:
        assert file.getnframes() == 16_000
    assert main(["replay", "--quiet", str(path)]) == 0


@pytest.mark.parametrize(("before", "recorded"), [("nothing", True), ("a sound", False), ("a word", False)])
def test_consent_may_come_before_anything_else_and_not_later(tmp_path: Path, before: str, recorded: bool) -> None:
    folder = tmp_path / "recordings"
    recordings = Recordings(folder, RecordSettings(), SystemClock())
    start = MachineStart(SessionConfig(), TurnSettings())
    machine = start.machine()
    recorder = recordings.record("s-1", start, consent=False)
    story = (
        heard.EchoHeard("unknown"),
        heard.ConfigChanged(SessionConfig(ttl_minutes=20)),
        heard.ConfigChanged(SessionConfig(record=True)),
        heard.Typed("my name is Ann"),
    )
    for at_s, event in enumerate(story):
        if at_s == 2 and before == "a sound":
            recorder.heard(np.ones(160, np.int16))
        elif at_s == 2 and before == "a word":
            recorder.stepped(heard.Typed("secret"), 0.5, machine.step(heard.Typed("secret"), 0.5))
        recorder.stepped(event, float(at_s), machine.step(event, float(at_s)))
    recorder.heard(np.ones(1600, np.int16))
    recorder.ended(30.0)
    recordings.close()
    path = _only(folder)
    assert (path is not None) == recorded
    if path is not None:
        assert "Ann" in path.read_text() and path.with_suffix(".user.wav").exists()
        assert main(["replay", "--quiet", str(path)]) == 0


def test_without_consent_there_is_nothing_or_by_setting_no_words_and_no_audio(tmp_path: Path) -> None:
    assert not _recorded(tmp_path / "recordings", RecordSettings(), False).exists()
    path = _recorded(tmp_path / "recordings", RecordSettings(events=True), False)
    assert "4711" not in path.read_text()
    assert [found.suffix for found in path.parent.iterdir()] == [".jsonl"]


def test_a_recording_ends_at_its_size_and_the_conversation_goes_on(tmp_path: Path) -> None:
    path = _recorded(tmp_path / "recordings", RecordSettings(max_mb=0), True)
    assert not path.exists()


def test_a_disk_that_takes_nothing_ends_the_recording(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("a file where the folder should be")
    assert not _recorded(tmp_path / "recordings", RecordSettings(), True).exists()


def test_what_is_old_or_too_much_is_deleted(tmp_path: Path) -> None:
    import os

    folder = tmp_path / "recordings"
    folder.mkdir()
    for name, days in (("old.jsonl", 20), ("new.jsonl", 1)):
        (folder / name).write_text("x")
        os.utime(folder / name, (time.time() - days * 86_400,) * 2)
    path = _recorded(folder, RecordSettings(keep_days=14), True)
    assert not (folder / "old.jsonl").exists() and (folder / "new.jsonl").exists() and path.exists()


def test_what_is_being_recorded_is_not_deleted_nor_what_is_no_recording(tmp_path: Path) -> None:
    """However old it seems when the clock is set, or how much there is."""
    import os

    folder = tmp_path / "recordings"
    (folder / "kept").mkdir(parents=True)
    for name in ("notes.txt", "older.jsonl"):
        (folder / name).write_text("x" * 100)
    for path in folder.iterdir():
        os.utime(path, (1.0, 1.0))
    recordings = Recordings(folder, RecordSettings(keep_days=1, total_mb=0), SystemClock())
    watched = _story(Watched(None))
    recorder = recordings.record("s-1", watched.start, consent=True)
    half = len(watched.steps) // 2
    for event, now, actions in watched.steps[:half]:
        recorder.stepped(event, now, actions)
    recordings.record("s-2", watched.start, consent=True)  # tidies
    for event, now, actions in watched.steps[half:]:
        recorder.stepped(event, now, actions)
    recorder.ended(30.0)
    recordings.close()
    path = _only(folder)
    assert path is not None and main(["replay", "--quiet", str(path)]) == 0
    assert {path.name for path in folder.iterdir()} >= {"kept", "notes.txt"} and not (folder / "older.jsonl").exists()


def test_a_session_that_begins_twice_in_a_second_has_two_recordings(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "recordings", RecordSettings(), MovedClock())
    watched = _story(Watched(None))
    for _ in range(2):
        recorder = recordings.record("s-1", watched.start, consent=True)
        recorder.heard(np.ones(16_000, np.int16))
        for event, now, actions in watched.steps:
            recorder.stepped(event, now, actions)
        recorder.ended(30.0)
    recordings.close()
    found = sorted((tmp_path / "recordings").glob("*.jsonl"))
    assert len(found) == 2
    for path in found:
        assert main(["replay", "--quiet", str(path)]) == 0
        with wave.open(str(path.with_suffix(".user.wav"))) as file:
            assert file.getnframes() == 16_000


def test_of_a_recording_that_was_deleted_no_part_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    recordings = Recordings(folder, RecordSettings(), SystemClock())
    watched = _story(Watched(None))
    recorder = recordings.record("s-1", watched.start, consent=True)
    half = len(watched.steps) // 2
    for event, now, actions in watched.steps[:half]:
        recorder.stepped(event, now, actions)
    while (path := _only(folder)) is None:
        time.sleep(0.01)
    path.unlink()
    for event, now, actions in watched.steps[half:]:
        recorder.stepped(event, now, actions)
    recorder.ended(30.0)
    recordings.close()
    assert _only(folder) is None


def test_a_recording_of_a_newer_version_says_so() -> None:
    with pytest.raises(BadRecording, match="newer"):
        Replay(['{"parley_recording": 2, "start": {}}\n'])


def test_wake_words_of_the_session_stay_and_prompts_do_not() -> None:
    config = SessionConfig(
        wake=WakeConfig(True, ("computer",)), llm=LlmConfig(system_prompt="The alarm code is 1234.")
    )
    start = MachineStart(config, TurnSettings(), items=(Item("item_1", _said("the code is 1234")),))
    head = Recording("s", start, Mask(b"key", config.wake.words)).head
    assert "computer" in head and "alarm" not in head and "1234" not in head


def _said(text: str):  # type: ignore[no-untyped-def]
    from llm.messages import Message

    return Message("user", text)
