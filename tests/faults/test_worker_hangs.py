"""A worker that is alive and says nothing (SIGSTOP; a deadlock looks the same) is noticed, ended and replaced."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from llm.errors import WorkerDied
from llm.messages import Message
from llm.settings import EngineSettings
from tests.llm.slot_house import request, slot_house
from tests.llm.worker_process import model_path


async def test_a_hung_worker_is_replaced_and_its_requests_are_told(tmp_path: Path) -> None:
    """Who has heard something is told; who has heard nothing is answered by the next worker."""
    async with slot_house(tmp_path, ("a",), hang_timeout_s=3.0) as house:
        await house.reply(request("a"))
        slot = house.slot("a")
        assert slot is not None and slot.worker.pid is not None
        first, begun = slot.worker.pid, anyio.Event()
        outcome: list[object] = []

        async def listens() -> None:
            try:
                outcome.append(await house.reply(request("a", tokens=230), begun))
            except WorkerDied as error:
                outcome.append(error)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(listens)
                await begun.wait()
                os.kill(first, signal.SIGSTOP)
                assert await house.reply(request("a", user="other"))
        assert slot.worker.pid != first and slot.worker.restarts == 1
        (told,) = outcome
        assert isinstance(told, WorkerDied | str), "the end, or the whole reply where that was quicker"
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)


async def test_a_long_prompt_is_no_hang(tmp_path: Path) -> None:
    engine = EngineSettings(ctx_size=1024, parallel=2, threads=1)
    async with slot_house(tmp_path, ("a",), file=model_path(), engine=engine, hang_timeout_s=3.0) as house:
        await house.reply(request("a"))
        slot = house.slot("a")
        assert slot is not None
        first = slot.worker.pid
        async with anyio.create_task_group() as group:
            for number in range(6):  # prompts alone, for some seconds
                prompt = Message("user", f"{number} " + "and then the cat went to the sea " * 80)
                group.start_soon(house.reply, replace(request("a", tokens=1, user=str(number)), messages=(prompt,)))
        assert slot.worker.pid == first and slot.worker.restarts == 0
