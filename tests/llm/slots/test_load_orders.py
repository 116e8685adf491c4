"""Orders with real workers: options count when they have worked, are checked before, and bad ones change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm.errors import LoadReplaced, ModelTooLarge, WorkerDied
from llm.slots.errors import not_started
from models.errors import BadInput
from tests.llm.slot_house import request, slot_house
from tests.llm.tiny_parts import write_lora, write_projector

BROKEN = {"rope_scaling": "linear", "ctx_size": 16_000_000, "kv_budget_mib": 900_000}


async def test_a_load_that_is_refused_changes_nothing_for_others(tmp_path: Path) -> None:
    async with slot_house(tmp_path) as house:
        with pytest.raises(ModelTooLarge):
            house.pool.load(await house.pool.plan("a", BROKEN))
        assert await house.reply(request("a"))


async def test_a_load_that_fails_changes_nothing_for_others(tmp_path: Path) -> None:
    """By its header it is a projector; that it is for another model is said by llama.cpp."""
    async with slot_house(tmp_path) as house:
        odd = write_projector(tmp_path / "odd.gguf", 8)
        house.pool.load(await house.pool.plan("a", {"ctx_size": 128}))
        assert await house.reply(request("a"))
        order = house.pool.load(await house.pool.plan("a", {"mmproj": str(odd)}))
        await house.until(lambda: house.slot("a") is not None and not house.slot("a").proven)  # type: ignore[union-attr]
        assert await house.reply(request("a"))  # asked while that is being tried
        (lost,) = house.pool.failures.lost_orders
        assert lost.order == order and isinstance(lost.error, WorkerDied) and "given up" in lost.error.hint
        slot = house.slot("a")
        assert slot is not None and slot.plan.context == 128


async def test_other_options_load_it_anew_and_the_same_ones_do_not(tmp_path: Path) -> None:
    async with slot_house(tmp_path, slots=2) as house:
        house.pool.load(await house.pool.plan("a", {"ctx_size": 128}))
        assert await house.reply(request("a"))
        before = house.slot("a")
        house.pool.load(await house.pool.plan("a", {"ctx_size": 128}), slot=1)
        house.pool.load(await house.pool.plan("a", {"ctx_size": 128}))
        assert house.slot("a") is before and house.pool.views()[0].phase == "ready"
        house.pool.load(await house.pool.plan("a", {"ctx_size": 192}))
        await house.until(lambda: (slot := house.slot("a")) is not None and slot.plan.context == 192 and slot.proven)
        house.pool.unload(1)
        await house.until(lambda: house.slot("a") is None)
        assert await house.reply(request("a"))  # it keeps what has worked
        slot = house.slot("a")
        assert slot is not None and slot.plan.context == 192


async def test_of_many_orders_the_latest_is_loaded_and_the_others_are_shown_as_lost(tmp_path: Path) -> None:
    async with slot_house(tmp_path, slots=2) as house:
        pids = set()
        plans = [await house.pool.plan(name) for name in ("a", "b")]
        orders = [house.pool.load(plans[number % 2], slot=2) for number in range(12)]
        await house.until(lambda: (slot := house.slot("b")) is not None and slot.proven)
        pids |= {slot.worker.restarts for slot in house.pool.slots}
        assert [lost.order for lost in house.pool.failures.lost_orders] == orders[:-1] and pids == {0}
        assert all(isinstance(lost.error, LoadReplaced) for lost in house.pool.failures.lost_orders)


async def test_the_default_model_comes_back_pinned_after_an_unload(tmp_path: Path) -> None:
    async with slot_house(tmp_path, slots=2, model="a") as house:
        assert await house.reply(request())
        house.pool.unload(1, at_once=True)
        await house.until(lambda: house.slot("a") is None)
        assert await house.reply(request())
        slot = house.slot("a")
        assert slot is not None and house.pool.views()[slot.number - 1].pinned
        house.pool.pin(slot.number, False)
        house.pool.unload(slot.number, at_once=True)
        await house.until(lambda: house.slot("a") is None)
        assert await house.reply(request())  # but not if somebody took the pin out
        assert not any(view.pinned for view in house.pool.views())


async def test_options_that_cannot_work_are_refused_with_a_hint(tmp_path: Path) -> None:
    async with slot_house(tmp_path) as house:
        outside = tmp_path / "outside.jinja"
        outside.write_text("{{ messages[0].content }}")
        (house.models / "secret.txt").write_text("root:x:0:0")
        (house.models / "link.jinja").symlink_to(outside)
        (house.models / "broken.jinja").write_text("{% for m in %}")
        other = write_lora(tmp_path / "other.gguf", house.models / "a.gguf")
        other.write_bytes(other.read_bytes().replace(b"attn_output.weight.lora", b"attn_outpuz.weight.lora"))
        for options, param in (
            ({"lora": "/nope.gguf"}, "lora"),
            ({"lora": str(other)}, "lora"),
            ({"lora": f"{house.models}/b.gguf"}, "lora"),
            ({"lora": f"{house.models}/b.gguf=much"}, "lora"),
            ({"lora": f"{house.models}/b.gguf=nan"}, "lora"),
            ({"lora": f"{house.models}/b.gguf=1e40"}, "lora"),
            ({"mmproj": "/nope.gguf"}, "mmproj"),
            ({"mmproj": f"{house.models}/b.gguf"}, "mmproj"),
            ({"chat_template": "/etc/passwd"}, "chat_template"),
            ({"chat_template": str(outside)}, "chat_template"),
            ({"chat_template": f"{house.models}/../outside.jinja"}, "chat_template"),
            ({"chat_template": f"{house.models}/link.jinja"}, "chat_template"),
            ({"chat_template": f"{house.models}/secret.txt"}, "chat_template"),
            ({"chat_template": f"{house.models}/broken.jinja"}, "chat_template"),
            ({"chat_template": f"{house.models}/a.gguf"}, "chat_template"),
            ({"tensor_split": "a,b"}, "tensor_split"),
            ({"tensor_split": "0,0"}, "tensor_split"),
            ({"load_bits": 4}, "load_bits"),
            ({"ctx_size": 10**8}, "ctx_size"),
            ({"n_ctx": 10**8}, "ctx_size"),
            ({"threads": 100_000}, "threads"),
            ({"parallel": 300}, "parallel"),
            ({"kv_cache_type": "q4_0", "flash_attention": False}, "flash_attention"),
            ({"engine": "zz"}, "engine"),
            ({"state_dir": "/etc"}, "state_dir"),
        ):
            with pytest.raises(BadInput) as caught:
                await house.pool.plan("a", options)
            assert caught.value.param == param and caught.value.hint, options
        good = house.models / "good.jinja"
        good.write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
        house.pool.load(await house.pool.plan("a", {"chat_template": str(good)}))
        assert await house.reply(request("a"))


@pytest.mark.parametrize("tried_on", [False, True])
def test_what_is_said_of_a_worker_that_does_not_start_is_true(tried_on: bool) -> None:
    plain = not_started(WorkerDied("worker slot-2 ended by SIGKILL"), tried_on)
    assert "is being started again" not in plain.hint and "memory" in plain.hint
    assert ("tried on" in plain.hint, "given up" in plain.hint) == (tried_on, not tried_on)
    assert not_started(WorkerDied("ended", hint="last log lines: x")).hint.startswith("last log lines: x; ")
