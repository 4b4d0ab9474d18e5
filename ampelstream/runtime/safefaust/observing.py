"""What this package reports of its work, to whoever keeps metrics and watches over the process."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from faust.types import TP

__all__ = ["Observer"]


class Observer(Protocol):
    """Is notified of what happens; must not raise, and must not wait.

    A name is that of a step, or of a part of one: ``objects``, ``objects/3``.
    """

    def busy(self, name: str) -> AbstractContextManager[None]:
        """Context around a handler, which must not take too long from entry to exit."""
        ...

    def ready(self, name: str, ready: bool) -> None:  # noqa: FBT001  (a setter's value)
        """Report that a step has its state and reads its inputs, or does so no longer."""
        ...

    def committed(self, name: str) -> None:
        """Report that offsets were committed."""
        ...

    def progress(self, name: str) -> None:
        """Report that a step goes on without a commit: a wait on purpose."""
        ...

    def assigned(self, name: str, partitions: Collection[TP]) -> None:
        """Report which source partitions this worker has after a rebalance; it may be none."""
        ...

    def revoked(self, name: str, partitions: Collection[TP]) -> None:
        """Report that a rebalance takes these source partitions; some of them may come back."""
        ...

    def restored(self, name: str, records: int, left: int) -> None:
        """Report how many changelog records were applied since the last report, and are left.

        ``left`` counts offsets, some of which compaction has removed; it is 0 at the end.
        """
        ...

    def batch_seconds(self, name: str, seconds: float) -> None:
        """Report how long a batch took, from its first record to its commit [s]."""
        ...

    def lag(self, name: str, behind: Mapping[TP, int]) -> None:
        """Report how many records wait in each source partition that this worker has now.

        The brokers have said so: they are there.
        """
        ...

    def unanswered(self, name: str) -> None:
        """Report that the brokers do not answer: the lag is not known."""
        ...
