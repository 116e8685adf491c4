"""OpenAI's own Python client on /v1/realtime, unpatched: with scripted parts, and with those that come with us.

Why this file is long: one server and one stock client for all of it.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest
import websockets
from openai import AsyncOpenAI, OpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from tests.bench.utterances import RATE_HZ, quiet, utterances
from tests.parley_process import ParleyProcess
from tests.scripted.process import ScriptedProcess
from voice.codecs.g711 import U_LAW, LawDecoder, LawEncoder
from voice.port import Pcm
from voice.resample import StreamResampler

REPLY = "It is Paris, on the Seine."
STORY = "And then there was another one of them, long ago. " * 8
HEARD = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
MANUAL = {"audio": {"input": {"turn_detection": None}}}
LAMP = {
    "type": "function",
    "name": "lamp",
    "description": "Switches the lamp.",
    "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}},
}


@pytest.fixture
def service(scripted_service: ScriptedProcess) -> ScriptedProcess:
    scripted_service.reset()
    quick = {"first_token_ms": 20, "tokens_per_s": 400, "stt_delay_ms": 20, "tts_delay_ms": 20}
    scripted_service.script(replies=[REPLY], tts_ms_per_character=20, **quick)
    return scripted_service


class Talk:
    """A connection of the stock client. `seen` are all events so far."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.seen: list[Any] = []

    async def until(self, kind: str, within_s: float = 60.0) -> Any:
        """The next event of that type. An `error` that was not asked for fails the test."""
        async with asyncio.timeout(within_s):
            while True:
                event = await self.connection.recv()
                self.seen.append(event)
                if event.type == kind:
                    return event
                assert event.type != "error", event

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.seen if event.type == kind]

    async def update(self, **session: Any) -> Any:
        await self.connection.session.update(session={"type": "realtime", **session})  # type: ignore[arg-type,misc]
        return (await self.until("session.updated")).session

    async def type(self, text: str) -> None:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await self.connection.conversation.item.create(item=item)  # type: ignore[arg-type]

    async def append(self, data: bytes, bytes_per_ms: int = 48, pace: float = 8.0) -> None:
        """20 ms at a time, some times as fast as speech."""
        step = 20 * bytes_per_ms
        for at in range(0, len(data), step):
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(data[at : at + step]).decode())
            await asyncio.sleep(0.02 / pace)

    def audio(self) -> bytes:
        return b"".join(base64.b64decode(event.delta) for event in self.of("response.output_audio.delta"))


@asynccontextmanager
async def talking(server: ParleyProcess, **query: Any) -> AsyncIterator[Talk]:
    async with AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key=server.admin_key, max_retries=0) as client:
        async with client.realtime.connect(**(query or {"model": "gpt-realtime"})) as connection:
            talk = Talk(connection)
            await talk.until("session.created")
            yield talk


def spoken(rate_hz: int = 24_000) -> Pcm:
    [said] = utterances(1)
    samples = np.concatenate([quiet(0.3), said.pcm, quiet(1.0)]).astype(np.int16)
    return StreamResampler(RATE_HZ, rate_hz).process(samples, last=True)


# ---- turns ----------------------------------------------------------------------------------------------------


