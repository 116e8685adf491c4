"""Figures of the running server: made where they arise, read at GET /metrics in the format of Prometheus.

One `Metrics` is made by the composition root and passed to whoever has something to count. Asking for a figure again
gives the same one, so parts that are made anew need not know of each other:

    turns = metrics.counter("parley_turns_total", "Turns that are over", ("status",))
    turns.labels("completed").inc()
    metrics.gauge("parley_sessions_connected", "Voice sessions with a connection", lambda: hub.live)

Names begin with parley_, are in base units (seconds, bytes) and counters end in _total, as Prometheus has it. A label
holds one of few values: a model, a stage, an error's code; never a session, a user, or anything that somebody said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

__all__ = ["LATENCY_S", "Metrics"]

LATENCY_S = (0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Buckets for what a person waits for: fine below a second, where it matters."""

Reading = float | Iterable[tuple[Sequence[str], float]]
"""One value, or (label values, value) of each."""


class Metrics:
    """Counting is thread-safe and takes microseconds; nothing here awaits."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._gauges: dict[str, _Gauge] = {}

    def counter(self, name: str, help: str, labels: Sequence[str] = ()) -> Counter:
        """What only grows. Raises ValueError for a name that is another kind of figure already."""
        if name not in self._counters:
            self._counters[name] = Counter(name, help, labels, registry=self._registry)
        return self._counters[name]

    def histogram(
        self, name: str, help: str, labels: Sequence[str] = (), buckets: Sequence[float] = LATENCY_S
    ) -> Histogram:
        """How often a value was how large. Raises ValueError as above."""
        if name not in self._histograms:
            self._histograms[name] = Histogram(name, help, labels, buckets=buckets, registry=self._registry)
        return self._histograms[name]

    def gauge(self, name: str, help: str, read: Callable[[], Reading], labels: Sequence[str] = ()) -> None:
        """What goes up and down: `read` is asked at every scrape, in the event loop. The last `read` given counts."""
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = self._gauges[name] = _Gauge(name, help, labels, read)
            self._registry.register(gauge)
        gauge.read = read

    def collect(self, collector: Collector) -> None:
        """Add a collector of prometheus_client's own making."""
        self._registry.register(collector)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """(body, content type) for a scraper that sent this Accept header."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Gauge(Collector):
    def __init__(self, name: str, help: str, labels: Sequence[str], read: Callable[[], Reading]) -> None:
        self.name, self.help, self.labels, self.read = name, help, labels, read

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return [GaugeMetricFamily(self.name, self.help, labels=self.labels)]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily(self.name, self.help, labels=self.labels)
        reading = self.read()
        rows = [((), float(reading))] if isinstance(reading, int | float) else reading
        for values, value in rows:
            family.add_metric(values, value)
        yield family
