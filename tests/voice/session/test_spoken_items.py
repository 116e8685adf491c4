"""Items that come as audio: their words, their place, and what waits behind them."""

from __future__ import annotations

import anyio
import numpy as np
import pytest

from llm.messages import Message
from models.errors import ParleyError
from tests.scripted import virtual_time
from tests.scripted.virtual_time import VirtualClock
from voice.errors import AudioError, ProtocolError, SttFailed
from voice.port import Pcm, SttStream, Transcript
from voice.session.config import AudioConfig
from voice.session.incoming import AddAudio, AddMessage, CancelResponse, DeleteItem, Respond
from voice.session.outgoing import ErrorOut
from voice.session.spoken_items import MAX_WAITING, ConversationEvent, SpokenItems

PCM_24K = AudioConfig("pcm", "pcm", 24_000, input_rate=24_000)
SECOND = np.ones(24_000, "<i2").tobytes()


class SlowStt:
    """A second for each; what it heard is its length, nothing of less than half a second, a failure over ten."""

    name = "slow"
    streaming = False

    async def open(self, language: str | None) -> SttStream:
        return _Stream()


class _Stream:
    def __init__(self) -> None:
        self.samples = 0

    async def feed(self, pcm: Pcm) -> None:
        self.samples += len(pcm)

    async def partial(self) -> str | None:
        return None

    async def transcribe(self) -> Transcript:
        await anyio.sleep(1.0)
        if self.samples > 160_000:
            raise SttFailed("too long")
        return Transcript(f"{self.samples / 16_000:.0f} s" if self.samples >= 8_000 else "")

    async def aclose(self) -> None: ...


def audio(name: str, data: bytes = SECOND) -> AddAudio:
    return AddAudio(data, AddMessage(Message("user", ""), name, None, f"event-{name}"))


def asked(*events: AddAudio | ConversationEvent, rest_s: float = 10.0) -> list[tuple[float, object]]:
    """What the conversation and the client hear, and when."""

    async def main(clock: VirtualClock) -> list[tuple[float, object]]:
        told: list[tuple[float, object]] = []
        refused: ParleyError | None = None

        def note(event: object) -> None:
            told.append((round(clock.now(), 1), event))

        async with anyio.create_task_group() as tasks:
            items = SpokenItems(SlowStt(), note, note, lambda work: tasks.start_soon(work))
            try:
                for event in events:
                    if isinstance(event, AddAudio):
                        items.add(event, PCM_24K, None)
                    else:
                        items.ask(event)
                await anyio.sleep(rest_s)
            except ParleyError as error:
                refused = error
                tasks.cancel_scope.cancel()
        if refused is not None:
            raise refused
        return told

    return virtual_time.run(main)


def test_what_is_asked_behind_an_item_waits_for_its_words() -> None:
    text, respond, delete = AddMessage(Message("user", "hi"), "t"), Respond(), DeleteItem("a")
    told = asked(text, audio("a"), respond, audio("b", SECOND * 2), delete)
    assert [(at, event) for at, event in told if not isinstance(event, AddMessage)] == [(1.0, respond), (2.0, delete)]
    added = [(at, event.item_id, event.message.content) for at, event in told if isinstance(event, AddMessage)]
    assert added == [(0.0, "t", "hi"), (1.0, "a", "1 s"), (2.0, "b", "2 s")]


def test_a_reply_under_way_is_stopped_at_once_and_one_that_waits_is_not_begun_before() -> None:
    assert asked(audio("a"), CancelResponse())[0] == (0.0, CancelResponse())
    assert [event for _, event in asked(audio("a"), Respond(), CancelResponse())][1:] == [Respond(), CancelResponse()]


def test_audio_without_words_and_a_recogniser_that_fails_are_told_with_the_clients_name_for_it() -> None:
    told = asked(audio("none", SECOND[:9_600]), audio("long", SECOND * 20), audio("a"))
    errors = [event for _, event in told if isinstance(event, ErrorOut)]
    assert [(error.code, error.event_id) for error in errors] == [
        ("empty_request", "event-none"),
        ("stt_failed", "event-long"),
    ]
    assert isinstance(told[-1][1], AddMessage), "the next one is added all the same"


def test_no_audio_and_too_much_of_it_is_refused() -> None:
    with pytest.raises(AudioError):
        asked(audio("odd", SECOND[:-1]))
    with pytest.raises(ProtocolError):
        asked(*(audio(str(number)) for number in range(MAX_WAITING + 1)))
