"""The store of a Faust table: one RocksDB for each partition, its changelog offset inside.

Instead of Faust's own (``stores/rocksdb.py``), which takes 2 GiB of cache for each partition,
writes data and offset apart, never closes a database, and deletes a key without an index entry in
all partitions. State and offset go in with one WriteBatch, so that they always agree.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from faust.stores.base import Store
from faust.types import TP

from ampelstream.runtime.safefaust.failures import StoreError

__all__ = ["Database", "PartitionStore"]

_OFFSET = b"\x00changelog-offset"
"""Sorts before every key of an application, so that no scan meets it."""
_WRITTEN = b"\x00written"
_LOG = logging.getLogger(__name__)


class Database(Protocol):
    """An ordered key-value store on disk.

    A write need not wait for the disk: the changelog is the durable copy.
    """

    def get(self, key: bytes) -> bytes | None:
        """Value of ``key``, or None."""
        ...

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give keys and values with start <= key < stop, in key order."""
        ...

    def write(self, batch: Mapping[bytes, bytes | None]) -> None:
        """Apply the batch atomically; None deletes."""
        ...

    def close(self) -> None:
        """Release the store."""
        ...


class PartitionStore(Store[bytes, bytes]):
    """Databases of the partitions that this worker has or had.

    Parameters
    ----------
    directory
        Holds a directory for each partition.
    open_database
        Opens the one in a directory, and makes it where there is none.
    keep_seconds
        How old a database may be that is still read [s]: less than a changelog remembers that a key
        was removed (``delete.retention.ms``).
    now
        Unix time [s].
    """

    def __init__(
        self,
        *args: Any,
        directory: Path,
        open_database: Callable[[Path], Database],
        keep_seconds: float,
        now: Callable[[], float] = time.time,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._directory = directory
        self._now = now
        self._open_database = open_database
        self._keep_seconds = keep_seconds
        self._open: dict[int, Database] = {}

    @property
    def _changelog(self) -> str:
        return str(self.table.changelog_topic.get_topic_name())

    def backend(self, partition: int) -> Database:
        """Database of a partition, opened on first use."""
        if partition not in self._open:
            path = self._directory / f"partition-{partition:04d}"
            self._open[partition] = self._fresh(path)
        return self._open[partition]

    def _fresh(self, path: Path) -> Database:
        """Open a database; one that was not written for long is made anew.

        Its changelog may have forgotten by now that a key was removed, and the key would stay.
        """
        backend = self._open_database(path)
        written = backend.get(_WRITTEN)
        if written is None or self._now() - float(written) < self._keep_seconds:
            return backend
        _LOG.info("%s was not written for long; it is restored from the changelog", path)
        backend.close()
        shutil.rmtree(path)
        return self._open_database(path)

    def opened(self, partition: int) -> Database | None:
        """Database of a partition if it is open."""
        return self._open.get(partition)

    def persisted_offset(self, tp: TP) -> int | None:
        """Offset of the last changelog record that the database holds; None for a new one."""
        value = self.backend(tp.partition).get(_OFFSET)
        return None if value is None else int(value)

    def write(self, partition: int, changes: Mapping[bytes, bytes | None], offset: int) -> None:
        """Write changes and the changelog offset that they reach, as one batch."""
        marks = {_OFFSET: str(offset).encode(), _WRITTEN: str(int(self._now())).encode()}
        self.backend(partition).write({**changes, **marks})

    async def on_rebalance(
        self,
        assigned: set[TP],
        revoked: set[TP],
        newly_assigned: set[TP],
        generation_id: int = 0,
    ) -> None:
        """Close the databases of partitions that went elsewhere, so that their files are free."""
        del revoked, newly_assigned, generation_id
        ours = {tp.partition for tp in assigned if tp.topic == self._changelog}
        for partition in set(self._open) - ours:
            self._open.pop(partition).close()

    def _refuse(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refuse what Faust might do to the files.

        Raises
        ------
        StoreError
            Always.
        """
        raise StoreError(
            f"the changelog is the copy of {self._directory}: to begin anew, stop the worker and "
            "remove it; it is restored"
        )

    apply_changelog_batch = reset_state = backup_partition = restore_backup = _refuse

    def close(self) -> None:
        """Close all databases."""
        while self._open:
            self._open.popitem()[1].close()

    async def on_stop(self) -> None:
        """Close all databases when the application stops."""
        self.close()
