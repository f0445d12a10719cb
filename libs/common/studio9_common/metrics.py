"""One service's metrics, in Prometheus' text format: a registry of its own, made with the service, never a global one.

Names are `studio9_…_seconds`, `…_total`; labels have few values (a state, a reason's code, a route), never the id of a
job or an organisation. `GET /metrics` of a service renders its registry (`studio9_common.http.app`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from studio9_common.errors import Studio9Error
from studio9_common.logs import logger

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REFRESH_S = 5.0
"""How long a scrape waits for what must be asked elsewhere; then it goes without."""

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Buckets of calls, in seconds."""
SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 43_200.0)
"""Buckets of waiting in queues, in seconds."""

Sample = tuple[Sequence[str], float]
"""The values of the labels, and the value."""


class Metrics:
    """See the module's docstring."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self._refreshing: list[Callable[[], Awaitable[None]]] = []

    def counter(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
        """What only grows; `name` ends in `_total`."""
        return Counter(name, meaning, labels, registry=self.registry)

    def gauge(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(name, meaning, labels, registry=self.registry)

    def histogram(
        self, name: str, meaning: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = FAST
    ) -> Histogram:
        """Durations in seconds; `name` ends in `_seconds`."""
        return Histogram(name, meaning, labels, buckets=buckets, registry=self.registry)

    def read_counter(
        self, name: str, meaning: str, labels: Sequence[str], read: Callable[[], Iterable[Sample]]
    ) -> None:
        """A counter that somebody keeps already: read at every scrape."""
        self.registry.register(_Read(CounterMetricFamily, name, meaning, labels, read))

    def read_gauge(self, name: str, meaning: str, labels: Sequence[str], read: Callable[[], Iterable[Sample]]) -> None:
        """A value that somebody keeps already: read at every scrape."""
        self.registry.register(_Read(GaugeMetricFamily, name, meaning, labels, read))

    def refresh(self, work: Callable[[], Awaitable[None]]) -> None:
        """Awaited before every scrape, at most REFRESH_S: for what stands in a store. It may raise Studio9Error."""
        self._refreshing.append(work)

    async def render(self) -> bytes:
        """The text of a scrape."""
        for work in self._refreshing:
            try:
                async with asyncio.timeout(REFRESH_S):
                    await work()
            except (Studio9Error, TimeoutError) as error:
                logger("metrics").warning("not_refreshed", reason=str(error) or type(error).__name__)
        return generate_latest(_WithoutBirths(self.registry))


class _WithoutBirths(Collector):
    """The registry without the time at which each series was made, which doubles the number of series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class _Read(Collector):
    def __init__(
        self,
        family: type[CounterMetricFamily] | type[GaugeMetricFamily],
        name: str,
        meaning: str,
        labels: Sequence[str],
        read: Callable[[], Iterable[Sample]],
    ) -> None:
        self._family, self._name, self._meaning = family, name, meaning
        self._labels, self._samples = list(labels), read

    def collect(self) -> Iterator[Metric]:
        family = self._family(self._name, self._meaning, labels=self._labels)
        for values, value in self._samples():
            family.add_metric(list(values), value)
        yield family
