"""The session shell: real ears, codec and clock around scripted speech parts, over an in-memory connection.

Why this file is long: one session shell, seen from all sides.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from llm.errors import WorkerDied
from llm.messages import Message, TextPart, ToolCall
from models.clock import SystemClock
from models.errors import BadInput, ParleyError
from tests.voice.scripted_parts import ScriptedMind, ScriptedStt, ScriptedVoice
from voice.ears.ears import Ears, load_ears
from voice.ears.ring import AudioRing
from voice.errors import SessionGone, SttFailed
from voice.port import Pcm
from voice.session.config import AudioConfig, SessionConfig, TurnDetection
from voice.session.files import LiveRecord, _from_json, _to_json
from voice.session.hub import Hub, TooManySessions
from voice.session.outgoing import TurnComplete
from voice.session.session import Session, SessionParts
from voice.settings import TurnSettings, VadSettings, VoiceSettings, WakeSettings
from voice.turn.history import History, Item
from voice.turn_detection.spec import Scorer

PCM = AudioConfig(input_format="pcm", output_format="pcm", sample_rate=16_000)
TYPED = SessionConfig(audio=PCM)


class Wire:
    """Both ends of a connection. `heard` is what the client was sent, decoded."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[str | bytes](10_000)
        self.heard: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self._news = anyio.Event()

    async def receive(self) -> str | bytes:
        return await self._receive.receive()

    written = 0

    def arrived(self) -> int | None:
        return None  # nobody can tell

    async def send(self, frame: str | bytes) -> None:
        self.heard.append(json.loads(frame) if isinstance(frame, str) else {"type": "binary", "bytes": frame})
        self._news.set()

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)
        self._send.close()

    def say(self, **message: Any) -> None:
        self._send.send_nowait(json.dumps(message))

    def put(self, frame: str | bytes) -> None:
        self._send.send_nowait(frame)

    def hang_up(self) -> None:
        self._send.close()

    def dispose(self) -> None:
        self._receive.close()

    async def speak(self, pcm: Pcm, rate_hz: int = 16_000, pace: float = 1.0) -> None:
        """20 ms frames at the speed of time, or `pace` times as fast."""
        step = rate_hz // 50
        for at in range(0, len(pcm), step):
            self.put(pcm[at : at + step].tobytes())
            await anyio.sleep(0.02 / pace)

    async def wait(self, kind: str, count: int = 1, within_s: float = 60.0) -> dict[str, Any]:
        """The `count`th message of a type."""
        with anyio.fail_after(within_s):
            while len(found := self.of(kind)) < count:
                self._news = anyio.Event()
                await self._news.wait()
        return found[count - 1]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.heard if message["type"] == kind]


class World:
    def __init__(self, ears: Ears, tmp_path: Path) -> None:
        self.stt, self.mind, self.voice = ScriptedStt(), ScriptedMind(), ScriptedVoice()
        self.ears, self.home = ears, tmp_path
        self.settings = VoiceSettings(turn=TurnSettings(silence_ms=300), resume_grace_s=0)
        self.turns: list[TurnComplete] = []
        self.scorer: Scorer | None = None

    def parts(self) -> SessionParts:
        clock = SystemClock()
        return SessionParts(self.ears, self.stt, self.mind, self.voice, self.mind.forget, clock, scorer=self.scorer)

    def hub(self) -> Hub:
        return Hub(self.settings, self.home / "live", SystemClock(), self.parts)

    @asynccontextmanager
    async def session(self, config: SessionConfig = TYPED) -> AsyncIterator[Wire]:
        wire = Wire()
        session = Session(
            "s-1", "live-x", "me", config, self.settings, self.parts(), History(), on_turn=self.turns.append
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.run, wire)
            await wire.wait("ready")
            yield wire
            wire.hang_up()
        wire.dispose()
        assert self.stt.open_streams == 0 and self.mind.running == 0 and self.voice.running == 0
        assert self.ears.statistics().ears == 0
        assert self.mind.forgotten[-1] == "s-1"


@pytest.fixture(scope="module")
def loaded_ears() -> Callable[[], Ears]:
    return lambda: load_ears(VadSettings(), WakeSettings(engine="none"))


