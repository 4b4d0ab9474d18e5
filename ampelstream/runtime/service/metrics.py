"""What a worker counted and measures, for Prometheus.

Counts are not kept here: they are those of `ampelstream.core.accounting`, read when Prometheus
asks, so that the summary of a replay and the metrics of a worker cannot differ.
"""

import contextlib
import math
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
from ampelstream.model.times import unix_from_jd

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""Content type of what `Metrics.render` gives."""
_SECONDS = (0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0)


class _CommitAge(Collector):
    """How long records of each step have waited without a commit, computed when it is asked for.

    It is 0 where nothing waits, and NaN where the brokers do not say whether anything does.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._waits: dict[str, float | None] = {}
        """Since when records wait, or since the last commit; None where none do; NaN: unknown."""

    def committed(self, step: str) -> None:
        """The time begins anew."""
        if self._waits.get(step) is not None:
            self._waits[step] = self.clock()

    def waiting(self, step: str, records: int | None) -> None:
        """So many records wait; None: unknown."""
        if records is None:
            self._waits[step] = math.nan
        elif not records:
            self._waits[step] = None
        else:
            since = self._waits.get(step)
            if since is None or math.isnan(since):
                self._waits[step] = self.clock()

    def forget(self, step: str) -> None:
        """It has ended."""
        self._waits.pop(step, None)

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "ampelstream_commit_age_seconds",
            "For how long records wait without a commit.",
            labels=["step"],
        )
        now = self.clock()
        for step, since in sorted(self._waits.copy().items()):
            family.add_metric([step], 0.0 if since is None else now - since)
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

        self._topology = gauge(
            "topology_info", "The topology that runs.", "name", "version", "hash"
        )
        self._ready = gauge("step_ready", "Whether a step has its state and reads.", "step")
        self._silent = gauge("broker_silence_seconds", "Time since brokers last answered.", "step")
        self._partitions = gauge("partitions", "Source partitions of this worker.", "step")
        self._inbox = gauge("inbox_records", "Records fetched and not yet in hand.", "step")
        self._left = gauge("restore_left_records", "Changelog records left to restore.", "step")
        self._parked = gauge("parked_records", "Records that wait for a schema.")
        self._lag = gauge("lag_records", "Records not yet handled.", "step", "topic", "partition")
        self._pending = gauge("sweeps_pending", "Revisions of events still to be swept.")
        self._unsent = gauge("unsent_reactions", "Reactions that a sink has yet to take.")
        self._failing = gauge(
            "all_failing", "Whether the first alerts of this worker all failed alike.", "step"
        )
        self._watermark = gauge("watermark_timestamp_seconds", "Event time reached, as Unix time.")
        self._watermark.set(math.nan)

    def _make_histograms(self) -> None:
        def histogram(name: str, text: str, *labels: str) -> Histogram:
            name = f"ampelstream_{name}"
            return Histogram(name, text, labels, registry=self.registry, buckets=_SECONDS)

        self._batch = histogram("batch_seconds", "Time for a batch of records.", "step")
        self._unit = histogram("unit_seconds", "Time of a unit for one input.", "unit")
        self._sweep = histogram(
            "sweep_seconds", "Time to hold a revision of an event against the stored objects."
        )

    def topology(self, name: str, version: str, digest: str) -> None:
        """Say which topology runs."""
        self._topology.clear()
        self._topology.labels(name, version, digest).set(1)

    def step(self, step: str, *, ready: bool, silent: float, partitions: int, inbox: int) -> None:
        """Set the state of a step.

        Parameters
        ----------
        step
            Which.
        ready
            Whether it has its state and reads its inputs.
        silent
            How long its brokers have not answered [s].
        partitions
            How many source partitions of it this worker has.
        inbox
            How many records were fetched and are not in hand yet.
        """
        self._ready.labels(step).set(ready)
        self._silent.labels(step).set(silent)
        self._partitions.labels(step).set(partitions)
        self._inbox.labels(step).set(inbox)

    def parked(self, n: float) -> None:
        """Set how many records wait for a schema; NaN where that is not known."""
        self._parked.set(n)

    def lag(self, step: str, topic: str, partition: int, records: float) -> None:
        """Set how many records of a partition are not yet handled; NaN: not known."""
        self._lag.labels(step, topic, str(partition)).set(records)

    def all_failing(self, step: str) -> None:
        """Note that the first alerts of a step all failed in the same way."""
        self._failing.labels(step).set(1)

    def forget_lag(self, step: str, topic: str, partition: int) -> None:
        """Drop the lag of a partition that went to another worker."""
        with contextlib.suppress(KeyError):  # older versions raise it where there is nothing
            self._lag.remove(step, topic, str(partition))

    def forget_step(self, step: str) -> None:
        """Drop the state of a step that has ended."""
        self._commits.forget(step)
        for gauge in (self._ready, self._silent, self._partitions, self._inbox):
            with contextlib.suppress(KeyError):  # as above
                gauge.remove(step)

    def committed(self, step: str) -> None:
        """Note that a step has committed now."""
        self._commits.committed(step)

    def waiting(self, step: str, records: int | None) -> None:
        """Set how many records of a step wait in all; None: not known."""
        self._commits.waiting(step, records)

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

    def unsent(self, n: int) -> None:
        """Set how many reactions a sink has yet to take."""
        self._unsent.set(n)

    def watermark(self, jd: float | None) -> None:
        """Set how far event time has come [JD, UTC]; None: not known."""
        self._watermark.set(math.nan if jd is None else unix_from_jd(jd))

    def restored(self, step: str, records: int, left: int) -> None:
        """Count records read back from a changelog, so many more; and so many are left."""
        self._restored.labels(step).inc(records)
        self._left.labels(step).set(left)

    def render(self) -> bytes:
        """Everything in the text format of Prometheus."""
        return generate_latest(self.registry)
