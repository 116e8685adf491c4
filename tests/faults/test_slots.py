"""Slots when things break: workers killed while loading or answering, a taken port, a model gone or damaged."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from llm.errors import LlmError, UnknownModel, WorkerDied
from llm.messages import Message
from llm.settings import EngineSettings
from llm.workers.process import WorkerState
from models.errors import ModelError, ModelUnreadable
from tests.llm.slot_house import SlotHouse, request, slot_house
from tests.ports import free_port_block


def kill(house: SlotHouse, model: str) -> int:
    slot = house.slot(model)
    assert slot is not None and slot.worker.pid is not None
    os.kill(slot.worker.pid, signal.SIGKILL)
    return slot.worker.pid


async def test_killed_while_loading_and_while_others_work(tmp_path: Path) -> None:
    async with slot_house(tmp_path) as house:
        await house.reply(request("a"))
        async with anyio.create_task_group() as group:
            group.start_soon(house.reply, request("b"))
            await house.until(lambda: (slot := house.slot("b")) is not None and slot.worker.pid is not None)
            kill(house, "b")
            assert await house.reply(request("a"))  # the other slot does not notice
        slot = house.slot("b")
        assert slot is not None and slot.worker.restarts == 1


async def test_killed_with_requests_in_line(tmp_path: Path) -> None:
    """Who was being answered is told; who waited in line is answered by the next worker."""
    async with slot_house(tmp_path) as house:
        told: list[LlmError] = []
        answered: list[str] = []
        begun = anyio.Event()

        async def one(number: int) -> None:
            try:
                answered.append(await house.reply(request("a", tokens=200, user=f"u{number}"), begun))
            except WorkerDied as error:
                told.append(error)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for number in range(8):
                    group.start_soon(one, number)
                await begun.wait()
                kill(house, "a")
        assert len(told) + len(answered) == 8 and len(told) <= 2
        assert house.pool.views()[0].phase == "ready"


async def test_killed_while_it_reads_the_prompt(tmp_path: Path) -> None:
    """Nothing was heard of the answer, so the next worker is asked; once something was, its reader is told."""
    async with slot_house(tmp_path, engine=EngineSettings(ctx_size=512, parallel=2, threads=1)) as house:
        await house.reply(request("a"))
        long = Message("user", "and then " * 120)
        begun = anyio.Event()
        outcome: list[object] = []

        async def one() -> None:
            try:
                outcome.append(await house.reply(replace(request("a"), messages=(long,)), begun))
            except WorkerDied as error:
                outcome.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(one)
            await house.until(lambda: house.pool.views()[0].running == 1 or bool(outcome))
            kill(house, "a")
        assert not isinstance(outcome[0], WorkerDied) or begun.is_set()
        assert await house.reply(request("a"))


async def test_a_port_that_is_taken_costs_a_slot_and_not_the_model(tmp_path: Path) -> None:
    base = free_port_block(8)
    with socket.socket() as other:
        other.bind(("127.0.0.1", base))
        other.listen()
        async with slot_house(tmp_path, model="a", port_base=base) as house:
            assert await house.reply(request())
            slot = house.slot("a")
            assert slot is not None and (slot.number, slot.port) == (2, base + 1)
            assert house.pool.views()[0].phase == "blocked" and house.pool.views()[1].pinned
            assert await house.reply(request("b"))


async def test_a_model_that_is_gone_is_said_and_its_slot_comes_back(tmp_path: Path) -> None:
    async with slot_house(tmp_path) as house:
        await house.reply(request("a"))
        await house.reply(request("b"))
        (house.models / "b.gguf").unlink()
        kill(house, "b")
        with pytest.raises(WorkerDied) as caught:
            await house.reply(request("b"))
        assert "b.gguf" in caught.value.hint or "b.gguf" in caught.value.message
        await house.until(lambda: house.slot("b") is None)
        with pytest.raises((UnknownModel, ModelError)):
            await house.reply(request("b"))
        assert await house.reply(request("a"))
        assert await house.reply(request("c"))  # in the slot that b had
        slot = house.slot("c")
        assert slot is not None and slot.number == 2


async def test_a_damaged_model_fails_its_own_requests_only(tmp_path: Path) -> None:
    async with slot_house(tmp_path, ("a", "bad")) as house:
        whole = (house.models / "bad.gguf").read_bytes()
        (house.models / "bad.gguf").write_bytes(whole.replace(b"blk.0.attn_q.weight", b"blk.0.attn_z.weight"))
        failures: list[WorkerDied] = []

        async def ask() -> None:
            with pytest.raises(WorkerDied) as caught:
                await house.reply(request("bad"))
            failures.append(caught.value)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask)
            assert await house.reply(request("a"))
        await house.until(lambda: house.slot("bad") is None)
        said = [found for number in (1, 2) if (found := house.pool.failures.by_slot.get(number)) is not None]
        assert [(name, "attn_q" in error.hint) for name, error in said] == [("bad", True)]
        assert len(failures) == 3 and all("attn_q" in error.hint for error in failures)
        assert len({id(error) for error in failures}) == 3
        with pytest.raises(WorkerDied):  # at once: it is not tried again for a while
            await house.reply(request("bad"))
        assert house.slot("bad") is None or house.slot("bad").worker.state is not WorkerState.READY  # type: ignore[union-attr]


async def test_a_file_that_is_no_model_is_not_ordered(tmp_path: Path) -> None:
    async with slot_house(tmp_path) as house:
        cut = house.models / "cut.gguf"
        cut.write_bytes((house.models / "a.gguf").read_bytes()[:5000])
        with pytest.raises(ModelUnreadable):
            await house.pool.plan(str(cut))
