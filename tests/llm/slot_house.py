"""A pool of slots with real workers and copies of one small model, for tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import anyio

from llm.generate import Router
from llm.messages import GenerateRequest, Message, Priority, Sampling
from llm.settings import EngineSettings, LlmSettings
from llm.slots.pool import SlotPool
from llm.slots.slot import Slot
from llm.stream import Finish, TextDelta
from models.clock import SystemClock
from models.store import Store
from tests.llm.worker_process import model_path
from tests.ports import free_port_block

__all__ = ["SlotHouse", "request", "slot_house", "small_model"]

SMALL = EngineSettings(ctx_size=256, parallel=2, voice_places=1, threads=1)


def small_model() -> Path:
    """The smallest model there is: a worker with it starts in a second."""
    tests = Path(os.environ.get("PARLEY_TEST_MODELS", Path(__file__).parents[3] / "shared" / "testdata"))
    tiny = tests / "llm" / "stories260K-plainchat-f32.gguf"
    return tiny if tiny.is_file() else model_path()


def request(
    model: str = "", *, tokens: int = 4, user: str = "u", priority: Priority = Priority.INTERACTIVE
) -> GenerateRequest:
    """It writes exactly so many tokens: those that would end it are forbidden."""
    bias = {token: -100.0 for token in range(8)}
    sampling = Sampling(temperature=0.0, max_tokens=tokens, logit_bias=bias)
    return GenerateRequest((Message("user", "tell me more"),), model, sampling, user=user, priority=priority)


@dataclass(frozen=True, slots=True)
class SlotHouse:
    pool: SlotPool
    router: Router
    models: Path

    async def reply(self, asked: GenerateRequest, begun: anyio.Event | None = None) -> str:
        """`begun` is set with the first text."""
        text = ""
        async with aclosing(self.router.generate(asked)) as events:
            async for event in events:
                text += event.text if isinstance(event, TextDelta) else ""
                if text and begun is not None:
                    begun.set()
        assert isinstance(event, Finish)
        return text

    def slot(self, model: str) -> Slot | None:
        return next((slot for slot in self.pool.slots if slot.model.name == model), None)

    async def until(self, check: object, within_s: float = 60.0) -> None:
        assert callable(check)
        with anyio.fail_after(within_s):
            while not check():
                await anyio.sleep(0.01)


@asynccontextmanager
async def slot_house(
    home: Path,
    names: Sequence[str] = ("a", "b", "c"),
    *,
    port_base: int = 0,
    file: Path | None = None,
    **settings: object,
) -> AsyncIterator[SlotHouse]:
    """With a copy of `file`, or of a small model, for each name in the store. Nothing is loaded unless `model` says
    so.
    """
    folder = home / "models"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(file or small_model(), folder / f"{name}.gguf")
    base = port_base or free_port_block(8)
    chosen = LlmSettings(**{"model": "none", "engine": SMALL, "slot_port_base": base, **settings})  # type: ignore[arg-type]
    async with aiohttp.ClientSession() as http, anyio.create_task_group() as group:
        pool = SlotPool(chosen, Store(home), SystemClock(), http)
        router = Router(lambda: pool.backends, "")
        await group.start(pool.run)
        yield SlotHouse(pool, router, folder)
        group.cancel_scope.cancel()
