"""What a worker counts and measures, for Prometheus."""

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
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE", "OTHER", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""Content type of what `Metrics.render` gives."""
OTHER = "other"
"""Reason under which rejections are counted once a channel has had too many different ones."""

_MAX_REASONS = 50
_MAX_REASON_LENGTH = 120
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


class Metrics:
    """Counters, gauges and histograms of one worker process; to be used from any thread.

    Every name begins with ``ampelstream_``. Series that the process has not met do not exist, so a
    restart begins at zero, as Prometheus expects.

    Parameters
    ----------
    registry
        Where they are registered; by default one of its own, with the collectors of process,
        platform and garbage collection where there is ``/proc``.
    clock
        Seconds that never go back, for the age of commits.
    """

    def __init__(
        self,
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
        self._reasons: dict[str, set[str]] = {}
        self._commits = _CommitAge(clock)
        registry.register(self._commits)
        self._make_counters()
        self._make_gauges()
        self._make_histograms()

    def _make_counters(self) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"ampelstream_{name}", text, labels, registry=self.registry)

        self._received = counter("received", "Records read from the inputs.", "stream")
        self._passed = counter("passed", "Alerts that a channel accepted.")
        self._rejected = counter(
            "rejected", "Alerts that a channel rejected, by reason.", "channel", "reason"
        )
        self._duplicates = counter("duplicates", "Alerts that the state held already.")
        self._letters = counter("dead_letters", "Records that could not be handled.", "step")
        self._candidates = counter("candidates", "Revisions of candidates.")
        self._reactions = counter("reactions", "Reactions, by outcome.", "rule", "outcome")
        self._restored = counter("restored_records", "Records restored from changelogs.", "step")

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

    def received(self, stream: str, n: int) -> None:
        """Count records read; stream is ``alerts`` or ``notices``."""
        self._received.labels(stream).inc(n)

    def passed(self, n: int) -> None:
        """Count alerts that at least one channel accepted."""
        self._passed.inc(n)

    def rejected(self, channel: str, reason: str, n: int) -> None:
        """Count alerts that a channel rejected.

        Reasons beyond the fiftieth of a channel are counted as `OTHER`, so that a reason with a
        number in it cannot fill the memory of the monitoring.
        """
        reason = reason[:_MAX_REASON_LENGTH]
        known = self._reasons.setdefault(channel, set())
        if reason not in known:
            if len(known) >= _MAX_REASONS:
                reason = OTHER
            else:
                known.add(reason)
        self._rejected.labels(channel, reason).inc(n)

    def duplicates(self, n: int) -> None:
        """Count alerts that the state held already."""
        self._duplicates.inc(n)

    def dead_letter(self, step: str, n: int = 1) -> None:
        """Count records that could not be handled."""
        self._letters.labels(step).inc(n)

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

    def candidates(self, n: int) -> None:
        """Count revisions of candidates that were sent out."""
        self._candidates.inc(n)

    def reaction(self, rule: str, outcome: str) -> None:
        """Count a reaction; outcome is ``decided``, ``sent`` or ``failed``."""
        self._reactions.labels(rule, outcome).inc()

    def restored(self, step: str, records: int) -> None:
        """Count records read back from a changelog, so many more."""
        self._restored.labels(step).inc(records)

    def render(self) -> bytes:
        """Everything in the text format of Prometheus."""
        return generate_latest(self.registry)
