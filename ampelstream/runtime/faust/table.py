"""The table of a stateful step: a Faust table whose writes are whole batches, acknowledged first.

The order of a commit is: outputs, changelog, database, source offsets. Each waits for the one
before. So the database never holds what the changelog lacks (it may vanish at any time), and the
changelog never holds what was not sent on.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from faust import Table
from faust.types import TP

from ampelstream.core.keys import commit_order
from ampelstream.runtime.faust.foreign import foreign_keys, foreign_offsets
from ampelstream.runtime.faust.store import PartitionStore
from ampelstream.runtime.kafka.outbox import Outbox, Outgoing

__all__ = ["StateTable"]


class StateTable(Table[bytes, bytes]):
    """Partitioned state with a changelog; not used as a dictionary.

    Attributes
    ----------
    state_directory
        For the databases.
    client_options
        Gives the connection, as keyword arguments of aiokafka.
    cache_bytes, write_buffer_bytes
        Memory of each partition's database [byte].
    """

    state_directory: Path
    client_options: Callable[[], dict[str, Any]]
    cache_bytes: int = 16 << 20
    write_buffer_bytes: int = 8 << 20

    def _new_store(self) -> PartitionStore:
        return PartitionStore(
            "ampelstream://",
            self.app,
            self,
            table_name=self.name,
            key_type=bytes,
            value_type=bytes,
            loop=self.loop,
            directory=self.state_directory,
            cache_bytes=self.cache_bytes,
            write_buffer_bytes=self.write_buffer_bytes,
        )

    @property
    def partitions_store(self) -> PartitionStore:
        """The databases."""
        return cast("PartitionStore", self.data)

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
        ordered = sorted(changes.items(), key=lambda change: commit_order(*change))
        sent = await outbox.send([Outgoing(topic, key, value, partition) for key, value in ordered])
        offsets = [one.offset for one in sent]
        before = store.persisted_offset(TP(topic, partition))
        foreign = foreign_offsets(-1 if before is None else before, offsets)
        if foreign:
            offsets.append(await self._overwrite(partition, changes, foreign, outbox))
        store.write(partition, dict(ordered), max(offsets))

    async def mend(self, partition: int, end: int, outbox: Outbox) -> None:
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
        ordered = sorted(right.items(), key=lambda change: commit_order(*change))
        sent = await outbox.send([Outgoing(topic, key, value, partition) for key, value in ordered])
        return max((one.offset for one in sent), default=max(foreign))
