"""A check of our own that no record of a partition is passed over.

Whatever the reason, a worker that is about to pass over records must not commit past them: it ends,
and the next one reads them from the committed offset.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence

from faust.types import TP

from ampelstream.runtime.safefaust.failures import LostRecords

__all__ = ["Continuity"]

_LOG = logging.getLogger(__name__)


class Continuity:
    """Watches that offsets follow each other.

    For topics without compaction and transactions only: theirs have no holes.

    Parameters
    ----------
    committed
        Committed offset of a partition as it was when reading began; None without one.
    earliest
        Asks the brokers for the first offset that a partition still has.
    """

    def __init__(
        self,
        committed: Callable[[TP], int | None],
        earliest: Callable[[TP], Awaitable[int | None]],
    ) -> None:
        self._committed = committed
        self._earliest = earliest
        self._next: dict[TP, int] = {}

    def restart(self) -> None:
        """Partitions were assigned anew: each begins at its committed offset."""
        self._next.clear()

    async def check(self, tp: TP, offsets: Sequence[int]) -> None:
        """Take note of records of a partition, in order.

        Raises
        ------
        LostRecords
            Records before it were passed over although the brokers have them.
        """
        last, due = offsets[-1], self._next.get(tp)
        if offsets[0] == due and last - offsets[0] == len(offsets) - 1:
            self._next[tp] = last + 1  # none is missing: the usual case, at no cost for a record
            return
        for offset in offsets:
            await self._check(tp, offset)

    async def _check(self, tp: TP, offset: int) -> None:
        known = self._next.get(tp)
        expected = known if known is not None else self._committed(tp)
        if expected is not None and offset > expected:
            first = await self._earliest(tp)
            if first is None or first < offset:
                raise LostRecords(
                    f"{tp.topic}[{tp.partition}]: record {offset} came where {expected} was due. "
                    "Nothing is committed past that; the next start reads on from there."
                )
            _LOG.error(
                "records %d to %d of %s[%d] had expired before they were read: retention is too "
                "short for how far this worker is behind",
                expected,
                offset - 1,
                tp.topic,
                tp.partition,
            )
        self._next[tp] = max(offset + 1, known or 0)
