"""Parleys that have each other as backends: a request goes round once, and no list of models grows."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from llm.errors import UnknownModel
from llm.remote.via import MOST, OWN_ID, came_through, header_value
from tests.parley_process import ADMIN_KEY, ParleyProcess, running_parley

ITSELF = f"""
[[backends]]
name = "peer"
type = "openai"
base_url = "http://127.0.0.1:OWN_PORT/v1"
api_key = "{ADMIN_KEY}"
model = "nowhere"
"""


@pytest.fixture(scope="module")
def parley(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ParleyProcess]:
    """It has itself as a backend, which it asks for a model that nobody has."""
    with running_parley(tmp_path_factory.mktemp("loop"), config=ITSELF) as process:
        yield process


def get(parley: ParleyProcess, path: str) -> Any:
    request = urllib.request.Request(parley.base_url + path, headers=parley.headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def test_a_request_that_comes_back_is_refused(parley: ParleyProcess) -> None:
    for path, asked in (
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/embeddings", {"input": "hi"}),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            parley.post(path, {"model": "nowhere", **asked})
        with refused.value as answer:
            assert answer.code == 404
            assert json.loads(answer.read())["error"]["code"] == "model_not_found"


def test_what_comes_back_is_not_listed_again(parley: ParleyProcess) -> None:
    deadline = time.monotonic() + 60
    while not any(row["name"] == "peer" and row["healthy"] for row in get(parley, "/admin/api/backends")["backends"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    rows = get(parley, "/v1/models")["data"]
    ids = [row["id"] for row in rows]
    assert ids and len(ids) == len(set(ids)) and all(len(row["parley_via"]) == 1 for row in rows)


def test_what_a_request_came_through_is_told_to_the_next() -> None:
    assert header_value() == OWN_ID
    with came_through("a, b"):
        assert header_value() == f"a,b,{OWN_ID}"
    assert header_value() == OWN_ID
    for circle in (f"a,{OWN_ID}", ",".join("abcdefghij"[: MOST + 1])):
        with pytest.raises(UnknownModel), came_through(circle):
            pass
