"""A backend that is measured: what passes through it is told to Measuring and to the metrics, and is not changed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Any

from llm.local_names import UNNAMED
from llm.measuring.statistics import Measured, Measuring
from llm.messages import GenerateRequest, WaitState
from llm.port import Backend, BackendConfig, ModelInfo, SlotTold, VectorPath
from llm.stream import Finish, Relayed, StreamEvent
from models.clock import Clock
from models.errors import ParleyError
from models.metrics import Metrics

__all__ = ["MeasuredBackend"]

_LABELS = ("backend", "model")


class MeasuredBackend:
    """Everything else is the backend's own. Metrics and figures are by backend and model, never by user."""

    def __init__(self, backend: Backend, measuring: Measuring, metrics: Metrics, clock: Clock) -> None:
        self.name: str = backend.name
        self.config: BackendConfig = backend.config
        self._backend, self._measuring, self._clock = backend, measuring, clock
        self._listed: tuple[str, ...] = ()
        self._requests = metrics.counter("parley_backend_requests_total", "Replies asked of a backend", _LABELS)
        self._errors = metrics.counter("parley_backend_errors_total", "Replies that failed", (*_LABELS, "code"))
        self._tokens = metrics.counter("parley_backend_tokens_total", "Tokens of replies", _LABELS)
        self._first = metrics.histogram("parley_backend_first_token_seconds", "Until a reply began", _LABELS)
        self._kept: dict[str, tuple[Any, ...]] = {}
        """The metrics of a label: to look them up costs more than to count. As few as `_label` gives."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        now = self._clock.now
        begun_s, first = now(), True
        label = self._label(request.model)
        requests, tokens, first_token = self._metrics_of(label)
        requests.inc()
        told = request.on_wait
        with self._measured(label, begun_s) as measured:

            def waits(state: WaitState) -> None:
                if state.position or state.loading:  # else it is being read
                    measured.waits(now())
                if told is not None:
                    told(state)

            if self.config.type == "slot":  # nobody else has a line to tell of
                request = replace(request, on_wait=waits)
            async with aclosing(self._backend.generate(request)) as events:
                async for event in events:
                    if isinstance(event, Finish):
                        usage = event.usage
                        count = usage.completion_tokens if usage else 0
                        read = (usage.prompt_tokens, count, usage.cached_tokens) if usage else (0, 0, 0)
                        measured.finished(now(), *read)
                        tokens.inc(count)
                    else:
                        measured.piece(now(), event.frames if isinstance(event, Relayed) else 1)
                        if first and request.relay != "whole":
                            first = False
                            first_token.observe(now() - begun_s)
                    yield event

    async def vectors(
        self, path: VectorPath, body: Mapping[str, Any], user: str = "", on_slot: SlotTold | None = None
    ) -> dict[str, Any]:
        label = self._label(str(body.get("model") or ""))
        self._metrics_of(label)[0].inc()
        with self._measured(label, self._clock.now()) as measured:
            answer = await self._backend.vectors(path, body, user, on_slot)
            measured.finished(self._clock.now(), int(answer.get("usage", {}).get("prompt_tokens") or 0), 0, 0)
            return answer

    @contextmanager
    def _measured(self, label: str, begun_s: float) -> Iterator[Measured]:
        """What ends without `finished` or an error was cancelled."""
        measured = self._measuring.begin(self.name, label, begun_s)
        try:
            yield measured
        except ParleyError as error:
            measured.failed(error.code)
            self._errors.labels(self.name, label, error.code).inc()
            raise
        finally:
            measured.cancelled()

    def _metrics_of(self, label: str) -> tuple[Any, ...]:
        """Requests, tokens, seconds to the first token."""
        kept = self._kept.get(label)
        if kept is None:
            kept = self._kept[label] = tuple(
                metric.labels(self.name, label) for metric in (self._requests, self._tokens, self._first)
            )
        return kept

    def _label(self, asked: str) -> str:
        """Names that clients make up are no labels: there would be no end of them. The default is listed first."""
        if asked in self._listed:
            return asked
        if asked not in ("", "default", self.name, self.config.model):
            return "other"
        named = "" if self.config.model == UNNAMED else self.config.model
        return named or (self._listed[0] if self._listed else "default")

    async def health(self) -> bool:
        return await self._backend.health()

    async def models(self) -> tuple[ModelInfo, ...]:
        found = await self._backend.models()
        self._listed = tuple(info.id for info in found)
        return found

    async def prefill(self, request: GenerateRequest) -> None:
        """No reply: it is not counted."""
        await self._backend.prefill(request)

    async def forget(self, conversation: str) -> None:
        await self._backend.forget(conversation)

    async def aclose(self) -> None:
        await self._backend.aclose()