@pytest.fixture
async def world(loaded_ears: Callable[[], Ears], tmp_path: Path) -> AsyncIterator[World]:
    ears = loaded_ears()
    # a task of its own: pytest-asyncio tears a fixture down in another task than it was set up in
    hearing = asyncio.get_running_loop().create_task(ears.run())
    yield World(ears, tmp_path)
    hearing.cancel()
    await asyncio.wait([hearing])


@pytest.fixture(scope="module")
def spoken(testdata: Path) -> Pcm:
    """A human "what time is it", 16 kHz, with silence after it."""
    import wave

    with wave.open(str(testdata / "speech/commands_human/rs_what_time_is_it.wav")) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return np.concatenate((pcm, np.zeros(16_000, np.int16)))


async def test_a_typed_turn_is_answered_in_text_and_audio(world: World) -> None:
    async with world.session() as wire:
        wire.say(type="end_turn", transcript="what time is it")
        turn = await wire.wait("turn_complete")
    assert turn["input_transcript"] == "what time is it"
    assert turn["output_transcript"] == turn["heard_transcript"] == world.mind.reply("")
    assert turn["usage"] == {"tokens_in": 30, "tokens_out": 7}
    assert not turn["interrupted"] and turn["latency_ms"] > 0
    samples = sum(len(base64.b64decode(message["audio"])) // 2 for message in wire.of("audio"))
    assert samples == pytest.approx(len(turn["output_transcript"]) / 15 * 16_000, rel=0.05)
    assert "".join(message["text"] for message in wire.of("text")).split() == turn["output_transcript"].split()
    assert world.turns[0].input_transcript == "what time is it"


async def test_a_spoken_turn(world: World, spoken: Pcm) -> None:
    async with world.session() as wire:
        await wire.speak(spoken)
        turn = await wire.wait("turn_complete")
    assert turn["input_transcript"] == "what time is it"
    kinds = [message["type"] for message in wire.heard]
    assert kinds.index("speech_started") < kinds.index("speech_stopped") < kinds.index("audio")
    assert any(not message["is_final"] for message in wire.of("transcript")), "partial transcripts"
    assert 0.8 <= world.stt.fed_s[-1] <= 2.0, "the speech and a little more, not the silence around it"


class WaitingStt(ScriptedStt):
    """It has no transcript before the model was asked more than `asked` times."""

    mind: ScriptedMind
    asked = 0

    async def work(self) -> None:
        with anyio.fail_after(60):
            while self.asked and len(self.mind.requests) <= self.asked:
                await anyio.sleep(0.005)


async def test_words_that_were_right_before_are_answered_while_their_transcript_is_made(
    world: World, spoken: Pcm
) -> None:
    world.stt = stt = WaitingStt(so_far=lambda seconds: "what time is it")
    stt.mind = world.mind
    async with world.session() as wire:
        await wire.speak(spoken)
        await wire.wait("turn_complete")
        stt.asked = len(world.mind.requests)
        await wire.speak(spoken)
        turn = await wire.wait("turn_complete", 2)
    assert turn["input_transcript"] == "what time is it"
    assert turn["output_transcript"] == turn["heard_transcript"] == "It is late, and you should sleep."
    assert world.turns[-1].tokens_in == 30, "one answer is paid for"


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 44_100, 48_000])
async def test_other_rates_of_the_microphone(world: World, spoken: Pcm, rate_hz: int) -> None:
    from voice.resample import StreamResampler

    config = SessionConfig(audio=AudioConfig("pcm", "pcm", 16_000, True, rate_hz))
    async with world.session(config) as wire:
        await wire.speak(StreamResampler(16_000, rate_hz).process(spoken, last=True), rate_hz, pace=3.0)
        await wire.wait("turn_complete")


async def test_speech_interrupts_the_reply(world: World, spoken: Pcm) -> None:
    world.mind.reply = lambda asked: "And then there was another one of them, long ago. " * 8
    async with world.session() as wire:
        wire.say(type="end_turn", transcript="tell me a story")
        await wire.wait("audio", 5)
        await wire.speak(spoken[:24_000])
        interrupted = await wire.wait("interrupted")
        told = await wire.wait("turn_complete")
    assert told["interrupted"] and told["heard_transcript"] == interrupted["partial_output"]
    assert 0 < len(told["heard_transcript"]) < len(told["output_transcript"])


