"""Partitions kept in memory, within a bound."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from ampelstream.sky.catalogs.partition import Partition

__all__ = ["PartitionCache"]


class PartitionCache:
    """Least recently used partitions go first.

    Parameters
    ----------
    max_rows
        Rows kept at most, over all catalogues; a partition larger than that is kept alone.
    """

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._kept: OrderedDict[str, Partition] = OrderedDict()
        self._lock = Lock()
        self.rows = 0
        self.loads = 0

    def get(self, key: str, load: Callable[[], Partition]) -> Partition:
        """Give the partition of that key, loading it where it is not in memory."""
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
            loaded = self._kept[key] = load()
            self.loads += 1
            self.rows += len(loaded)
            while self.rows > self._max_rows and len(self._kept) > 1:
                self.rows -= len(self._kept.popitem(last=False)[1])
            return loaded
