"""A model whose numbers are none (NaN), as of weights too large for half precision: an error, and no rubbish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader

from tests.llm.worker_process import RunningWorker, model_path, running_worker

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorker]:
    path = tmp_path_factory.mktemp("broken") / "broken.gguf"
    path.write_bytes(model_path().read_bytes())
    norm = next(tensor for tensor in GGUFReader(path, "r+").tensors if tensor.name == "output_norm.weight")
    norm.data[...] = np.nan
    norm.data.base.flush()
    with running_worker(model=path) as found:
        yield found


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0},
        {"temperature": 1.0, "seed": 3},
        {"logprobs": True, "top_logprobs": 2},
        {"response_format": {"type": "json_object"}},
        {"n": 3},
    ],
)
def test_a_reply_is_an_error_and_the_worker_lives(worker: RunningWorker, fields: dict[str, Any]) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 5, **fields}
    for _ in range(2):
        answer = worker.ask(CHAT, body)
        assert answer.status == 500 and "no numbers" in answer.body["error"]["message"]
    assert worker.ask("/health").status == 200
    worker.until(lambda: worker.statistics()["busy"] == 0)


def test_a_stream_is_one_too(worker: RunningWorker) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
    answer = worker.ask(CHAT, body)
    assert answer.status == 500 and "no numbers" in answer.body["error"]["message"]
