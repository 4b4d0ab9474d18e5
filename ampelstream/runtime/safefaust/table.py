"""The table of a stateful step: a Faust table whose writes are whole batches, acknowledged first.

The order of a commit is: outputs, changelog, database, source offsets. Each waits for the one
before. So the database never holds what the changelog lacks (it may vanish at any time), and the
changelog never holds what was not sent on.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from faust import Table
from faust.types import TP

from ampelstream.runtime.safefaust.failures import RecoveryError
from ampelstream.runtime.safefaust.fencing import foreign_keys, foreign_offsets
from ampelstream.runtime.safefaust.outbox import Outbox, Outgoing
from ampelstream.runtime.safefaust.partitionstore import Database, Owner, PartitionStore
from ampelstream.runtime.safefaust.topicids import topic_ids

__all__ = ["CommitOrder", "StateTable"]

CommitOrder = Callable[[bytes, bytes | None], Any]
"""Sort key of a change (None deletes): a changelog that ends in the middle of a batch must make
sense to who restores it."""
_SOURCES = b"\x00sources"
"""Names and ids of the topics whose offsets the state may hold. Part of the changelog, as these
offsets are; sorts before every key of an application."""


def by_key(key: bytes, value: bytes | None) -> bytes:
    """Changes in the order of their keys."""
    del value
    return key


class StateTable(Table[bytes, bytes]):
    """Partitioned state with a changelog; not used as a dictionary.

    Faust sends the changelog first, writes the store second, and knows only later what became of
    the first (``tables/table.py:83-91``, ``tables/base.py:266-288``).

    Attributes
    ----------
    state_directory
        For the databases.
    open_database
        Opens the one in a directory, and makes it where there is none.
    client_options
        Gives the connection, as keyword arguments of aiokafka.
    commit_order
        In which order a batch goes to the changelog.
    keep_seconds
        How old a database may be that is still read [s]; see `PartitionStore`.
    sources
        Names of the topics whose offsets the state may hold.
    processors
        What works on the partitions that this worker has now, by their number; none while they are
        moved or restored. See ``batches.py``.
    on_restored
        Called with the number of changelog records that were applied, and are left.
    """

    state_directory: Path
    open_database: Callable[[Path], Database]
    client_options: Callable[[], dict[str, Any]]
    commit_order: CommitOrder = staticmethod(by_key)
    keep_seconds: float = 3.5 * 86_400
    sources: Sequence[str] = ()
    processors: Mapping[int, Any] = MappingProxyType({})
    on_restored: Callable[[int, int], None] = staticmethod(lambda _records, _left: None)
    _source_ids: Mapping[str, str] = MappingProxyType({})

    def _new_store(self) -> PartitionStore:
        return PartitionStore(
            "safefaust://",
            self.app,
            self,
            table_name=self.name,
            key_type=bytes,
            value_type=bytes,
            loop=self.loop,
            directory=self.state_directory,
            open_database=self.open_database,
            keep_seconds=self.keep_seconds,
        )

    @property
    def partitions_store(self) -> PartitionStore:
        """The databases."""
        return cast("PartitionStore", self.data)

    def persisted_offset(self, tp: TP) -> int | None:
        """What the database holds, for Faust, which asks at each rebalance.

        It asks before anybody has said whose the database has to be, and does so again after our
        recovery: until then there is nothing to say.
        """
        store = self.partitions_store
        return None if store.owner is None else store.persisted_offset(tp)

    async def identify(self) -> None:
        """Ask the brokers whose the state has to be; until then none of it is opened.

        Raises
        ------
        ReadError
            They do not say.
        RecoveryError
            The changelog does not exist.
        """
        changelog = self.changelog_topic_name
        found = await topic_ids(self.client_options(), (changelog, *self.sources))
        if changelog not in found.ids:
            raise RecoveryError(f"topic {changelog} does not exist: it holds the state; make it")
        self._source_ids = {name: found.ids[name] for name in self.sources if found.ids.get(name)}
        application, topic_id = str(self.app.conf.id), found.ids[changelog]
        self.partitions_store.claim(Owner(application, changelog, topic_id, found.cluster_id))

    def remade(self, partition: int) -> list[str]:
        """Sources that were made anew since the state was written: it holds no offsets of theirs.

        They are known by their ids, so that none is where the brokers give none.
        """
        noted = self._noted(partition)
        return [name for name, one in self._source_ids.items() if noted.get(name, one) != one]

    def _noted(self, partition: int) -> Mapping[str, str]:
        mark = self.partitions_store.backend(partition).get(_SOURCES)
        noted: Mapping[str, str] = {} if mark is None else json.loads(mark)
        return noted

    def _note(self, partition: int) -> Mapping[bytes, bytes]:
        """What to write of the sources: nothing where the state says it already."""
        noted = self._noted(partition)
        now = {**noted, **self._source_ids}
        return {} if now == noted else {_SOURCES: json.dumps(now).encode()}

    async def write(
        self, partition: int, changes: Mapping[bytes, bytes | None], outbox: Outbox
    ) -> None:
        """Write a batch: to the changelog, and when that is acknowledged, to the database.

        Raises
        ------
        ProduceError
            The changelog did not take it; the database is as it was.
        """
        if not changes:
            return
        topic, store = self.changelog_topic_name, self.partitions_store
        ordered = sorted(changes.items(), key=lambda change: self.commit_order(*change))
        ordered += self._note(partition).items()  # last: the rest is about these sources
        changes = dict(ordered)
        sent = await outbox.send([Outgoing(topic, key, value, partition) for key, value in ordered])
        offsets = [one.offset for one in sent]
        before = store.persisted_offset(TP(topic, partition))
        foreign = foreign_offsets(-1 if before is None else before, offsets)
        if foreign:
            offsets.append(await self._overwrite(partition, changes, foreign, outbox))
        store.write(partition, changes, max(offsets))

    async def overwrite_foreign(self, partition: int, end: int, outbox: Outbox) -> None:
        """Write over what others wrote up to ``end``, the offset behind the last record."""
        store = self.partitions_store
        before = store.persisted_offset(TP(self.changelog_topic_name, partition))
        foreign = range(0 if before is None else before + 1, end)
        if foreign:
            last = await self._overwrite(partition, {}, foreign, outbox)
            store.write(partition, {}, last)

    async def _overwrite(
        self,
        partition: int,
        changes: Mapping[bytes, bytes | None],
        foreign: Sequence[int],
        outbox: Outbox,
    ) -> int:
        """Write our values of the keys of foreign records again; give the last offset."""
        topic, backend = self.changelog_topic_name, self.partitions_store.backend(partition)
        keys = await foreign_keys(self.client_options(), topic, partition, foreign)
        right = {key: changes[key] if key in changes else backend.get(key) for key in keys}
        ordered = sorted(right.items(), key=lambda change: self.commit_order(*change))
        sent = await outbox.send([Outgoing(topic, key, value, partition) for key, value in ordered])
        return max((one.offset for one in sent), default=max(foreign))
