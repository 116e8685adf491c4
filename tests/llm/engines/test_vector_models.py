"""Models made for vectors and ranks, beside transformers with the same weights. Real workers, through the pool."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from gguf import GGUFReader

from llm.local_vectors import ask_vectors
from llm.port import VectorPath
from llm.slots.pool import SlotPool
from models.errors import ParleyError
from tests.llm.slot_house import request, slot_house
from tests.llm.tiny_bert import SEP, WORDS, BertPair
from tests.llm.worker_process import running_worker

TEXTS = (
    "the lamp is on",
    "where is the cat ?",
    "walking lights, unknown rivers",
    "quickly",
    "the red house in the town. " * 6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    return tmp_path_factory.mktemp("bert")


@pytest.fixture(scope="module")
def pairs(folder: Path) -> dict[str, BertPair]:
    return {pooling: BertPair(folder, pooling) for pooling in ("mean", "cls", "rank")}


def cosine(a: Any, b: Any) -> float:
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_vectors_are_those_of_transformers(pairs: dict[str, BertPair], pooling: str) -> None:
    pair = pairs[pooling]
    with running_worker(model=pair.path) as worker:
        tokens = [worker.ask("/tokenize", {"content": text, "add_special": True}).body["tokens"] for text in TEXTS]
        assert tokens == [pair.tokens(text) for text in TEXTS]
        answer = worker.ask("/v1/embeddings", {"input": list(TEXTS)})
        assert answer.status == 200
        for row, one in zip(answer.body["data"], tokens, strict=True):
            assert cosine(row["embedding"], pair.embed(one)) > 0.999
            assert abs(np.linalg.norm(row["embedding"]) - 1.0) < 1e-3
        assert answer.body["usage"]["prompt_tokens"] == sum(map(len, tokens))
        chat = worker.ask("/v1/chat/completions", {"messages": [{"role": "user", "content": "hello"}]})
        assert chat.status == 400 and "vectors" in chat.body["error"]["message"]
        long = worker.ask("/v1/embeddings", {"input": "lamp " * 200})
        assert long.status == 400 and long.body["error"]["code"] == "context_length_exceeded"


def test_ranks_are_those_of_transformers(pairs: dict[str, BertPair]) -> None:
    pair, query = pairs["rank"], "where is the lamp ?"
    with running_worker(model=pair.path) as worker:
        answer = worker.ask("/v1/rerank", {"query": query, "documents": list(TEXTS)})
        assert answer.status == 200
        given = {row["index"]: row["relevance_score"] for row in answer.body["results"]}
        expected = [pair.score([*pair.tokens(query), *pair.tokens(text)[1:-1], SEP]) for text in TEXTS]
        assert len({round(score, 2) for score in expected}) > 3, "they are told apart"
        assert [given[number] for number in range(len(TEXTS))] == pytest.approx(expected, abs=0.02)
        assert [row["index"] for row in answer.body["results"]] == sorted(given, key=lambda n: -given[n])


def test_a_rerank_template_writes_the_special_tokens_itself(folder: Path) -> None:
    pair = BertPair(folder, "rank", rerank_template="[CLS] where {query} [SEP] what {document} [SEP]")
    query, documents = "the {document}", ["lamp", "cat {query}", "sea"]
    with running_worker(model=pair.path) as worker:
        answer = worker.ask("/v1/rerank", {"query": query, "documents": documents})
        given = {row["index"]: row["relevance_score"] for row in answer.body["results"]}
        filled = [[*pair.tokens(f"where {query}"), *pair.tokens(f"what {document}")[1:]] for document in documents]
        assert [given[number] for number in range(3)] == pytest.approx([pair.score(one) for one in filled], abs=0.02)
        assert answer.body["usage"]["prompt_tokens"] == sum(map(len, filled))


def test_a_vector_that_is_no_numbers_is_an_error(folder: Path) -> None:
    """As half-precision weights that are too large give them: JSON would have it as a list of null."""
    path = folder / "overflows.gguf"
    path.write_bytes(BertPair(folder, "mean").path.read_bytes())
    tensors = {tensor.name: tensor.data for tensor in GGUFReader(path, "r+").tensors}
    tensors["token_embd.weight"][WORDS.index("sea")] = np.nan
    tensors["token_embd.weight"].base.flush()
    with running_worker(model=path) as worker:
        assert worker.ask("/v1/embeddings", {"input": ["the lamp"]}).status == 200
        for path_, body in (
            ("/v1/embeddings", {"input": ["the lamp", "the sea"]}),
            ("/v1/rerank", {"query": "lamp", "documents": ["the sea"]}),
        ):
            answer = worker.ask(path_, body)
            assert answer.status == 500 and "no numbers" in answer.body["error"]["message"]
        assert worker.ask("/v1/embeddings", {"input": ["the lamp"]}).status == 200


@asynccontextmanager
async def pool_with(tmp_path: Path, *pairs: BertPair) -> AsyncIterator[tuple[SlotPool, aiohttp.ClientSession]]:
    async with slot_house(tmp_path, ("talker",)) as house, aiohttp.ClientSession() as http:
        for pair in pairs:
            (house.models / pair.path.name).write_bytes(pair.path.read_bytes())
        yield house.pool, http


async def test_the_model_made_for_it_is_found_and_loaded(pairs: dict[str, BertPair], tmp_path: Path) -> None:
    async with pool_with(tmp_path, pairs["mean"], pairs["rank"]) as (pool, http):

        async def ask(path: VectorPath, **body: Any) -> dict[str, Any]:
            return await ask_vectors(pool, http, path, body, "u")

        vectors = await ask("embeddings", input="the lamp")
        assert vectors["model"] == "bert-mean"
        assert cosine(vectors["data"][0]["embedding"], pairs["mean"].embed(pairs["mean"].tokens("the lamp"))) > 0.999
        ranks = await ask("rerank", query="lamp", documents=["the lamp", "the sea"])
        assert ranks["model"] == "bert-rank" and len(ranks["results"]) == 2
        assert {slot.plan.type for slot in pool.slots} == {"embedding", "rerank"}
        with pytest.raises(ParleyError) as caught:
            async for _ in pool.local.generate(request("bert-mean")):
                pass
        assert caught.value.code == "invalid_request" and "writes no text" in caught.value.message
