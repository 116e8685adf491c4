"""Every backend that discovery finds keeps the backend's port: over a scripted server, and over a real worker."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import aiohttp
import anyio
import pytest

from llm import LLMClient
from llm.errors import BackendFailed, BackendUnreachable, LlmError
from llm.messages import GenerateRequest, Message, Priority, Sampling
from llm.port import Backend, BackendConfig, BackendSpec
from llm.stream import Finish, TextDelta, ToolCallDelta
from models.registry import discover
from tests.llm.worker_process import RunningWorker, running_worker
from tests.scripted.process import ScriptedProcess

SPECS: dict[str, BackendSpec] = discover("llm.backends")
NOT_A_SLOT = ("ollama", "tgi")
"""Those whose API or model list is their own."""
TALK = (
    Message("system", "Be brief."),
    Message("user", "hello"),
    Message("assistant", "hi"),
    Message("user", "who are you"),
)


@pytest.fixture(scope="module")
def worker() -> Iterator[RunningWorker]:
    with running_worker() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def service(scripted_service: ScriptedProcess) -> ScriptedProcess:
    scripted_service.reset()
    scripted_service.script(first_token_ms=5, tokens_per_s=1000, replies=("One two three.",))
    return scripted_service


@pytest.fixture(params=sorted(SPECS))
def spec(request: pytest.FixtureRequest) -> BackendSpec:
    return SPECS[request.param]


def load(spec: BackendSpec, http: aiohttp.ClientSession, url: str, model: str = "any") -> Backend:
    return spec.load(BackendConfig("mine", spec.name, url, model=model, timeout_s=60.0), http)


def url_of(spec: BackendSpec, service: ScriptedProcess) -> str:
    """The scripted service also speaks Ollama's native API, under a path of its own."""
    return service.base_url.replace("/v1", "/ollama") if spec.name == "ollama" else service.base_url


async def collect(backend: Backend, request: GenerateRequest) -> tuple[str, Finish]:
    text = ""
    async with aclosing(backend.generate(request)) as events:
        async for event in events:
            text += event.text if isinstance(event, TextDelta) else ""
    assert isinstance(event, Finish)
    return text, event


async def test_a_real_model_answers_with_exact_counts(
    spec: BackendSpec, http: aiohttp.ClientSession, worker: RunningWorker
) -> None:
    if spec.name in NOT_A_SLOT:
        pytest.skip("our worker does not speak this server's own API; see test_backend_dialects.py")
    backend = load(spec, http, f"{worker.url}/v1", model="")
    sampling = Sampling(temperature=0.0, max_tokens=6, logit_bias={token: -100.0 for token in range(8)})
    text, finish = await collect(backend, GenerateRequest(TALK, sampling=sampling))
    assert text and finish.reason == "length"
    messages = [{"role": message.role, "content": message.content} for message in TALK]
    expected = worker.ask("/apply-template", {"messages": messages}).body["tokens"]
    assert finish.usage is not None
    assert (finish.usage.prompt_tokens, finish.usage.completion_tokens) == (expected, 6)
    (model,) = await backend.models()
    assert model.context and model.backend == "mine" and await backend.health()


async def test_it_sends_what_was_asked(
    spec: BackendSpec, http: aiohttp.ClientSession, service: ScriptedProcess
) -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=7, stop=("x",), seed=3)
    text, _ = await collect(load(spec, http, url_of(spec, service)), GenerateRequest(TALK, "m", sampling))
    assert text == "One two three."
    sent = service.requests("llm")[0]["request"]
    assert sent["model"] == "m" and sent["stream"] is True
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "user"]
    wanted = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 7, "stop": ["x"], "seed": 3}
    assert {name: sent[name] for name in wanted} == wanted


async def test_our_own_fields_go_to_slots_only(
    spec: BackendSpec, http: aiohttp.ClientSession, service: ScriptedProcess
) -> None:
    asked = GenerateRequest(TALK, conversation="c", priority=Priority.VOICE, user="u")
    await collect(load(spec, http, url_of(spec, service)), asked)
    ours = {name for name in service.requests("llm")[0]["request"] if name.startswith("parley_")}
    assert ours == ({"parley_conversation", "parley_priority", "parley_user"} if spec.name == "slot" else set())


