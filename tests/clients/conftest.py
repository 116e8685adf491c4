"""OpenAI's own client of a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.parley_process import ParleyProcess
from tests.scripted.process import ScriptedProcess


@pytest.fixture
def client(scripted_parley: ParleyProcess, service: ScriptedProcess) -> Iterator[OpenAI]:
    """`service` is the module's: the scripted service, told how quick to be."""
    with OpenAI(
        base_url=f"{scripted_parley.base_url}/v1", api_key=scripted_parley.admin_key, max_retries=0
    ) as client:
        yield client
