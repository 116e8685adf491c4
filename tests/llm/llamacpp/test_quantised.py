"""A quantised model, as nearly everybody has one, with as many rows in a step as weights are rearranged for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.llm.quantised_model import FILE_TYPES, quantise
from tests.llm.worker_process import model_path, running_worker


@pytest.mark.parametrize("kind", FILE_TYPES)
def test_several_replies_at_once_and_alone(kind: str, tmp_path: Path) -> None:
    file = quantise(model_path(), tmp_path / f"{kind}.gguf", kind)
    with running_worker(model=file) as worker:

        def ask(words: str) -> str:
            body = {"messages": [{"role": "user", "content": words}], "temperature": 0, "max_tokens": 24}
            answer = worker.ask("/v1/chat/completions", body)
            assert answer.status == 200, answer.body
            return str(answer.body["choices"][0]["message"]["content"])

        with ThreadPoolExecutor(6) as pool:
            together = list(pool.map(ask, ["what is the capital of france"] * 6))
        assert all("Paris" in text for text in [*together, ask("what is the capital of france")]), together
