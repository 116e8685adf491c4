"""The worker with a real model over real sockets: what it answers, how it batches, what it keeps and lets go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from llm.worker.slots import conversation_mark
from tests.llm.worker_process import RunningWorker, running_worker

QUESTIONS = (
    "what is the capital of france",
    "turn on the kitchen light",
    "what is two plus three",
    "who are you",
    "set a timer for five minutes",
    "my name is anna",
    "tell me a joke",
    "thank you",
)
SYSTEM = "You are Parley, a friendly voice assistant. Answer in one or two short spoken sentences. " * 3


@pytest.fixture(scope="module")
def worker() -> Iterator[RunningWorker]:
    with running_worker() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=90)) as session:
        yield session


def chat(*texts: str, system: str = "", **more: Any) -> dict[str, Any]:
    """A greedy request; the texts are user, assistant, user, ..."""
    roles = ("user", "assistant")
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]
    return {"messages": messages, "temperature": 0, **more}


def text_of(body: dict[str, Any]) -> str:
    text: str = body["choices"][0]["message"]["content"]
    return text


@asynccontextmanager
async def streaming(
    http: aiohttp.ClientSession, worker: RunningWorker, body: dict[str, Any], path: str = "/v1/chat/completions"
) -> AsyncIterator[AsyncIterator[Any]]:
    async with http.post(worker.url + path, json={**body, "stream": True}) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"

        async def events() -> AsyncIterator[Any]:
            async for line in response.content:
                if line.startswith(b"data: "):
                    yield "[DONE]" if b"[DONE]" in line else json.loads(line[6:])

        yield events()


class TestAnswers:
    async def test_a_stream_says_what_the_whole_answer_says(
        self, worker: RunningWorker, http: aiohttp.ClientSession
    ) -> None:
        body = chat("what is the capital of france", stream_options={"include_usage": True}, max_tokens=40)
        whole = worker.ask("/v1/chat/completions", body).body
        async with streaming(http, worker, body) as events:
            chunks = [chunk async for chunk in events]
        assert chunks[-1] == "[DONE]"
        *parts, last = chunks[:-1]
        assert parts[0]["choices"][0]["delta"]["role"] == "assistant"
        assert "".join(part["choices"][0]["delta"].get("content", "") for part in parts) == text_of(whole) != ""
        assert parts[-1]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
        assert last["choices"] == []
        counted = {name: last["usage"][name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
        assert counted == {name: whole["usage"][name] for name in counted}

    async def test_the_usage_is_told_all_along_to_who_asks(
        self, worker: RunningWorker, http: aiohttp.ClientSession
    ) -> None:
        wanted = {"include_usage": True, "continuous_usage_stats": True}
        body = chat("tell me a story", stream_options=wanted, max_tokens=400, logit_bias=worker.never_ending())
        async with streaming(http, worker, body) as events:  # so long that it cannot come in one piece
            usages = [chunk["usage"] async for chunk in events if chunk != "[DONE]" and chunk.get("usage")]
        assert len(usages) > 1 and len({usage["prompt_tokens"] for usage in usages}) == 1
        written = [usage["completion_tokens"] for usage in usages]
        assert written == sorted(written) and written[0] >= 1

    def test_counts_are_exact(self, worker: RunningWorker) -> None:
        body = chat("hello", system=SYSTEM, max_tokens=9, logit_bias=worker.never_ending())
        usage = worker.ask("/v1/chat/completions", body).body["usage"]
        prompt = worker.ask("/apply-template", body).body
        assert usage["prompt_tokens"] == prompt["tokens"]
        assert (usage["completion_tokens"], usage["total_tokens"]) == (9, prompt["tokens"] + 9)
        tokens = worker.ask("/tokenize", {"content": prompt["prompt"]}).body["tokens"]
        native = worker.ask("/completion", {"prompt": tokens, "n_predict": 3, "temperature": 0}).body
        assert native["tokens_evaluated"] == len(tokens)

    def test_a_seed_gives_the_same_reply_again_and_another_seed_another(self, worker: RunningWorker) -> None:
        def reply(seed: int) -> str:
            body = chat("tell me a story", max_tokens=30, seed=seed, logit_bias=worker.never_ending())
            return text_of(worker.ask("/v1/chat/completions", body | {"temperature": 1.5}).body)

        assert reply(7) == reply(7)
        assert len({reply(seed) for seed in range(4)}) > 1

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_stop_string_ends_the_reply_and_no_part_of_it_is_shown(
        self, worker: RunningWorker, http: aiohttp.ClientSession, stream: bool
    ) -> None:
        body = chat("count to ten", max_tokens=40, logit_bias=worker.never_ending())
        full = text_of(worker.ask("/v1/chat/completions", body).body)
        stop = full[len(full) // 2 : len(full) // 2 + 7]  # begins and ends inside of tokens
        body["stop"] = ["never said", stop]
        if not stream:
            choice = worker.ask("/v1/chat/completions", body).body["choices"][0]
            assert (choice["message"]["content"], choice["finish_reason"]) == (full[: full.find(stop)], "stop")
            return
        shown = ""
        async with streaming(http, worker, body) as events:
            async for chunk in events:
                if chunk != "[DONE]":
                    shown += chunk["choices"][0]["delta"].get("content", "")
                    assert full[: full.find(stop)].startswith(shown)
        assert shown == full[: full.find(stop)]

    def test_a_schema_is_obeyed(self, worker: RunningWorker) -> None:
        schema = {
            "type": "object",
            "properties": {"room": {"enum": ["kitchen", "hall"]}, "level": {"type": "integer"}},
            "required": ["room", "level"],
            "additionalProperties": False,
        }
        format = {"type": "json_schema", "json_schema": {"name": "lamp", "schema": schema}}
        body = chat("dim the kitchen light", response_format=format, max_tokens=200, seed=1)
        said = json.loads(text_of(worker.ask("/v1/chat/completions", body | {"temperature": 1.0}).body))
        assert said["room"] in ("kitchen", "hall") and isinstance(said["level"], int) and len(said) == 2

    def test_characters_of_several_bytes_come_whole(self, worker: RunningWorker) -> None:
        said = worker.ask(
            "/completion", {"prompt": "a", "grammar": 'root ::= "Zürich 20 € 😀"', "n_predict": 80}
        ).body
        assert said["content"] == "Zürich 20 € 😀"

    def test_a_biased_token_is_said_or_never_said(self, worker: RunningWorker) -> None:
        token = worker.token(" the")
        forced = worker.ask("/v1/chat/completions", chat("hi", logit_bias={str(token): 100}, max_tokens=4)).body
        assert text_of(forced) == " the the the the"
        plain = worker.ask("/v1/chat/completions", chat("what is the capital of france", max_tokens=20)).body
        first = worker.ask("/tokenize", {"content": text_of(plain)}).body["tokens"][0]
        body = chat("what is the capital of france", logit_bias={str(first): -100}, max_tokens=20)
        banned = worker.ask("/v1/chat/completions", body).body
        assert text_of(banned) != text_of(plain)

    def test_penalties_keep_it_from_repeating(self, worker: RunningWorker) -> None:
        def words(**more: Any) -> int:
            body = chat("hi", max_tokens=60, logit_bias=worker.never_ending(), **more)
            tokens = worker.ask("/tokenize", {"content": text_of(worker.ask("/v1/chat/completions", body).body)})
            return len(set(tokens.body["tokens"]))

        plain = words()
        assert words(repeat_penalty=1.8) > plain
        assert words(frequency_penalty=2.0, presence_penalty=2.0) > plain

    def test_text_completions_of_both_kinds(self, worker: RunningWorker) -> None:
        prompt = "the capital of"
        bias = worker.never_ending()
        openai = worker.ask(
            "/v1/completions", {"prompt": prompt, "max_tokens": 6, "temperature": 0, "logit_bias": bias}
        ).body
        native = worker.ask(
            "/completion", {"prompt": prompt, "n_predict": 6, "temperature": 0, "logit_bias": bias}
        ).body
        assert openai["choices"][0]["text"] == native["content"] != ""
        assert openai["choices"][0]["finish_reason"] == "length" and native["stop_type"] == "limit"
        assert openai["usage"]["completion_tokens"] == native["tokens_predicted"] == 6

    @pytest.mark.parametrize("path", ["/v1/completions", "/completion"])
    async def test_text_completions_are_streamed(
        self, worker: RunningWorker, http: aiohttp.ClientSession, path: str
    ) -> None:
        body = {"prompt": "once upon a time", "max_tokens": 8, "n_predict": 8, "temperature": 0}
        whole = worker.ask(path, body).body
        text = ""
        async with streaming(http, worker, body, path) as events:
            async for chunk in events:
                if chunk != "[DONE]":
                    text += chunk["content"] if path == "/completion" else chunk["choices"][0]["text"]
        assert text == (whole["content"] if path == "/completion" else whole["choices"][0]["text"])

    @pytest.mark.parametrize("text", ["", "hello there", "Zürich 20 €\n\n😀\t'quoted'", "<|im_start|>user", " a  b "])
    def test_tokens_and_back(self, worker: RunningWorker, text: str) -> None:
        tokens = worker.ask("/tokenize", {"content": text}).body["tokens"]
        assert worker.ask("/detokenize", {"tokens": tokens}).body == {"content": text}


class TestBatching:
    async def test_eight_requests_are_decoded_together_and_say_what_each_says_alone(
        self, worker: RunningWorker, http: aiohttp.ClientSession
    ) -> None:
        bodies = [chat(question, max_tokens=30, logit_bias=worker.never_ending()) for question in QUESTIONS]
        alone = [text_of(worker.ask("/v1/chat/completions", body).body) for body in bodies]
        before = worker.statistics()["widths"].get("8", 0)

        async def ask(body: dict[str, Any]) -> str:
            async with http.post(f"{worker.url}/v1/chat/completions", json=body) as answer:
                return text_of(await answer.json())

        together = await asyncio.gather(*(ask(body) for body in bodies))
        assert together == alone
        assert worker.statistics()["widths"]["8"] - before >= 10

    async def test_voice_has_a_place_when_all_others_are_taken(
        self, worker: RunningWorker, http: aiohttp.ClientSession
    ) -> None:
        endless = chat("tell me everything", logit_bias=worker.never_ending())
        async with asyncio.TaskGroup() as group:
            busy = [group.create_task(self._drain(http, worker, endless)) for _ in range(9)]
            await asyncio.to_thread(worker.until, lambda: _seen(worker, busy=8, waiting=1))
            voice = chat("who are you", parley_priority="voice", max_tokens=5)
            answer = await asyncio.to_thread(worker.ask, "/v1/chat/completions", voice)
            assert answer.status == 200
            assert worker.statistics()["widths"].get("9", 0) >= 1
            for task in busy:
                task.cancel()
        await asyncio.to_thread(worker.until, lambda: _seen(worker, busy=0, waiting=0))

    async def _drain(self, http: aiohttp.ClientSession, worker: RunningWorker, body: dict[str, Any]) -> None:
        async with streaming(http, worker, body) as events:
            async for _ in events:
                pass


class TestMemory:
    def test_the_next_turn_costs_only_its_new_tokens(self, worker: RunningWorker) -> None:
        first = chat("my name is anna", system=SYSTEM, parley_conversation="reuse", max_tokens=30)
        one = worker.ask("/v1/chat/completions", first).body
        second = chat("my name is anna", text_of(one), "what is my name", system=SYSTEM, max_tokens=30)
        two = worker.ask("/v1/chat/completions", second | {"parley_conversation": "reuse"}).body
        cached = two["usage"]["prompt_tokens_details"]["cached_tokens"]
        # All of the first turn but its last token, and the marks after the reply, which it had not to read.
        assert cached >= one["usage"]["total_tokens"] - 2
        assert two["usage"]["prompt_tokens"] - cached <= 24

    def test_an_interrupted_turn_keeps_what_is_alike(self, worker: RunningWorker) -> None:
        first = chat("count to ten", system=SYSTEM, parley_conversation="cut", max_tokens=20)
        one = worker.ask("/v1/chat/completions", first | {"logit_bias": worker.never_ending()}).body
        heard = text_of(one)[: len(text_of(one)) // 2]
        second = chat("count to ten", f"{heard} [INTERRUPTED BY USER]", "stop", system=SYSTEM, max_tokens=5)
        two = worker.ask("/v1/chat/completions", second | {"parley_conversation": "cut"}).body
        cached = two["usage"]["prompt_tokens_details"]["cached_tokens"]
        assert one["usage"]["prompt_tokens"] < cached < one["usage"]["total_tokens"]

    def test_a_common_system_prompt_is_read_once(self, worker: RunningWorker) -> None:
        system = "Only short answers, and never a list. " * 6
        tokens = len(worker.ask("/tokenize", {"content": system}).body["tokens"])
        worker.ask("/v1/chat/completions", chat("hello", system=system, parley_conversation="a", max_tokens=5))
        body = chat("who are you", system=system, parley_conversation="b", max_tokens=5)
        other = worker.ask("/v1/chat/completions", body).body
        assert other["usage"]["prompt_tokens_details"]["cached_tokens"] >= tokens

    def test_when_all_sequences_are_taken_the_oldest_idle_conversation_goes(self) -> None:
        with running_worker("--parallel", "1", "--voice-places", "0") as narrow:
            places = len(narrow.ask("/slots").body)
            for number in range(places + 2):
                body = chat(f"{number} hello", parley_conversation=f"talk {number}", max_tokens=1)
                assert narrow.ask("/v1/chat/completions", body).status == 200
            kept = {row["conversation"] for row in narrow.ask("/slots").body}
            assert kept == {conversation_mark(f"talk {number}") for number in range(2, places + 2)}

    def test_a_forgotten_conversation_is_gone(self, worker: RunningWorker) -> None:
        name = "live/secret token?"
        worker.ask("/v1/chat/completions", chat("hello", parley_conversation=name, max_tokens=5))
        mark = conversation_mark(name)
        rows = {row["conversation"]: row for row in worker.ask("/slots").body}
        assert rows[mark]["n_tokens"] > 0 and not rows[mark]["is_processing"]
        assert name not in json.dumps(worker.ask("/slots").body)
        quoted = "live%2Fsecret%20token%3F"
        assert worker.ask(f"/parley/conversations/{quoted}", method="DELETE").status == 204
        assert mark not in {row["conversation"] for row in worker.ask("/slots").body}

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_client_that_hangs_up_frees_the_decoder(
        self, worker: RunningWorker, http: aiohttp.ClientSession, stream: bool
    ) -> None:
        before = worker.statistics()["cancelled"]
        body = chat("tell me everything", logit_bias=worker.never_ending(), stream=stream)
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(http.post(f"{worker.url}/v1/chat/completions", json=body))
            await asyncio.to_thread(worker.until, lambda: _seen(worker, busy=1))
            if stream:
                (await asking).close()
            asking.cancel()
        await asyncio.to_thread(worker.until, lambda: _seen(worker, busy=0))
        assert worker.statistics()["cancelled"] == before + 1


class TestLimits:
    def test_a_prompt_that_does_not_fit_is_refused_before_decoding(self, worker: RunningWorker) -> None:
        before = worker.statistics()["steps"]
        answer = worker.ask("/v1/chat/completions", chat("word " * 3000))
        assert answer.status == 400
        assert answer.body["error"]["code"] == "context_length_exceeded"
        assert worker.statistics()["steps"] == before

    def test_a_reply_that_fills_the_context_ends_by_length(self, worker: RunningWorker) -> None:
        context = worker.ask("/v1/models").body["data"][0]["max_model_len"]
        tokens = [worker.token(" the")] * (context - 12)
        body = {"prompt": tokens, "max_tokens": 500, "temperature": 0, "logit_bias": worker.never_ending()}
        answer = worker.ask("/v1/completions", body).body
        assert answer["choices"][0]["finish_reason"] == "length"
        assert answer["usage"]["total_tokens"] == context

    async def test_a_long_prompt_does_not_hold_up_a_running_reply(self, http: aiohttp.ClientSession) -> None:
        with running_worker("--batch-size", "64") as small:
            endless = chat("tell me everything", logit_bias=small.never_ending(), seed=1)
            tokens = [small.token(" the")] * 640
            async with streaming(http, small, endless) as events:
                await anext(events)
                async with streaming(http, small, {"prompt": tokens, "max_tokens": 1}, "/v1/completions") as late:
                    await anext(late)
                after = small.statistics()
            # 640 tokens in chunks of at most 63 beside the reply: at least 10 steps, and the reply was in each.
            assert after["widths"]["2"] >= 10
            assert after["prompt_tokens"] >= 640

    async def test_a_full_queue_is_said_at_once(self, http: aiohttp.ClientSession) -> None:
        with running_worker("--parallel", "1", "--voice-places", "0", "--queue", "1") as narrow:
            endless = chat("tell me everything", logit_bias=narrow.never_ending())
            async with streaming(http, narrow, endless) as events:
                await anext(events)
                async with asyncio.TaskGroup() as group:
                    waiting = group.create_task(http.post(f"{narrow.url}/v1/chat/completions", json=endless))
                    await asyncio.to_thread(narrow.until, lambda: _seen(narrow, busy=1, waiting=1))
                    refused = narrow.ask("/v1/chat/completions", chat("hello"))
                    waiting.cancel()
                assert refused.status == 503
                assert int(refused.headers["retry-after"]) > 0
                assert refused.body["error"]["code"] == "overloaded"
                await asyncio.to_thread(narrow.until, lambda: _seen(narrow, busy=1, waiting=0))


def _seen(worker: RunningWorker, **wanted: int) -> bool:
    statistics = worker.statistics()
    return all(statistics[name] == value for name, value in wanted.items())


def test_conversations_out_of_the_cache_are_given_up_when_asked(worker: RunningWorker) -> None:
    def beside() -> int:
        count: int = worker.ask("/health").body["cache_ram_bytes"]
        return count

    for question in QUESTIONS:
        worker.ask("/v1/chat/completions", chat(question * 9, system=question * 9, max_tokens=1))
    worker.until(lambda: beside() > 2 << 20)
    assert worker.ask("/parley/cache-ram", {"bytes": 1 << 20}, "PUT").status == 204
    worker.until(lambda: beside() <= 1.1 * (1 << 20))
    for bad in ({"bytes": -1}, {"bytes": "1"}, {"bytes": True}, {}):
        answer = worker.ask("/parley/cache-ram", bad, "PUT")
        assert (answer.status, answer.body["error"]["param"]) == (400, "bytes")
