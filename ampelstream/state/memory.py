"""The in-memory twin of the RocksDB store, for tests."""

import bisect
from collections.abc import Iterator, Mapping

__all__ = ["MemoryBackend"]


class MemoryBackend:
    """A sorted dictionary with the store interface; nothing survives the process."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        """Value of ``key``, or None."""
        return self._values.get(key)

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give keys and values with start <= key < stop, in key order."""
        lo, hi = bisect.bisect_left(self._keys, start), bisect.bisect_left(self._keys, stop)
        for key in self._keys[lo:hi]:
            yield key, self._values[key]

    def write(self, batch: Mapping[bytes, bytes | None]) -> None:
        """Apply the batch; None deletes."""
        for key, value in batch.items():
            known = key in self._values
            if value is None:
                if known:
                    del self._values[key]
                    del self._keys[bisect.bisect_left(self._keys, key)]
            else:
                self._values[key] = value
                if not known:
                    bisect.insort(self._keys, key)

    def close(self) -> None:
        """Nothing to release."""
