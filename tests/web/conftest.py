from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scripted.process import ScriptedProcess
from tests.web.house import House, house


@pytest.fixture
def service(scripted_service: ScriptedProcess) -> ScriptedProcess:
    """The scripted recogniser, model and voice, quick and with a clean sheet."""
    scripted_service.reset()
    scripted_service.script(stt_delay_ms=10, first_token_ms=10, tokens_per_s=400, tts_delay_ms=10)
    return scripted_service


@pytest.fixture
async def home(tmp_path: Path, service: ScriptedProcess) -> AsyncIterator[House]:
    """The whole application around the scripted service, without a model of its own."""
    async with house(tmp_path, service.parley_config('[llm]\nmodel = "none"\n')) as found:
        yield found
