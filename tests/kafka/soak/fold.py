"""The last value of each key of a topic, as a restore would find it."""

from collections.abc import Iterator

from aiokafka.structs import ConsumerRecord, TopicPartition

from ampelstream.codecs import own
from ampelstream.core.state import LedgerEntry, ObjectState, decode, keys
from ampelstream.model.deadletter import DeadLetter
from ampelstream.runtime.kafka.clients import open_consumer
from ampelstream.runtime.kafka.connection import Connection

__all__ = ["Fold", "ledger", "letters", "objects", "open_sweeps"]


class Fold:
    """Reads on from where the last look ended; keeps one value for each partition and key.

    Parameters
    ----------
    topic, partitions
        What is read.
    only
        What the keys that are kept begin with; by default all are.
    """

    def __init__(self, topic: str, partitions: int, only: bytes = b"") -> None:
        self.topic = topic
        self._only = only
        self._places = [TopicPartition(topic, number) for number in range(partitions)]
        self._next: dict[TopicPartition, int] = {}
        self.values: dict[tuple[int, bytes], bytes] = {}

    async def read(self, connection: Connection) -> None:
        """Read to where the topic ends now."""
        async with open_consumer(connection, enable_auto_commit=False) as client:
            client.assign(self._places)
            first = await client.beginning_offsets(self._places)
            last = await client.end_offsets(self._places)
            for place in self._places:
                client.seek(place, self._next.get(place, first[place]))
            left = {one for one in self._places if await client.position(one) < last[one]}
            while left:
                for records in (await client.getmany(*left, timeout_ms=500)).values():
                    for record in records:
                        self._take(record)
                for place in list(left):
                    self._next[place] = await client.position(place)
                    if self._next[place] >= last[place]:
                        left.discard(place)

    def _take(self, record: ConsumerRecord) -> None:
        if not (record.key or b"").startswith(self._only):
            return
        if record.value is None:
            self.values.pop((record.partition, record.key), None)
        else:
            self.values[record.partition, record.key] = record.value


def objects(fold: Fold) -> Iterator[ObjectState]:
    """Objects of a changelog; one that is in two partitions comes twice."""
    for (_, key), value in fold.values.items():
        if key.startswith(keys.OBJECT):
            yield decode.object(value)


def open_sweeps(fold: Fold) -> list[str]:
    """Events whose objects are not all matched yet."""
    return [key[1:].decode() for _, key in fold.values if key.startswith(keys.SWEEP)]


def ledger(fold: Fold) -> Iterator[LedgerEntry]:
    """Entries of the ledgers of all partitions."""
    for (_, key), value in fold.values.items():
        if key.startswith(keys.LEDGER):
            yield decode.entry(value)


def letters(fold: Fold) -> Iterator[DeadLetter]:
    """Dead letters, one for each record."""
    for value in fold.values.values():
        yield own.decode_dead_letter(value)
