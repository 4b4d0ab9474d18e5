"""The observer of the Faust applications: passes what they report to metrics and health."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from faust.types import TP

from ampelstream.runtime.service.health import Health, Pulse
from ampelstream.runtime.service.metrics import Metrics

__all__ = ["Watching"]


class Watching:
    """Passes reports of the applications on (see `safefaust.observing.Observer`).

    Parameters
    ----------
    metrics, health
        Where it goes.
    clock
        Seconds that never go back.
    """

    def __init__(
        self, metrics: Metrics, health: Health, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._metrics = metrics
        self._health = health
        self._clock = clock
        self._behind: dict[str, set[TP]] = {}
        self._sweeping: dict[int, float] = {}

    def busy(self, name: str) -> AbstractContextManager[None]:
        """Context around a handler."""
        return self._health.busy(name)

    def pulse(self, name: str) -> Pulse:
        """What a step's handlers call for each thing that they have done."""
        return self._health.pulse(name)

    def ready(self, name: str, ready: bool) -> None:  # noqa: FBT001  (a setter's value)
        """Report that a step has its state and reads its inputs, or does so no longer."""
        self._health.set_ready(name, ready=ready)

    def committed(self, name: str) -> None:
        """Report that offsets were committed."""
        self._metrics.committed(name)
        self._health.commit(name)

    def progress(self, name: str) -> None:
        """Report that a step goes on without a commit."""
        self._health.progress(name)

    def restored(self, name: str, records: int) -> None:
        """Report how many changelog records were applied."""
        self._metrics.restored(name, records)
        self._health.progress(name)

    def batch_seconds(self, name: str, seconds: float) -> None:
        """Report how long a batch took [s]."""
        self._metrics.batch_seconds(name, seconds)

    def lag(self, name: str, behind: Mapping[TP, int]) -> None:
        """Report how many records wait in each source partition that this worker has now."""
        for gone in self._behind.get(name, set()) - behind.keys():
            self._metrics.forget_lag(name, gone.topic, gone.partition)
        self._behind[name] = set(behind)
        for tp, records in behind.items():
            self._metrics.lag(name, tp.topic, tp.partition, records)
        self._health.lag(name, sum(behind.values()))

    def sweeping(self, partition: int, events: int) -> None:
        """Report how many events have yet to be matched against the objects of a partition."""
        if events:
            self._sweeping.setdefault(partition, self._clock())
        elif partition in self._sweeping:
            self._metrics.sweep_seconds(self._clock() - self._sweeping.pop(partition))
