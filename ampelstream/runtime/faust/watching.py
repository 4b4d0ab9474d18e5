"""The observer of the Faust applications: passes what they report to metrics, health and log."""

import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import groupby

from faust.types import TP

from ampelstream.runtime.service.health import Health, Pulse
from ampelstream.runtime.service.log import incident
from ampelstream.runtime.service.metrics import Metrics

__all__ = ["Watching", "in_words"]

_LOG = logging.getLogger(__name__)


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
        self._restoring: dict[str, tuple[float, int]] = {}
        """Of each step that is restored: since when [s], and how many records it has applied."""
        self._failing: set[str] = set()

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
        self._health.heard(name)
        self._health.commit(name)

    def progress(self, name: str) -> None:
        """Report that a step goes on without a commit."""
        self._health.progress(name)

    def assigned(self, name: str, partitions: Collection[TP]) -> None:
        """Report which source partitions this worker has after a rebalance; it may be none."""
        text = "these partitions are ours" if partitions else "no partition is ours"
        facts = {"partitions": list(in_words(partitions))} if partitions else {}
        incident(_LOG, logging.INFO, "assigned", text, step=name, **facts)

    def revoked(self, name: str, partitions: Collection[TP]) -> None:
        """Report that a rebalance takes these source partitions; some of them may come back."""
        if partitions:
            text = "these partitions are given back for a rebalance"
            told = list(in_words(partitions))
            incident(_LOG, logging.INFO, "revoked", text, step=name, partitions=told)

    def restored(self, name: str, records: int, left: int) -> None:
        """Report how many changelog records were applied, and are left."""
        self._metrics.restored(name, records, left)
        self._health.progress(name)
        now = self._clock()
        if not records and left:
            self._restoring[name] = (now, 0)
            text = "restoring the state from its changelog"
            incident(_LOG, logging.INFO, "restore_begun", text, step=name, records=left)
        elif name in self._restoring:
            began, done = self._restoring.pop(name)
            if left:
                self._restoring[name] = (began, done + records)
                return
            facts = {"records": done + records, "seconds": round(now - began, 1)}
            incident(_LOG, logging.INFO, "restore_done", "the state is whole", step=name, **facts)

    def all_failed(self, name: str, message: str) -> None:
        """Report what the first alerts of a step all failed of, if they did; said once."""
        if message and name not in self._failing:
            self._failing.add(name)
            self._metrics.all_failing(name)
            self._health.fails(name, message)
            incident(_LOG, logging.ERROR, "all_failed", message, step=name)

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
        total = sum(behind.values())
        self._metrics.waiting(name, total)
        self._health.heard(name)
        self._health.lag(name, total)

    def forget(self, name: str) -> None:
        """Note that a step has ended, with its work done: nothing is shown of it any longer."""
        self.lag(name, {})
        self._behind.pop(name, None)
        self._metrics.forget_step(name)
        self._health.forget(name)

    def unanswered(self, name: str) -> None:
        """Report that the brokers do not answer.

        The lag is not known then, and is shown as that. Nothing waits that could be read, so that a
        step without commits is no reason to end.
        """
        for tp in self._behind.get(name, set()):
            self._metrics.lag(name, tp.topic, tp.partition, math.nan)
        self._metrics.waiting(name, None)
        self._health.lag(name, 0)

    def sweeping(self, partition: int, events: int) -> None:
        """Report how many events have yet to be matched against the objects of a partition."""
        if events:
            self._sweeping.setdefault(partition, self._clock())
        elif partition in self._sweeping:
            self._metrics.sweep_seconds(self._clock() - self._sweeping.pop(partition))


def in_words(partitions: Collection[TP]) -> Iterator[str]:
    """Partitions as ``topic[0-3,7]``, one text for each topic."""
    for topic, found in groupby(sorted(partitions), lambda tp: tp.topic):
        yield f"{topic}[{','.join(_spans(sorted(tp.partition for tp in found)))}]"


def _spans(numbers: list[int]) -> Iterator[str]:
    """Sorted numbers, those in a row as first-last."""
    for _, found in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        row = [number for _, number in found]
        yield str(row[0]) if len(row) == 1 else f"{row[0]}-{row[-1]}"