async def test_interrupt_message_stops_the_model(world: World) -> None:
    world.mind.reply = lambda asked: "word " * 500
    async with world.session() as wire:
        wire.say(type="end_turn", transcript="talk")
        await wire.wait("audio")
        wire.say(type="interrupt")
        turn = await wire.wait("turn_complete")
        assert turn["interrupted"] and 0 < turn["usage"]["tokens_out"] < 500
        assert world.mind.running == 0


async def test_a_vanished_client_leaves_nothing(world: World, spoken: Pcm) -> None:
    world.mind.reply = lambda asked: "word " * 500
    async with world.session() as wire:
        wire.say(type="end_turn", transcript="talk")
        await wire.wait("audio")
        await wire.speak(spoken[:16_000], pace=5.0)


async def test_the_audio_of_a_session_goes_with_it(
    world: World, spoken: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    rings: list[AudioRing] = []

    class Kept(AudioRing):
        def __init__(self, seconds: float) -> None:
            super().__init__(seconds)
            rings.append(self)

    monkeypatch.setattr("voice.session.session.AudioRing", Kept)
    async with world.session() as wire:
        await wire.speak(spoken[:16_000], pace=5.0)
        await wire.wait("speech_started")
    (ring,) = rings
    assert ring.end > 8000 and ring.end - ring.start <= 1, "the memory waits for Python to look for dead objects"


async def test_a_client_may_say_later_where_it_stopped_playing(world: World) -> None:
    world.mind.reply = lambda asked: "one two three four five six seven eight nine ten. " * 9
    async with world.session() as wire:
        wire.say(type="end_turn", transcript="count")
        reply = (await wire.wait("audio"))["reply"]
        await anyio.sleep(1.2)
        wire.say(type="interrupt")
        heard = (await wire.wait("turn_complete"))["heard_transcript"]
        wire.say(type="truncate", reply=reply, ms=400)
        wire.say(type="truncate", reply="reply-9", ms=400)
        assert (await wire.wait("error"))["code"] == "item_not_found"
        wire.say(type="end_turn", transcript="go on")
        await wire.wait("audio", len(wire.of("audio")) + 1)
        wire.say(type="interrupt")
        await wire.wait("turn_complete", 2)
    assert {request.thinking for request in world.mind.requests} == {False}
    kept = world.mind.requests[-1].messages[2].content.removesuffix(" [INTERRUPTED BY USER]")
    assert kept and heard.startswith(kept) and len(kept) < len(heard)


async def test_nonsense_frames_are_answered_and_the_session_goes_on(world: World) -> None:
    async with world.session() as wire:
        for frame in (
            "{",
            "[]",
            '"x"',
            "{}",
            '{"type":"dance"}',
            '{"type":"audio","audio":7}',
            '{"type":"audio","audio":"%%"}',
        ):
            wire.put(frame)
        wire.put(b"\x01")
        wire.say(type="played", reply=7, ms="x")
        wire.say(type="tool_result", call_id="c", output="x")
        wire.say(type="update", audio_config={"input_rate": 3})
        wire.say(type="end_turn", transcript="x " * 20_000)
        wire.say(type="end_turn", transcript="still there")
        await wire.wait("turn_complete")
        assert len(wire.of("error")) == 12
        assert all(message["code"] and message["message"] for message in wire.of("error"))


async def test_a_giant_frame_ends_the_connection(world: World) -> None:
    async with world.session() as wire:
        wire.put("x" * (3 << 20))
        error = await wire.wait("error")
        await anyio.sleep(0.2)
        assert error["code"] == "message_too_large"
        assert wire.closed is not None and wire.closed[0] == 1009


async def test_a_recogniser_that_breaks_once_loses_no_audio(world: World, spoken: Pcm) -> None:
    world.stt.fail = 1
    async with world.session() as wire:
        await wire.speak(spoken)
        await wire.wait("turn_complete")
    assert not wire.of("error")
    assert 0.8 <= world.stt.fed_s[-1] <= 2.0


@pytest.mark.parametrize("error", [SttFailed("broken"), WorkerDied("not started"), BadInput("no such language")])
async def test_a_recogniser_that_stays_broken_is_told(world: World, spoken: Pcm, error: ParleyError) -> None:
    world.stt.fail, world.stt.error = 1000, error
    async with world.session() as wire:
        await wire.speak(spoken)
        assert (await wire.wait("error"))["code"] == error.code
        world.stt.fail = 0
        wire.say(type="end_turn", transcript="hello")
        await wire.wait("turn_complete")


async def test_a_turn_that_cannot_be_scored_ends_by_its_silence(world: World, spoken: Pcm) -> None:
    class Broken:
        asked = 0

        def score(self, pcm: Pcm) -> float:
            self.asked += 1
            raise Fail("as onnxruntime says it")

    world.scorer = Broken()
    async with world.session() as wire:
        await wire.speak(spoken)
        await wire.speak(np.zeros(4 * 16_000, np.int16), pace=4.0)
        await wire.wait("turn_complete")
    assert world.scorer.asked and not wire.of("error")


async def test_a_model_that_dies_is_told_and_the_next_turn_works(world: World) -> None:
    world.mind.dies_after = 2
    async with world.session() as wire:
        wire.say(type="end_turn", transcript="hello")
        assert (await wire.wait("error"))["code"] == "worker_died"
        await wire.wait("turn_complete")
        world.mind.dies_after = None
        wire.say(type="end_turn", transcript="hello")
        assert (await wire.wait("turn_complete", 2))["output_transcript"] == world.mind.reply("")


async def test_manual_turns(world: World, spoken: Pcm) -> None:
    config = SessionConfig(audio=PCM, turn_detection=TurnDetection(type="none"))
    async with world.session(config) as wire:
        await wire.speak(spoken, pace=2.0)
        assert not wire.of("turn_complete")
        wire.say(type="end_turn")
        await wire.wait("turn_complete")


async def test_who_speaks_on_while_turn_detection_is_switched_on_is_heard_to_the_end(
    world: World, spoken: Pcm
) -> None:
    """Past the first sound that is no voice, too: the closure of a "p"."""
    world.stt.text = lambda seconds: f"{seconds:.1f} s"
    said = np.concatenate((spoken[:17_600], spoken))  # voice up to 2.2 s
    config = SessionConfig(audio=PCM, turn_detection=TurnDetection(type="none"))
    async with world.session(config) as wire:
        await wire.speak(said[:16_000], pace=4.0)
        wire.say(type="update", turn_detection={"type": "server_vad"})
        await wire.speak(said[16_000:], pace=4.0)
        turn = await wire.wait("turn_complete")
    assert float(turn["input_transcript"].split()[0]) > 1.9
    assert len(world.turns) == 1


async def test_what_was_said_before_turn_detection_is_switched_off_is_part_of_what_is_committed(
    world: World, spoken: Pcm
) -> None:
    world.stt.text = lambda seconds: f"{seconds:.1f} s"
    said = np.concatenate((spoken[:17_600], spoken))
    async with world.session() as wire:
        await wire.speak(said[:27_200], pace=4.0)
        wire.say(type="update", turn_detection=None)
        await wire.speak(said[27_200:], pace=4.0)
        wire.say(type="end_turn")
        turn = await wire.wait("turn_complete")
        assert len(wire.of("speech_started")) == len(wire.of("speech_stopped")) == 2
    assert float(turn["input_transcript"].split()[0]) > len(said) / 16_000 - 0.5


async def test_two_sentences_that_come_in_one_burst_are_two_turns(world: World, spoken: Pcm) -> None:
    """From a link that had stalled, or a file: the first one's transcript must not hold the second, too."""
    async with world.session(replace(TYPED, transcribe_only=True)) as wire:
        wire.put(np.concatenate((spoken, spoken)).tobytes())
        await wire.wait("turn_noted", 2)
    assert len(world.stt.fed_s) == 2 and max(world.stt.fed_s) < 1.2 * len(spoken) / 16_000


async def test_configuration_changes_in_a_running_session(world: World) -> None:
    async with world.session() as wire:
        wire.say(type="update", wake_word_config={"enabled": True, "words": ["computer"]})
        await wire.wait("ready", 2)
        wire.say(type="end_turn", transcript="what time is it")
        await wire.wait("wake_word_required")
        wire.say(type="end_turn", transcript="computer what time is it")
        assert (await wire.wait("turn_complete"))["input_transcript"] == "what time is it"


async def test_the_rate_may_change_in_the_middle_of_a_reply(world: World) -> None:
    """What is spoken of it after that is as long as before: it is no faster voice."""
    world.mind.reply = lambda asked: "One, I think. " * 4
    world.voice.delay_s = 0.3
    async with world.session() as wire:
        wire.say(type="end_turn", transcript="hello")
        await wire.wait("audio")
        wire.say(type="update", audio_config={"sample_rate": 8_000})
        await wire.wait("turn_complete")
        audio = wire.of("audio")
        assert {each["sample_rate"] for each in audio} == {16_000, 8_000}
        seconds = sum(len(base64.b64decode(each["audio"])) / 2 / each["sample_rate"] for each in audio)
        assert seconds == pytest.approx(4 * len("One, I think. ") / 15, rel=0.05)


async def test_ping(world: World) -> None:
    async with world.session() as wire:
        wire.say(type="ping")
        await wire.wait("pong")


async def test_a_silent_client_is_let_go(world: World) -> None:
    world.settings = VoiceSettings(idle_close_s=0.2)
    async with world.session() as wire:
        with anyio.fail_after(60):
            while wire.closed is None:
                await anyio.sleep(0.05)


class TestHub:
    async def test_a_session_survives_a_restart_with_its_history(self, world: World) -> None:
        hub = world.hub()
        hub.load()
        token, record = hub.create("me", TYPED)
        async with anyio.create_task_group() as tasks:
            wire = Wire()
            tasks.start_soon(hub.connect, token, wire)
            wire.say(type="end_turn", transcript="my name is anna")
            await wire.wait("turn_complete")
            assert hub.live == 1 and hub.get(token).state == "idle"
            wire.hang_up()
        wire.dispose()
        again = world.hub()
        again.load()
        kept = again.get(token)
        assert kept.config == TYPED and kept.owner == "me" and kept.turns == 1
        assert kept.exchanges[0].user == "my name is anna"
        async with anyio.create_task_group() as tasks:
            wire = Wire()
            tasks.start_soon(again.connect, token, wire)
            wire.say(type="end_turn", transcript="what is my name")
            await wire.wait("turn_complete")
            wire.hang_up()
        wire.dispose()
        assert [message.content for message in world.mind.requests[-1].messages[1:]] == [
            "my name is anna",
            world.mind.reply(""),
            "what is my name",
        ]

    async def test_the_disk_holds_no_token(self, world: World) -> None:
        hub = world.hub()
        hub.load()
        token, _ = hub.create("me", TYPED)
        await hub.flush()
        [path] = (world.home / "live").iterdir()
        assert token not in path.name and token not in path.read_text()
        assert path.stat().st_mode & 0o077 == 0

    async def test_an_ended_session_is_gone(self, world: World) -> None:
        hub = world.hub()
        hub.load()
        token, _ = hub.create("me", TYPED)
        async with anyio.create_task_group() as tasks:
            wire = Wire()
            tasks.start_soon(hub.connect, token, wire)
            await wire.wait("ready")
            await hub.end(token)
        wire.dispose()
        assert wire.closed == (4004, "session ended")
        with pytest.raises(SessionGone):
            hub.get(token)
        await hub.flush()
        assert not list((world.home / "live").iterdir())

    async def test_broken_records_do_not_stop_the_start(self, world: World) -> None:
        hub = world.hub()
        hub.load()
        token, _ = hub.create("me", TYPED)
        await hub.flush()
        folder = world.home / "live"
        (folder / "bad.json").write_text("{")
        (folder / ".half.json.0a1b2c3d").write_text("{")
        again = world.hub()
        again.load()
        assert again.get(token).owner == "me"
        assert len(list(folder.iterdir())) == 1

    async def test_who_connects_beside_and_leaves_at_once_disturbs_nobody(self, world: World) -> None:
        hub, here, passing = world.hub(), Wire(), Wire()
        token, _ = hub.create("me", TYPED)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hub.connect, token, here)
            await here.wait("ready")
            passing.hang_up()
            await hub.connect(token, passing)
            here.say(type="end_turn", transcript="what time is it")
            await here.wait("turn_complete")
            assert here.closed is None and not passing.heard
            here.hang_up()
        for wire in (here, passing):
            wire.dispose()

    async def test_there_is_a_limit(self, world: World) -> None:
        world.settings = VoiceSettings(max_sessions=1, resume_grace_s=0)
        hub = world.hub()
        hub.load()
        for _ in range(4):
            hub.create("me", TYPED)
        with pytest.raises(TooManySessions):
            hub.create("somebody else", TYPED)

    async def test_who_waits_for_room_finds_the_session_as_it_is_then(self, world: World) -> None:
        """The server is full of clients that are away; two connections to one session, and one to a session that is
        ended, wait until they have made room."""
        world.settings = VoiceSettings(max_sessions=3, resume_grace_s=600)
        hub = world.hub()
        hub.load()
        async with anyio.create_task_group() as tasks:
            away = [Wire() for _ in range(3)]
            for wire in away:
                tasks.start_soon(hub.connect, hub.create("me", TYPED)[0], wire)
                await wire.wait("ready")
                wire.hang_up()
            with anyio.fail_after(60):
                while hub.live:
                    await anyio.sleep(0.01)
            token, gone = hub.create("me", TYPED)[0], hub.create("me", TYPED)[0]
            first, second, ended = Wire(), Wire(), Wire()
            failed: list[SessionGone] = []

            async def connect_to_the_ended() -> None:
                try:
                    await hub.connect(gone, ended)
                except SessionGone as error:
                    failed.append(error)

            for wire in (first, second):
                tasks.start_soon(hub.connect, token, wire)
            tasks.start_soon(connect_to_the_ended)
            await anyio.lowlevel.checkpoint()
            assert not first.heard and not ended.heard, "they wait"
            await hub.end(gone)
            await second.wait("ready")
            with anyio.fail_after(60):
                while first.closed is None or not failed:
                    await anyio.sleep(0.01)
            assert first.closed == (4001, "connected elsewhere") and not ended.heard
            second.say(type="end_turn", transcript="hello")
            await second.wait("turn_complete")
            assert hub.live == 1
            await hub.end(token)
            tasks.cancel_scope.cancel()
        for wire in (*away, first, second, ended):
            wire.hang_up()
            wire.dispose()

    async def test_pages_that_were_left_before_a_word_make_room_for_a_new_one(self, world: World) -> None:
        world.settings = VoiceSettings(max_sessions=1, resume_grace_s=0)
        hub = world.hub()
        hub.load()
        left = [hub.create("me", TYPED) for _ in range(4)]
        left[0][1].items = (Item("a", Message("user", "something was said")),)
        token, _ = hub.create("me", TYPED)
        assert hub.get(left[0][0]).items
        assert hub.get(left[2][0]) and hub.get(token)
        with pytest.raises(SessionGone):
            hub.get(left[1][0])


def test_a_conversation_with_tools_and_pictures_is_kept_over_a_restart() -> None:
    call = ToolCall("call_1", "clock", "{}")
    seen = Message("user", "what is this", parts=(TextPart("what is this"),))
    items = (
        Item("a", seen),
        Item("b", Message("assistant", "", (call,))),
        Item("c", Message("tool", "12", tool_call_id="call_1")),
        Item("d", Message("assistant", "It is"), True),
    )
    now = SystemClock().wall()
    record = LiveRecord("s-1", "me", TYPED, now, now, items)
    again = _from_json(json.loads(json.dumps(_to_json(record))))
    assert again.items == (Item("a", Message("user", "what is this")), *items[1:])
    assert [exchange.assistant for exchange in again.exchanges] == ["It is"]
