"""The store of a Faust table: one RocksDB for each partition, its changelog offset inside.

Instead of Faust's own (``stores/rocksdb.py``), which takes 2 GiB of cache for each partition,
writes data and offset apart, never closes a database, and deletes a key without an index entry in
all partitions. State and offset go in with one WriteBatch, so that they always agree.

An offset says nothing without its topic: in a database of another application, or of a changelog
that was deleted and made again, it may well fit, and what is then restored behind it is a mixture
that nobody notices. So a database is marked with whose it is before anything goes in, and one with
another mark is not read.
"""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, Protocol

from faust.stores.base import Store
from faust.types import TP

from ampelstream.runtime.safefaust.failures import ForeignState, StoreError

__all__ = ["Database", "Owner", "PartitionStore"]

_OFFSET = b"\x00changelog-offset"
"""Sorts before every key of an application, so that no scan meets it."""
_WRITTEN = b"\x00written"
_OWNER = b"\x00owner"
_BEHIND_ALL = b"\xff" * 32
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


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose the database of a partition is.

    Attributes
    ----------
    application
        Id of the Faust application.
    changelog, topic_id
        Name of its changelog, and the id that Kafka gave that topic; empty where it gives none
        (before 2.8): then the names alone are compared.
    cluster_id
        Of the Kafka cluster; empty where it is not told.
    """

    application: str
    changelog: str
    topic_id: str
    cluster_id: str

    def fits(self, other: "Owner") -> bool:
        """Whether both may be the same: what one of them does not know does not count."""
        return all(
            not (one and another) or one == another
            for one, another in zip(astuple(self), astuple(other), strict=True)
        )

    def __str__(self) -> str:
        topic = self.topic_id or "unknown"
        return (
            f"application {self.application}, changelog {self.changelog} with topic id {topic}, "
            f"cluster {self.cluster_id or 'unknown'}"
        )


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

    Attributes
    ----------
    owner
        Whose the databases have to be. Without it, none is opened: only the brokers know, and they
        are asked at the beginning of each recovery.
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
        self.owner: Owner | None = None

    @property
    def _changelog(self) -> str:
        return str(self.table.changelog_topic.get_topic_name())

    def claim(self, owner: Owner) -> None:
        """Say whose the databases have to be; those that are open are looked at again."""
        if owner != self.owner:
            self.close()
        self.owner = owner

    def backend(self, partition: int) -> Database:
        """Database of a partition, opened on first use.

        Raises
        ------
        ForeignState
            It is somebody else's.
        StoreError
            It is not known yet whose it has to be.
        """
        if partition not in self._open:
            if self.owner is None:
                raise StoreError(
                    f"{self._directory}: a database is asked for before the brokers have said "
                    "whose it has to be"
                )
            path = self._directory / f"partition-{partition:04d}"
            self._open[partition] = self._ours(path, self.owner)
        return self._open[partition]

    def _ours(self, path: Path, owner: Owner) -> Database:
        """Open a database that is ours; one that cannot be trusted is made anew.

        That is one without a mark, and one that was not written for long: its changelog may have
        forgotten by now that a key was removed, and the key would stay.
        """
        with ExitStack() as undo:
            backend = self._open_database(path)
            undo.callback(backend.close)
            fault = self._fault(path, backend, owner)
            if not fault:
                undo.pop_all()
        if fault:
            _LOG.warning("%s %s; it is removed, and restored from the changelog", path, fault)
            shutil.rmtree(path)
            backend = self._open_database(path)
        mark = json.dumps(asdict(owner)).encode()
        if backend.get(_OWNER) != mark:  # a new one; or the brokers tell more than they did
            backend.write({_OWNER: mark})
        return backend

    def _fault(self, path: Path, backend: Database, owner: Owner) -> str:
        """Why the database is to be made anew; empty where it is not.

        Raises
        ------
        ForeignState
            It is somebody else's, and not ours to remove.
        """
        mark, offset = backend.get(_OWNER), backend.get(_OFFSET)
        if mark is not None:
            found = _owner(mark)
            if not owner.fits(found):
                raise ForeignState(
                    f"{path} is the state of {found}. Wanted is that of {owner}. Nothing of it was "
                    "read. Give another directory for the state. Or, where the topic or cluster "
                    "was made anew on purpose, stop the worker and remove this directory: it may "
                    "be the only copy, and is restored from the changelog that is there now"
                )
        elif offset is not None:
            return "does not say whose it is, as those of earlier versions"
        elif next(iter(backend.scan(b"", _BEHIND_ALL)), None) is not None:
            raise ForeignState(
                f"{path} is a database, and not one of ours; give another directory for the state"
            )
        written = backend.get(_WRITTEN)
        if written is not None and self._now() - float(written) >= self._keep_seconds:
            return "was not written for long"
        return ""

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


def _owner(mark: bytes) -> Owner:
    """Owner in a database's mark; one of unknown words is nobody's that we know."""
    try:
        return Owner(**json.loads(mark))
    except (ValueError, TypeError):
        return Owner("of another version", "unknown", "", "")
