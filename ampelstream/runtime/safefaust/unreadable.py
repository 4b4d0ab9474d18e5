"""Batches of records that cannot be inflated: passed by, and not in silence.

aiokafka raises what its decoders raise out of a fetch. What it had taken of other partitions by
then is lost, its position stays before the batch, and the next fetch ends the same way. Here such a
batch becomes one record that says which offsets it stands for and what is wrong, and reading goes
on behind it.

Of what a request brought only so much is inflated at once; the rest is asked for again.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.structs import ConsumerRecord

from ampelstream.runtime.safefaust.checksums import Batches
from ampelstream.runtime.safefaust.inflating import UnreadableBatch, inflated

__all__ = [
    "MAX_FETCH_BYTES",
    "UnreadableRecord",
    "fault_of",
    "set_aside",
    "unreadable",
]

MAX_FETCH_BYTES = 64 << 20
"""When so much was inflated for one fetch, no further batch is begun [byte]."""


@dataclass
class UnreadableRecord(ConsumerRecord):  # type: ignore[misc]  # aiokafka ships no types
    """Stands for all records of a batch; it has no value, and its offset is the first of theirs.

    Attributes
    ----------
    last_offset
        Of these records.
    fault
        Which they are, and what is wrong with them.
    """

    last_offset: int = -1
    fault: str = ""


def fault_of(record: Any) -> str:
    """What is wrong with a record; empty for one that could be read."""
    return record.fault if isinstance(record, UnreadableRecord) else ""


def unreadable(topic: str, partition: int, first: int, last: int, fault: str) -> UnreadableRecord:
    """Make the record that stands for these offsets."""
    return UnreadableRecord(
        *(topic, partition, first, -1, 0, None, None, None, -1, -1, ()),
        last_offset=last,
        fault=fault,
    )


def set_aside(consumer: Any) -> None:
    """Let a consumer give an `UnreadableRecord` for each batch that cannot be inflated.

    Parameters
    ----------
    consumer
        An ``AIOKafkaConsumer`` that was started; its records are to be taken with ``getmany``.
    """
    fetcher = consumer._fetcher  # noqa: SLF001  (no public way)
    waiting = _Waiting()
    for place, result in fetcher._records.items():  # noqa: SLF001  (as above)
        waiting[place] = result
    fetcher._records = waiting  # noqa: SLF001  (as above)
    take = fetcher.fetched_records

    async def fetched_records(*args: Any, **kwargs: Any) -> Any:
        inflated.size = 0  # of this thread, for this fetch
        return await take(*args, **kwargs)

    fetcher.fetched_records = fetched_records


class _Waiting(OrderedDict[Any, Any]):
    """What was fetched, in place of the fetcher's own (``aiokafka/consumer/fetcher.py:429``)."""

    def __setitem__(self, place: Any, result: Any) -> None:
        records = getattr(result, "_partition_records", None)
        if isinstance(records, PartitionRecords) and not isinstance(records, _Records):
            result._partition_records = _Records(records)  # noqa: SLF001  (as above)
        super().__setitem__(place, result)


class _Records(PartitionRecords):  # type: ignore[misc]  # aiokafka ships no types
    """Records of one partition.

    Parameters
    ----------
    plain
        As the fetcher made them; nothing was taken of them yet.
    """

    next_fetch_offset: int
    _records_iterator: Any

    def __init__(self, plain: Any) -> None:
        self.__dict__.update(plain.__dict__)
        # its generator holds it, and it the generator: so what was fetched would stay in memory
        # until the collector comes by
        plain._records_iterator = None  # noqa: SLF001  (the same class)
        batches = plain._records  # noqa: SLF001  (the same class)
        quickly = self._check_crcs and isinstance(batches, Batches)
        self._batches = self._records = _Batches(batches, checked=quickly)
        self._check_crcs &= not quickly
        self._records_iterator = self._unpack_records()

    def __next__(self) -> Any:
        try:
            return next(self._records_iterator)
        except StopIteration:
            self._records_iterator = None  # as in stock: break the cycle
            raise
        except UnreadableBatch as error:
            self._records_iterator = self._unpack_records()  # goes on with the next batch
            return self._unreadable(self._batches.last, error)

    def _unreadable(self, batch: Any, error: UnreadableBatch) -> UnreadableRecord:
        # a batch of an old format does not say where it begins
        first = max(getattr(batch, "base_offset", 0), self.next_fetch_offset)
        self.next_fetch_offset = batch.next_offset
        last = batch.next_offset - 1
        place = self._tp
        which = f"offset {first}" if last == first else f"offsets {first} to {last}"
        fault = (
            f"{place.topic}[{place.partition}]: the batch of records with {which} cannot be read: "
            f"{error}. None of them is handled"
        )
        return unreadable(place.topic, place.partition, first, last, fault)


class _Batches:
    """Batches of what a request brought, as far as there is room for them.

    Parameters
    ----------
    plain
        ``aiokafka.record.memory_records.MemoryRecords``, or ours.
    checked
        Whether the checksum of each is looked at here: they are `Batches`.
    """

    def __init__(self, plain: Any, *, checked: bool) -> None:
        self._plain = plain
        self._next = plain.next_checked if checked else plain.next_batch
        self.last: Any = None

    def has_next(self) -> bool:
        return inflated.size < MAX_FETCH_BYTES and bool(self._plain.has_next())

    def next_batch(self) -> Any:
        self.last = self._next()
        return self.last