async def test_a_text_turn(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    async with talking(scripted_parley) as talk:
        session = await talk.update(output_modalities=["text"], instructions="Be brief.", record=True)
        assert (session.output_modalities, session.instructions) == (["text"], "Be brief.")
        assert session.record is True, "a field of ours: the SDK sends it and shows it"
        await talk.type("what is the capital of france")
        await talk.connection.response.create(response={"metadata": {"topic": "france"}})
        done = await talk.until("response.done")
    assert done.response.status == "completed"
    assert done.response.metadata == {"topic": "france"}
    assert done.response.output[0].content[0].text == REPLY
    assert "".join(event.delta for event in talk.of("response.output_text.delta")) == REPLY
    assert not talk.of("response.output_audio.delta")
    [asked] = service.requests("llm")
    assert [(m["role"], m["content"]) for m in asked["request"]["messages"]] == [
        ("system", "Be brief."),
        ("user", "what is the capital of france"),
    ]


async def test_an_item_that_is_audio(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    async with talking(scripted_parley) as talk:
        await talk.update(output_modalities=["text"], **HEARD)
        content = {"type": "input_audio", "audio": base64.b64encode(spoken().tobytes()).decode()}
        item = {"id": "said", "type": "message", "role": "user", "content": [content]}
        await talk.connection.conversation.item.create(item=item)  # type: ignore[arg-type]
        await talk.connection.response.create()
        await talk.until("response.done")
    [heard] = talk.of("conversation.item.input_audio_transcription.completed")
    assert (heard.item_id, heard.transcript) == ("said", "what is the capital of france")
    [asked] = service.requests("llm")
    assert asked["request"]["messages"][-1] == {"role": "user", "content": heard.transcript}


async def test_a_spoken_turn(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    async with talking(scripted_parley) as talk:
        await talk.update(**HEARD)
        await talk.append(spoken().tobytes())
        done = await talk.until("response.done")
    kinds = [event.type for event in talk.seen]
    order = [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]
    assert sorted(order, key=kinds.index) == order
    [heard] = talk.of("conversation.item.input_audio_transcription.completed")
    assert heard.transcript == "what is the capital of france"
    started, stopped = (
        talk.of("input_audio_buffer.speech_started")[0],
        talk.of("input_audio_buffer.speech_stopped")[0],
    )
    assert 0 <= started.audio_start_ms < stopped.audio_end_ms
    assert started.item_id == stopped.item_id == heard.item_id
    assert done.response.output[0].content[0].transcript == REPLY
    assert len(talk.audio()) / 48 == pytest.approx(len(REPLY) * 20, rel=0.1)


async def test_a_turn_that_the_client_ends(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    """Push to talk: append at once, commit, and ask for the answer before the words are known."""
    async with talking(scripted_parley) as talk:
        await talk.update(**MANUAL)
        await talk.append(spoken().tobytes(), pace=1000)
        await talk.connection.input_audio_buffer.commit()
        await talk.connection.response.create()
        committed = await talk.until("input_audio_buffer.committed")
        done = await talk.until("response.done")
        await talk.connection.conversation.item.retrieve(item_id=committed.item_id)
        item = (await talk.until("conversation.item.retrieved")).item
    assert item.content[0].transcript == "what is the capital of france"
    assert done.response.output[0].content[0].transcript == REPLY
    assert service.requests("llm")[-1]["request"]["messages"][-1]["content"] == "what is the capital of france"
    assert len(talk.of("response.created")) == 1


async def test_a_tool_call(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    service.script(tool_calls=[["lamp", '{"on": true}']], replies=["It is on."])
    async with talking(scripted_parley) as talk:
        await talk.update(output_modalities=["text"], tools=[LAMP], tool_choice="auto")
        await talk.type("light please")
        await talk.connection.response.create()
        first = await talk.until("response.done")
        [call] = first.response.output
        assert (call.type, call.name, call.arguments, call.status) == (
            "function_call",
            "lamp",
            '{"on": true}',
            "completed",
        )
        [arguments] = talk.of("response.function_call_arguments.done")
        assert arguments.arguments == call.arguments
        assert (
            "".join(event.delta for event in talk.of("response.function_call_arguments.delta")) == arguments.arguments
        )
        page = "a page of the web, as a tool reads it. " * 4000
        result = {"type": "function_call_output", "call_id": call.call_id, "output": page}
        await talk.connection.conversation.item.create(item=result)  # type: ignore[arg-type]
        await talk.connection.response.create()
        second = await talk.until("response.done")
    assert second.response.output[0].content[0].text == "It is on."
    told = service.requests("llm")[-1]["request"]
    assert [message["role"] for message in told["messages"]][-3:] == ["user", "assistant", "tool"]
    assert told["messages"][-1]["content"] == page
    assert "lamp" in [offered["function"]["name"] for offered in told["tools"]]


async def test_an_interruption_with_truncate(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    service.script(replies=[STORY, "Fine."], transcripts=["wait, what time is it"], tts_ms_per_character=60)
    async with talking(scripted_parley) as talk:
        await talk.update(**HEARD)
        await talk.type("tell me a story")
        await talk.connection.response.create()
        for _ in range(8):
            await talk.until("response.output_audio.delta")
        speaking = asyncio.create_task(talk.append(spoken().tobytes(), pace=1.0))
        await talk.until("input_audio_buffer.speech_started")
        done = await talk.until("response.done")
        assert done.response.status == "cancelled"
        assert done.response.status_details.reason == "turn_detected"
        [item] = done.response.output
        heard = item.content[0].transcript
        assert item.status == "incomplete" and STORY.startswith(heard) and len(heard) < len(STORY)
        await talk.connection.conversation.item.truncate(item_id=item.id, content_index=0, audio_end_ms=500)
        truncated = await talk.until("conversation.item.truncated")
        assert (truncated.item_id, truncated.audio_end_ms) == (item.id, 500)
        await talk.connection.conversation.item.retrieve(item_id=item.id)
        left = (await talk.until("conversation.item.retrieved")).item.content[0].transcript
        assert STORY.startswith(left) and len(left) <= 500 / 60 + 1
        await talk.until("response.done")
        await speaking
    prompt = service.requests("llm")[-1]["request"]["messages"]
    told = [message["content"] for message in prompt if message["role"] == "assistant"]
    assert told[0].startswith(left) and len(told[0]) < 60 and "INTERRUPTED" in told[0]


async def test_a_transcription_session(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    async with talking(scripted_parley, extra_query={"intent": "transcription"}) as talk:
        session = {"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
        await talk.connection.session.update(session=session)  # type: ignore[arg-type]
        assert (await talk.until("session.updated")).session.type == "transcription"
        for _ in range(2):
            await talk.append(spoken().tobytes())
            heard = await talk.until("conversation.item.input_audio_transcription.completed")
            assert heard.transcript == "what is the capital of france"
    assert not talk.of("response.created") and not service.requests("llm") and not service.requests("tts")


async def test_replies_beside_the_conversation(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    service.script(replies=["yes"])
    async with talking(scripted_parley) as talk:
        await talk.type("remember this")
        await talk.until("conversation.item.done")
        asked = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Is it polite?"}]}
        beside: Any = {
            "conversation": "none",
            "output_modalities": ["text"],
            "metadata": {"purpose": "check"},
            "instructions": "Judge.",
            "input": [asked],
        }
        await talk.connection.response.create(response=beside)
        done = await talk.until("response.done")
        assert done.response.conversation_id is None
        assert done.response.metadata == {"purpose": "check"}
        assert done.response.output[0].content[0].text == "yes"
        assert len(talk.of("conversation.item.added")) == 1, "only what the user typed"
    messages = service.requests("llm")[-1]["request"]["messages"]
    assert [message["content"] for message in messages] == ["Judge.", "Is it polite?"]


async def test_telephone_audio(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    telephone = {"type": "audio/pcmu"}
    async with talking(scripted_parley) as talk:
        session = await talk.update(audio={"input": {"format": telephone}, "output": {"format": telephone}})
        assert session.audio.output.format.type == "audio/pcmu"
        await talk.append(LawEncoder(U_LAW).encode(spoken(8_000)), bytes_per_ms=8)
        await talk.until("response.done")
    heard = talk.audio()
    assert len(heard) / 8 == pytest.approx(len(REPLY) * 20, rel=0.1)
    loud = LawDecoder(U_LAW, 8_000).feed(heard)
    assert int(np.abs(loud.astype(int)).max()) > 3000


async def test_cancel_and_items(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    service.script(replies=[STORY, "Yes."], tts_ms_per_character=60)
    async with talking(scripted_parley) as talk:
        await talk.type("talk to me")
        first = (await talk.until("conversation.item.added")).item.id
        await talk.connection.response.create()
        for _ in range(5):
            await talk.until("response.output_audio.delta")
        await talk.connection.response.cancel()
        done = await talk.until("response.done")
        assert (done.response.status, done.response.status_details.reason) == ("cancelled", "client_cancelled")
        for id in (first, done.response.output[0].id):
            await talk.connection.conversation.item.delete(item_id=id)
            assert (await talk.until("conversation.item.deleted")).item_id == id
        await talk.type("are you there")
        await talk.connection.response.create()
        await talk.until("response.done")
    messages = service.requests("llm")[-1]["request"]["messages"]
    assert [message["content"] for message in messages if message["role"] != "system"] == ["are you there"]


@pytest.mark.parametrize("quick", [True, False], ids=["text", "speech"])
async def test_with_the_parts_that_come_with_parley(parley_server: ParleyProcess, quick: bool) -> None:
    async with talking(parley_server, model="default") as talk:
        if quick:
            await talk.update(output_modalities=["text"])
            await talk.type("what is the capital of france")
            await talk.connection.response.create()
        else:
            await talk.update(**HEARD)
            await talk.append(spoken().tobytes(), pace=3.0)
        done = await talk.until("response.done")
    assert done.response.status == "completed"
    if quick:
        assert done.response.output[0].content[0].text
    else:
        assert talk.of("conversation.item.input_audio_transcription.completed")[0].transcript
        assert len(talk.audio()) > 24_000


async def test_a_transcription_session_with_the_parts_that_come_with_parley(parley_server: ParleyProcess) -> None:
    async with talking(parley_server, extra_query={"intent": "transcription"}) as talk:
        await talk.append(spoken().tobytes())
        heard = await talk.until("conversation.item.input_audio_transcription.completed")
    assert heard.transcript and heard.usage.seconds > 0.5


async def test_cancel_and_truncate_with_the_parts_that_come_with_parley(parley_server: ParleyProcess) -> None:
    async with talking(parley_server, model="default") as talk:
        await talk.type("tell me a joke")
        await talk.connection.response.create()
        delta = await talk.until("response.output_audio.delta")
        await talk.connection.response.cancel()
        done = await talk.until("response.done")
        assert done.response.status == "cancelled"
        await talk.connection.conversation.item.truncate(item_id=delta.item_id, content_index=0, audio_end_ms=0)
        assert (await talk.until("conversation.item.truncated")).audio_end_ms == 0
        await talk.connection.conversation.item.retrieve(item_id=delta.item_id)
        assert (await talk.until("conversation.item.retrieved")).item.content[0].transcript == ""


async def test_a_voice_and_a_format_for_one_reply_with_the_parts_that_come_with_parley(
    parley_server: ParleyProcess,
) -> None:
    async with talking(parley_server, model="default") as talk:
        await talk.type("hello")
        await talk.connection.response.create(response={"audio": {"output": {"voice": "nobody"}}})
        refused = (await talk.until("error")).error
        assert (refused.code, refused.param) == ("invalid_value", "response.audio.output.voice")
        output: Any = {"voice": "de", "format": {"type": "audio/pcmu"}}
        await talk.connection.response.create(response={"audio": {"output": output}, "metadata": {"of": "mine"}})
        begun = (await talk.until("response.created")).response
        await talk.until("response.output_audio.delta")
        await talk.connection.response.cancel()
        done = (await talk.until("response.done")).response
    for response in (begun, done):
        assert response.audio.output.to_dict() == output and response.metadata == {"of": "mine"}
    assert 0 < len(talk.audio()) < 3 * 8_000


# ---- connecting -----------------------------------------------------------------------------------------------


async def test_an_ephemeral_key(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    with OpenAI(base_url=f"{scripted_parley.base_url}/v1", api_key=scripted_parley.admin_key) as client:
        secret = client.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60},
            session={"type": "realtime", "model": "gpt-realtime", "instructions": "Whisper."},
        )
    assert secret.value.startswith("ek_")
    async with AsyncOpenAI(base_url=f"{scripted_parley.base_url}/v1", api_key=secret.value) as client:
        async with client.realtime.connect(model="gpt-realtime") as connection:
            session = (await connection.recv()).session  # type: ignore[union-attr]
    assert session.instructions == "Whisper."
    headers = {"Authorization": f"Bearer {secret.value}"}
    async with aiohttp.ClientSession(scripted_parley.base_url, headers=headers) as http:
        for path in ("/v1/models", "/v1/realtime/client_secrets"):
            async with http.request("GET" if path.endswith("models") else "POST", path) as answer:
                assert answer.status == 401, "it opens sessions and nothing else"


async def test_a_browser_puts_the_key_among_the_subprotocols(scripted_parley: ParleyProcess) -> None:
    url = f"{scripted_parley.ws_url}/v1/realtime?model=gpt-realtime"
    offered: Any = ["realtime", f"openai-insecure-api-key.{scripted_parley.admin_key}", "openai-beta.realtime-v1"]
    async with websockets.connect(url, subprotocols=offered) as socket:
        assert socket.subprotocol == "realtime"
        created = await socket.recv()
    assert '"input_audio_format":"pcm16"' in str(created), "the beta was asked for"


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("model=gpt-realtime", {"Authorization": "Bearer sk-wrong"}, 401),
        ("model=gpt-realtime", {"Authorization": "Bearer ek_wrong"}, 401),
        ("model=gpt-realtime", {}, 401),
        ("model=never-heard-of-it", None, 404),
        ("call_id=rtc_1", None, 404),
        ("model=gpt-realtime", {"Origin": "https://elsewhere.example"}, 403),
    ],
)
async def test_who_is_refused_is_told_why(
    scripted_parley: ParleyProcess, query: str, headers: dict[str, str] | None, status: int
) -> None:
    sent = scripted_parley.headers if headers is None else headers
    if "Origin" in sent:
        sent = {**sent, **scripted_parley.headers}
    logged = len(scripted_parley.log())
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(f"{scripted_parley.ws_url}/v1/realtime?{query}", additional_headers=sent):
            pass
    assert refused.value.response.status_code == status
    assert b'"error"' in refused.value.response.body
    assert "[error" not in scripted_parley.log()[logged:], "no fault of ours"
