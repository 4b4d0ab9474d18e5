"""What the Faust side tells of its work, for metrics and health."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from faust.types import TP

from ampelstream.runtime.faust.inputs import PARKED
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.metrics import Metrics

__all__ = ["Watching"]


class Watching:
    """An observer that passes on what it is told.

    Parameters
    ----------
    metrics, health
        Where it goes.
    """

    def __init__(self, metrics: Metrics, health: Health) -> None:
        self._metrics = metrics
        self._health = health
        self._behind: dict[str, set[TP]] = {}

    def busy(self, name: str) -> AbstractContextManager[None]:
        """Context around a handler."""
        return self._health.busy(name)

    def ready(self, name: str, ready: bool) -> None:  # noqa: FBT001  (a setter's value)
        """Tell that a step has its state and reads its inputs, or does so no longer."""
        self._health.set_ready(name, ready=ready)

    def committed(self, name: str) -> None:
        """Tell that offsets were committed."""
        self._metrics.committed(name)
        self._health.commit(name)

    def progress(self, name: str) -> None:
        """Tell that a step goes on without a commit."""
        self._health.progress(name)

    def restored(self, name: str, records: int) -> None:
        """Tell how many changelog records were applied."""
        self._metrics.restored(name, records)
        self._health.progress(name)

    def batch_seconds(self, name: str, seconds: float) -> None:
        """Tell how long a batch took [s]."""
        self._metrics.batch_seconds(name, seconds)

    def lag(self, name: str, behind: Mapping[TP, int]) -> None:
        """Tell how many records wait in each source partition that this worker has now."""
        for gone in self._behind.get(name, set()) - behind.keys():
            self._metrics.forget_lag(name, gone.topic, gone.partition)
        self._behind[name] = set(behind)
        for tp, records in behind.items():
            self._metrics.lag(name, tp.topic, tp.partition, records)
        total = sum(behind.values())
        self._health.lag(name, total)
        if name == PARKED:
            self._metrics.parked(total)
