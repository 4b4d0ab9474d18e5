"""What a worker counted and measures, for Prometheus.

Counts are not kept here: they are those of `ampelstream.core.accounting`, read when Prometheus
asks, so that the summary of a replay and the metrics of a worker cannot differ.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from ampelstream.core.accounting import COUNTS, Accounting

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""Content type of what `Metrics.render` gives."""
_SECONDS = (0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0)


class _CommitAge(Collector):
    """Age of the last commit of each step, computed when it is asked for."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.last: dict[str, float] = {}

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "ampelstream_commit_age_seconds", "Time since the last commit.", labels=["step"]
        )
        now = self.clock()
        for step, then in sorted(self.last.copy().items()):
            family.add_metric([step], now - then)
        yield family


class _Counts(Collector):
    """The accounting as counters, by the names and labels of `COUNTS`."""

    def __init__(self, accounting: Accounting) -> None:
        self._accounting = accounting

    def collect(self) -> Iterator[Metric]:
        counts = self._accounting.counts()
        for name, (text, labels) in COUNTS.items():
            family = CounterMetricFamily(f"ampelstream_{name}", text, labels=labels)
            if not labels:
                counts.setdefault((name,), 0)
            for key in sorted(key for key in counts if key[0] == name):
                family.add_metric(key[1:], counts[key])
            yield family


class Metrics:
    """Counts, gauges and histograms of one worker process; to be used from any thread.

    Every name begins with ``ampelstream_``. Series that the process has not met do not exist, so a
    restart begins at zero, as Prometheus expects.

    Parameters
    ----------
    accounting
        What the processors count.
    registry
        Where they are registered; by default one of its own, with the collectors of process,
        platform and garbage collection where there is ``/proc``.
    clock
        Seconds that never go back, for the age of commits.
    """

    def __init__(
        self,
        accounting: Accounting,
        registry: CollectorRegistry | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if registry is None:
            registry = CollectorRegistry()
            if sys.platform == "linux":
                ProcessCollector(registry=registry)
                PlatformCollector(registry=registry)
                GCCollector(registry=registry)
        self.registry = registry
        self._commits = _CommitAge(clock)
        registry.register(self._commits)
        registry.register(_Counts(accounting))
        self._restored = Counter(
            "ampelstream_restored_records",
            "Records restored from changelogs.",
            ["step"],
            registry=registry,
        )
        self._make_gauges()
        self._make_histograms()

    def _make_gauges(self) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"ampelstream_{name}", text, labels, registry=self.registry)

        self._parked = gauge("parked_records", "Records that wait for a schema.")
        self._lag = gauge("lag_records", "Records not yet handled.", "step", "topic", "partition")
        self._pending = gauge("sweeps_pending", "Revisions of events still to be swept.")

    def _make_histograms(self) -> None:
        def histogram(name: str, text: str, *labels: str) -> Histogram:
            name = f"ampelstream_{name}"
            return Histogram(name, text, labels, registry=self.registry, buckets=_SECONDS)

        self._batch = histogram("batch_seconds", "Time for a batch of records.", "step")
        self._unit = histogram("unit_seconds", "Time of a unit for one input.", "unit")
        self._sweep = histogram(
            "sweep_seconds", "Time to hold a revision of an event against the stored objects."
        )

    def parked(self, n: int) -> None:
        """Set how many records wait for a schema."""
        self._parked.set(n)

    def lag(self, step: str, topic: str, partition: int, records: int) -> None:
        """Set how many records of a partition are not yet handled."""
        self._lag.labels(step, topic, str(partition)).set(records)

    def forget_lag(self, step: str, topic: str, partition: int) -> None:
        """Drop the lag of a partition that went to another worker."""
        with contextlib.suppress(KeyError):  # older versions raise it where there is nothing
            self._lag.remove(step, topic, str(partition))

    def committed(self, step: str) -> None:
        """Note that a step has committed now."""
        self._commits.last[step] = self._commits.clock()

    def forget_committed(self, step: str) -> None:
        """Drop the age of the last commit, for a step that has no partition any longer."""
        self._commits.last.pop(step, None)

    def batch_seconds(self, step: str, seconds: float) -> None:
        """Measure a batch of records [s]."""
        self._batch.labels(step).observe(seconds)

    def unit_seconds(self, unit: str, seconds: float) -> None:
        """Measure a unit's work on one input [s]."""
        self._unit.labels(unit).observe(seconds)

    def sweep_seconds(self, seconds: float) -> None:
        """Measure the sweep of one revision of an event [s]."""
        self._sweep.observe(seconds)

    def sweeps_pending(self, n: int) -> None:
        """Set how many revisions of events are still to be swept."""
        self._pending.set(n)

    def restored(self, step: str, records: int) -> None:
        """Count records read back from a changelog, so many more."""
        self._restored.labels(step).inc(records)

    def render(self) -> bytes:
        """Everything in the text format of Prometheus."""
        return generate_latest(self.registry)