async def test_tool_calls_come_through(
    spec: BackendSpec, http: aiohttp.ClientSession, service: ScriptedProcess
) -> None:
    service.script(tool_calls=(("lights", '{"on":true}'),))
    tools = ({"type": "function", "function": {"name": "lights", "parameters": {}}},)
    calls: list[ToolCallDelta] = []
    async with aclosing(
        load(spec, http, url_of(spec, service)).generate(GenerateRequest(TALK, tools=tools))
    ) as events:
        async for event in events:
            if isinstance(event, ToolCallDelta):
                calls.append(event)
    assert calls[0].name == "lights" and calls[0].id
    assert "".join(call.arguments for call in calls).replace(" ", "") == '{"on":true}'
    assert isinstance(event, Finish) and event.reason == "tool_calls"


async def test_closing_the_iterator_hangs_up(
    spec: BackendSpec, http: aiohttp.ClientSession, service: ScriptedProcess
) -> None:
    service.script(tokens_per_s=5, replies=("one two three four five " * 100,))
    async with aclosing(load(spec, http, url_of(spec, service)).generate(GenerateRequest(TALK))) as events:
        async for _ in events:
            break
    with anyio.fail_after(60):
        while not service.requests("llm")[0]["hung_up"]:
            await anyio.sleep(0.02)


async def test_cancelling_the_reader_frees_the_decoder(
    spec: BackendSpec, http: aiohttp.ClientSession, worker: RunningWorker
) -> None:
    if spec.name in NOT_A_SLOT:
        pytest.skip("our worker does not speak this server's own API")
    backend = load(spec, http, f"{worker.url}/v1", model="")
    endless = GenerateRequest(TALK, sampling=Sampling(logit_bias={token: -100.0 for token in range(8)}))
    async with anyio.create_task_group() as group:

        async def read() -> None:
            async with aclosing(backend.generate(endless)) as events:
                async for _ in events:
                    group.cancel_scope.cancel()

        group.start_soon(read)
    await anyio.to_thread.run_sync(worker.until, lambda: worker.statistics()["busy"] == 0)


@pytest.mark.parametrize(
    "fault", [{"kind": "error", "status": 500}, {"kind": "error", "after": 1}, {"kind": "garbage"}, {"kind": "reset"}]
)
async def test_faults_are_typed(
    spec: BackendSpec, http: aiohttp.ClientSession, service: ScriptedProcess, fault: dict[str, object]
) -> None:
    service.script(llm_fault=fault)
    with pytest.raises(LlmError) as caught:
        await collect(load(spec, http, url_of(spec, service)), GenerateRequest(TALK))
    assert isinstance(caught.value, BackendFailed | BackendUnreachable)


@pytest.mark.parametrize("kind", ["openai", "auto"])
def test_a_client_leaves_nothing_open_and_serves_one_event_loop_after_another(
    service: ScriptedProcess, kind: str
) -> None:
    client = LLMClient(kind, service.base_url)

    async def together() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(client.chat, "any", [{"role": "user", "content": "hello"}])

    async def streamed() -> str:
        return "".join([str(piece) async for piece in client.chat_stream("any", [{"role": "user", "content": "hi"}])])

    for _ in range(2):
        assert asyncio.run(client.health_check()) and asyncio.run(client.get_backend_info())["healthy"]
        assert asyncio.run(streamed()).startswith("One two three.")
        asyncio.run(together())
    assert client._http is None
    gc.collect()  # what was left open is an unraisable warning, which fails the test


async def test_a_real_slot_is_recognised_as_ours(worker: RunningWorker) -> None:
    """Though it speaks llama.cpp's dialect, too."""
    async with LLMClient("auto", worker.url) as client:
        assert (await client.get_backend_info())["type"] == "slot"
        (model,) = await client.list_models()
        reply = await client.chat(model, [{"role": "user", "content": "hello"}], {"num_predict": 5})
    metrics = reply.metrics
    assert metrics.generated_tokens and metrics.tokens_per_second
    writing_s = metrics.seconds - (metrics.first_token_seconds or 0.0)
    assert metrics.tokens_per_second * writing_s <= metrics.generated_tokens, "counted over more than the writing"


async def test_nobody_there(spec: BackendSpec, http: aiohttp.ClientSession, free_port: int) -> None:
    backend = load(spec, http, f"http://127.0.0.1:{free_port}/v1")
    assert not await backend.health()
    with pytest.raises(BackendUnreachable):
        await collect(backend, GenerateRequest(TALK))
    await backend.forget("c")
