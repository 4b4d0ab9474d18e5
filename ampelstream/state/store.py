"""The store interface: ordered keys and values, and a transaction over them.

Keys are ordered as bytes. A backend applies a batch whole or not at all; a transaction collects the
batch and lets its owner read what it has not yet committed.
"""

import heapq
from collections.abc import Iterator, Mapping
from typing import Protocol

__all__ = ["Backend", "KeyValue", "Readable", "Transaction"]


class Readable(Protocol):
    """What can be asked of a store."""

    def get(self, key: bytes) -> bytes | None:
        """Value of ``key``, or None."""
        ...

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give keys and values with start <= key < stop, in key order."""
        ...


class KeyValue(Readable, Protocol):
    """What the core needs of a store."""

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of ``key``."""
        ...

    def delete(self, key: bytes) -> None:
        """Forget ``key``; no error where it is absent."""
        ...


class Backend(Readable, Protocol):
    """What a store must offer to a transaction."""

    def write(self, batch: Mapping[bytes, bytes | None]) -> None:
        """Apply the batch atomically and durably; None deletes."""
        ...

    def close(self) -> None:
        """Release the store."""
        ...


class Transaction:
    """Reads through to a backend, collects writes, commits them as one batch.

    Parameters
    ----------
    backend
        Where committed data live.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._pending: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """Value of ``key`` with this transaction's own writes, or None."""
        if key in self._pending:
            return self._pending[key]
        return self._backend.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of ``key`` at the next commit."""
        self._pending[key] = value

    def delete(self, key: bytes) -> None:
        """Forget ``key`` at the next commit."""
        self._pending[key] = None

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give keys and values with start <= key < stop, this transaction's own writes included."""
        own = sorted(k for k in self._pending if start <= k < stop)
        if not own:
            yield from self._backend.scan(start, stop)
            return
        stored = (item for item in self._backend.scan(start, stop) if item[0] not in self._pending)
        fresh = ((k, v) for k in own if (v := self._pending[k]) is not None)
        yield from heapq.merge(stored, fresh)

    @property
    def pending(self) -> int:
        """Number of keys that the next commit changes."""
        return len(self._pending)

    def changes(self) -> dict[bytes, bytes | None]:
        """What the next commit writes; None deletes."""
        return dict(self._pending)

    def commit(self) -> None:
        """Write all of it as one atomic batch."""
        if self._pending:
            self._backend.write(self._pending)
            self._pending = {}

    def rollback(self) -> None:
        """Forget what has not been committed."""
        self._pending = {}
