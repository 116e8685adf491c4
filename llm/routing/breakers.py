"""The breakers of one backend: one of the server itself, and one of each model that has failed there. Pure.

A server with many models may have one that does not fit into its memory. That one is left alone; the others are not.
What says nothing of a model (nobody answers, the connection breaks, a proxy's 502) counts for the server.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from llm.routing import breaker
from llm.routing.breaker import Breaker

__all__ = ["Breakers"]

KEPT_MODELS = 128
"""Models with failures; of more, those that failed longest ago are forgotten. Clients make names up."""


@dataclass(slots=True)
class Breakers:
    """`model` is the name that is asked for there. Seconds are arguments."""

    server: Breaker = field(default_factory=Breaker)
    models: dict[str, Breaker] = field(default_factory=dict)
    """Only those that are not as new, the latest to fail last."""

    @property
    def closed(self) -> bool:
        """All of them: time changes nothing."""
        return self.server.open_until_s is None and all(one.open_until_s is None for one in self.models.values())

    def admits(self, model: str, now_s: float) -> bool:
        return self.refusing(model, now_s) is None

    def refusing(self, model: str, now_s: float) -> Breaker | None:
        """The breaker that lets no request for this model pass now, the one that waits longer."""
        both = (self.server, self.models[model]) if model in self.models else (self.server,)
        against = [one for one in both if not breaker.admits(one, now_s)]
        return max(against, key=lambda one: breaker.waits(one, now_s), default=None)

    def left_alone(self, now_s: float) -> tuple[tuple[str, Breaker], ...]:
        """Models that no request may go to now, though the server is there."""
        return tuple((name, one) for name, one in self.models.items() if breaker.state(one, now_s) == "open")

    def tried(self, model: str, now_s: float) -> bool:
        """A request is being sent; whether it is a trial."""
        if self.server.open_until_s is not None:
            self.server = breaker.tried(self.server, now_s)
        if model in self.models:
            self.models[model] = breaker.tried(self.models[model], now_s)
        return any(one.trial_until_s is not None for one in (self.server, self.models.get(model, Breaker())))

    def released(self, model: str) -> None:
        """A trial keeps nobody else away any more."""
        self.server = breaker.released(self.server)
        if model in self.models:
            self.models[model] = breaker.released(self.models[model])

    def succeeded(self, model: str) -> None:
        self.server = breaker.succeeded(self.server)
        self.models.pop(model, None)

    def server_failed(self, now_s: float, *, unreachable: bool = False, retry_after_s: float | None = None) -> None:
        self.server = breaker.failed(self.server, now_s, unreachable=unreachable, retry_after_s=retry_after_s)

    def silences(self, model: str) -> int:
        """How often in a row requests for this model have waited in vain."""
        return self.models[model].silences if model in self.models else 0

    def model_failed(
        self, model: str, now_s: float, *, silent: bool = False, retry_after_s: float | None = None
    ) -> None:
        """The server itself is well, for it has answered."""
        if not self.server.cooling:
            self.server = breaker.succeeded(self.server)
        known = self.models.pop(model, Breaker())
        self.models[model] = breaker.failed(known, now_s, silent=silent, retry_after_s=retry_after_s)
        while len(self.models) > KEPT_MODELS:
            del self.models[next(iter(self.models))]

    def probed(self, now_s: float) -> None:
        """It answered a question about itself."""
        self.server = breaker.probed(self.server, now_s)
