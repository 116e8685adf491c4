"""A model leaves its slot and comes back: its conversations go on, or are computed anew. Real workers."""

from __future__ import annotations

import json
import resource
import zlib
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path

import pytest

from llm.messages import GenerateRequest, Message, Sampling
from llm.settings import EngineSettings
from llm.stream import Finish, TextDelta, Usage
from tests.llm.slot_house import SlotHouse, request, slot_house
from tests.llm.tiny_mamba import write_mamba
from tests.llm.worker_process import model_path

STORY = "Once upon a time there was a small house by the sea, and in it lived a cat that could count to seven. "


def one_slot(tmp_path: Path, file: Path | None = None, **engine: object) -> AbstractAsyncContextManager[SlotHouse]:
    settings = EngineSettings(**{"ctx_size": 512, "parallel": 2, "voice_places": 1, "threads": 1, **engine})  # type: ignore[arg-type]
    file = file or model_path()
    return slot_house(tmp_path, ("a", "b"), file=file, slots=1, engine=settings, swap_patience_s=0.0)


def states(house: SlotHouse) -> list[Path]:
    return sorted((house.models.parent / "states").rglob("*.kv"))


async def ask(house: SlotHouse, *said: str, conversation: str | None = "kept", seed: int = 3) -> tuple[str, Usage]:
    """User and assistant by turns; (reply, usage)."""
    messages = tuple(Message("user" if n % 2 == 0 else "assistant", text) for n, text in enumerate(said))
    sampling = Sampling(temperature=0.8, seed=seed, max_tokens=12)
    text = ""
    asked = GenerateRequest(messages, "a", sampling, conversation=conversation)
    async with aclosing(house.router.generate(asked)) as events:
        async for event in events:
            text += event.text if isinstance(event, TextDelta) else ""
    assert isinstance(event, Finish) and event.usage is not None
    return text, event.usage


async def swap(house: SlotHouse) -> None:
    """Another model takes the only slot."""
    await house.reply(request("b"))
    assert house.slot("a") is None


async def unload(house: SlotHouse) -> None:
    """As when it was idle for too long."""
    slot = house.slot("a")
    assert slot is not None
    house.pool.unload(slot.number)
    await house.until(lambda: house.slot("a") is None)


async def test_a_conversation_goes_on_after_a_swap(tmp_path: Path) -> None:
    async with one_slot(tmp_path) as house:
        first, usage = await ask(house, STORY)
        second = (STORY, first, "And then?")
        unswapped, before = await ask(house, *second)
        await ask(house, STORY + "Something else.", conversation=None)
        await house.reply(request("b"))  # another model takes the only slot
        assert house.slot("a") is None and len(states(house)) == 2, "also of requests without a conversation"
        again, after = await ask(house, *second)
        assert again == unswapped
        assert after.prompt_tokens == before.prompt_tokens
        assert after.cached_tokens >= before.cached_tokens > usage.prompt_tokens
        assert len(states(house)) == 1, "the one that was asked for; the other one waits"
        await unload(house)
        assert len(states(house)) == 2
        await house.pool.local.forget("kept")
        assert len(states(house)) == 1
    assert not (tmp_path / "states").exists()


async def test_what_cannot_be_used_is_computed_anew(tmp_path: Path) -> None:
    async with one_slot(tmp_path) as house:
        text, first = await ask(house, STORY)
        await unload(house)
        (state,) = states(house)
        state.write_bytes(state.read_bytes()[:-1000])  # cut
        again, usage = await ask(house, STORY)
        assert (again, usage.cached_tokens, states(house)) == (text, 0, [])
        await unload(house)
        (state,) = states(house)
        noise = bytes(255 - byte for byte in state.read_bytes())  # as it was written, and yet nothing llama.cpp knows
        state.write_bytes(noise)
        note = state.with_suffix(".json")
        note.write_text(json.dumps(json.loads(note.read_text()) | {"checksum": zlib.crc32(noise)}))
        again, usage = await ask(house, STORY)
        assert (again, usage.cached_tokens, states(house)) == (text, 0, [])
        await unload(house)
        model = house.models / "a.gguf"
        weights = bytearray(model.read_bytes())
        weights[-4:] = b"\x00\x3c\x00\x3c"
        model.write_bytes(weights)  # another model of the same name and size
        _, usage = await ask(house, STORY)
        assert usage.cached_tokens == 0 and usage.prompt_tokens == first.prompt_tokens


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="Linux only")
async def test_a_full_disk_costs_only_the_state(tmp_path: Path) -> None:
    async with one_slot(tmp_path) as house:
        text, _ = await ask(house, STORY)
        slot = house.slot("a")
        assert slot is not None and slot.worker.pid is not None
        resource.prlimit(slot.worker.pid, resource.RLIMIT_FSIZE, (1000, 1000))
        await unload(house)
        assert not [path for path in (tmp_path / "states").rglob("*.*") if path.name != ".lock"]
        assert "it could not be written" in "".join(slot.worker.log_tail())
        assert (await ask(house, STORY))[0] == text


async def test_nothing_is_kept_where_that_is_not_wanted(tmp_path: Path) -> None:
    async with one_slot(tmp_path, states_mib=0) as house:
        await ask(house, STORY)
        await unload(house)
        assert states(house) == []


async def test_a_model_with_a_state_in_place_of_a_cache(tmp_path: Path) -> None:
    """Only whole states can be used: the next turn may continue one, another beginning is computed."""
    mamba = write_mamba(tmp_path / "mamba.gguf", model_path())
    async with one_slot(tmp_path, mamba) as house:
        text, _ = await ask(house, STORY)
        other, _ = await ask(house, "No. " + STORY, conversation="other")
        await unload(house)
        assert len(states(house)) == 2
        assert (await ask(house, "No. " + STORY, conversation="other"))[0] == other
        assert (await ask(house, STORY))[0] == text
