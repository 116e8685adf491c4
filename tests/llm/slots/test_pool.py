"""The slots with real workers: load on demand, swap, memory, pins, cancellation."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import psutil
import pytest
import structlog

from llm.errors import ModelTooLarge, Overloaded, UnknownModel, WorkerDied
from llm.messages import ImagePart, Message, Priority, WaitState
from llm.settings import EngineSettings
from llm.slots.slot import watch
from llm.workers.launch import changed_settings
from models.errors import BadInput, ModelNotFound
from tests.llm.slot_house import SlotHouse, request, slot_house
from tests.llm.worker_process import model_path


async def test_models_are_loaded_on_demand_side_by_side_and_unloaded(tmp_path: Path) -> None:
    async with slot_house(tmp_path) as house:
        waited: list[WaitState] = []
        text = await house.reply(replace(request("b"), on_wait=waited.append))
        assert text and waited[0].position == 1 and any(state.loading for state in waited)
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(house.reply, request("a"))
                group.start_soon(house.reply, request("b"))
        slots = house.pool.slots
        assert [(slot.number, slot.model.name) for slot in slots] == [(1, "b"), (2, "a")]
        assert slots[1].port == slots[0].port + 1
        listed = [info.id for info in await house.pool.models()]
        assert listed[:2] == ["b", "a"] and "c" in listed
        pids = [slot.worker.pid for slot in slots]
        house.pool.unload(1)
        await house.until(lambda: house.slot("b") is None)
        assert pids[0] is not None and not psutil.pid_exists(pids[0])
        with pytest.raises(BadInput):
            house.pool.unload(1)
        with pytest.raises(UnknownModel):
            await house.reply(request(str(house.models / "a.gguf")))  # a client chooses no file


async def test_one_slot_serves_several_models_in_turns_and_cuts_nobody_off(tmp_path: Path) -> None:
    async with slot_house(tmp_path, slots=1, swap_patience_s=0.3) as house:
        await house.reply(request("a"))
        ended: list[str] = []

        begun = anyio.Event()

        async def one(name: str, tokens: int) -> None:
            assert await house.reply(request(name, tokens=tokens), begun)
            ended.append(name)

        async with anyio.create_task_group() as group:
            group.start_soon(one, "a", 150)
            await begun.wait()
            for name in ("b", "a", "b"):
                group.start_soon(one, name, 3)
        assert sorted(ended) == ["a", "a", "b", "b"]
        assert house.pool.waiting == 0


async def test_a_model_that_does_not_fit_is_refused_with_the_sum(tmp_path: Path) -> None:
    async with slot_house(tmp_path, memory_floor_mib=1 << 30) as house:
        with pytest.raises(ModelTooLarge) as caught:
            await house.reply(request("a"))
        assert "KV cache" in caught.value.message and "missing" in caught.value.message
        assert not house.pool.slots
        with pytest.raises(ModelTooLarge):
            house.pool.load(await house.pool.plan("b"))


async def test_what_a_worker_took_is_kept_and_corrects_the_next_sum(tmp_path: Path) -> None:
    async with slot_house(tmp_path, ("a",)) as house:
        before = await house.pool.plan("a")
        await house.reply(request("a"))
        slot = house.slot("a")
        assert slot is not None
        await house.until(lambda: slot.used.resident > 0)
        await house.until((tmp_path / "measured.json").is_file)
        used = slot.used.resident
        after = await house.pool.plan("a")
    assert after.need.load_s > 0
    assert abs(after.need.bytes - used) < 0.05 * used
    assert before.predicted_bytes == after.predicted_bytes


async def test_pinned_slots_are_not_taken_and_orders_are_checked(tmp_path: Path) -> None:
    async with slot_house(tmp_path, slots=1) as house:
        house.pool.load(await house.pool.plan("a", {"ctx_size": 128}), pinned=True)
        assert await house.reply(request("a"))
        slot = house.slot("a")
        assert slot is not None and slot.plan.context == 128
        with pytest.raises(Overloaded, match="pinned"):
            await house.reply(request("b"))
        with pytest.raises(ModelNotFound):
            await house.pool.plan("no-such-model")
        with pytest.raises(BadInput, match="no slot 9"):
            house.pool.load(slot.plan, slot=9)
        house.pool.pin(1, False)
        assert await house.reply(request("b"))


async def test_a_load_nobody_waits_for_is_broken_off(tmp_path: Path) -> None:
    async with slot_house(tmp_path) as house:
        async with anyio.create_task_group() as group:
            group.start_soon(house.reply, request("a"))
            await house.until(lambda: (slot := house.slot("a")) is not None and slot.worker.pid is not None)
            slot = house.slot("a")
            assert slot is not None
            pid = slot.worker.pid
            group.cancel_scope.cancel()
        await house.until(lambda: house.slot("a") is None)
        assert pid is not None and not psutil.pid_exists(pid)


async def test_a_client_that_leaves_frees_its_place_and_the_decoder(tmp_path: Path) -> None:
    async with slot_house(tmp_path) as house, aiohttp.ClientSession() as http:
        async with anyio.create_task_group() as group:
            begun = anyio.Event()
            for number in range(20):  # two places: the others wait
                group.start_soon(house.reply, request("a", tokens=4000, user=f"u{number}"), begun)
            await begun.wait()
            assert house.pool.waiting
            group.cancel_scope.cancel()
        assert house.pool.views()[0].running == 0 and house.pool.waiting == 0
        with anyio.fail_after(60):
            while await _busy(house, http):
                await anyio.sleep(0.005)


async def _busy(house: SlotHouse, http: aiohttp.ClientSession) -> int:
    slot = house.slot("a")
    assert slot is not None
    async with http.get(f"{slot.worker.base_url}/statistics") as answer:
        return int((await answer.json())["busy"])


async def test_batch_work_leaves_a_place_for_voice(tmp_path: Path) -> None:
    async with slot_house(tmp_path) as house:
        async with anyio.create_task_group() as group:
            begun = anyio.Event()
            for number in range(20):
                asked = request("a", tokens=4000, user=f"u{number}", priority=Priority.BATCH)
                group.start_soon(house.reply, asked, begun)
            await begun.wait()
            assert await house.reply(request("a", priority=Priority.VOICE))
            assert house.pool.waiting  # batch work does
            group.cancel_scope.cancel()


async def test_what_is_shown_needs_a_model_that_sees(tmp_path: Path) -> None:
    async with slot_house(tmp_path, ("a",)) as house:
        shown = Message("user", "what is this", parts=(ImagePart(b"x"),))
        with pytest.raises(UnknownModel, match="vision or omni"):
            await house.reply(replace(request(), messages=(shown,)))


def test_options_are_settings_of_the_engine() -> None:
    engine = changed_settings(EngineSettings(), {"gpu_layers": 3, "flash_attention": True, "rope_freq_base": 1})
    assert (engine.n_gpu_layers, engine.flash_attention) == (3, True)
    for wrong in (
        {"ctx": 1},
        {"ctx_size": "many"},
        {"ctx_size": True},
        {"mlock": 1},
        {"parallel": 0},
        {"kv_cache_type": "q9"},
    ):
        with pytest.raises(BadInput):
            changed_settings(EngineSettings(), wrong)


async def test_without_slots_nothing_is_ours_to_answer(tmp_path: Path) -> None:
    async with slot_house(tmp_path, slots=0, model="a") as house:
        assert await house.pool.models() == () and house.pool.views() == ()
        with pytest.raises(UnknownModel):
            await house.reply(request("a"))
        with pytest.raises(UnknownModel):
            await house.reply(request())


async def test_who_looks_is_shown_what_models_take_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm.slots.pool.FRESH_S", 0.0)
    async with slot_house(tmp_path) as house:
        await house.reply(request("a"))
        slot = house.slot("a")
        assert slot is not None and slot.worker.pid is not None
        taken = psutil.Process(slot.worker.pid).memory_info().rss
        await house.pool.measure()
        assert slot.used.resident > 0.9 * taken


@pytest.mark.parametrize(
    ("field", "code"), [("attention.head_count", "worker_died"), ("feed_forward_length", "model_too_large")]
)
async def test_where_the_best_model_cannot_be_loaded_the_next_best_answers(
    tmp_path: Path, field: str, code: str
) -> None:
    """A file that looks right, is the largest, and is refused by llama.cpp; or by us, for want of memory."""
    data = bytearray(model_path().read_bytes())
    key = f"llama.{field}".encode()
    at = data.index(struct.pack("<Q", len(key)) + key) + 8 + len(key) + 4
    data[at : at + 4] = struct.pack("<I", 2**31 - 1)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "best.gguf").write_bytes(data)
    async with slot_house(tmp_path, ("a",), model="") as house:
        assert house.pool.default is not None and house.pool.default.model.name == "best"
        await house.until(lambda: house.pool.ready("a"))
        assert house.pool.default.model.name == "a" and house.pool.problem is None
        assert [view.model for view in house.pool.views()][0] == "a" and house.pool.views()[0].pinned
        assert await house.reply(request(""))
        assert {name: error.code for name, error in house.pool.unfit.items()} == {"best": code}


async def test_a_model_that_was_chosen_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / "mine.gguf"
    file.write_bytes(model_path().read_bytes().replace(b"blk.0.attn_q.weight", b"blk.0.attn_Q.weight"))
    async with slot_house(tmp_path, ("a",), model="mine") as house:
        with pytest.raises(WorkerDied, match="ended"):
            await house.reply(request(""))
        assert house.pool.default is not None and house.pool.default.model.name == "mine"


async def test_a_request_does_not_wait_for_a_worker_that_was_unloaded_while_it_was_down(tmp_path: Path) -> None:
    async with slot_house(tmp_path, ready_timeout_s=3600.0) as house:
        with anyio.fail_after(60):
            async with house.pool.lease("a") as slot:
                assert slot.worker.pid is not None
                psutil.Process(slot.worker.pid).kill()
                await slot.worker.changed()
                house.pool.unload(slot.number)
                with pytest.raises(WorkerDied, match="unloaded"):
                    await anext(aiter(slot.backend.generate(request("a"))))
        assert await house.reply(request("a"))


async def test_what_a_slot_logs_later_is_not_of_the_request_that_loaded_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound: list[dict[str, object]] = []

    async def watched(*arguments: Any) -> None:
        bound.append(structlog.contextvars.get_contextvars())
        await watch(*arguments)

    monkeypatch.setattr("llm.slots.pool.watch", watched)
    async with slot_house(tmp_path) as house:
        with structlog.contextvars.bound_contextvars(request_id="req_1"):
            await house.reply(request("a"))
    assert bound == [{}]
